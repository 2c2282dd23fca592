"""All isolation levels are safe: whoever has seen an old state gets 40001 and may try again."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg2.errors import SerializationFailure

from support import (
    APP,
    OWNER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt_call,
    be_patient,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    used,
)

LEVELS = ("read committed", "repeatable read", "serializable")
STRICT = LEVELS[1:]
CALLERS = 50


@pytest.mark.parametrize("level", LEVELS)
def test_fifty_callers_never_overbook_a_day(connect: Connect, level: str) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    call(db, "set_daily_limit", p_limit="api_units", p_max=1_000_000)
    sessions = [
        session(connect, role=APP, isolation=level, autocommit=False) for _ in range(CALLERS)
    ]
    # Every transaction has its snapshot before the first one books.
    ready = threading.Barrier(CALLERS)

    def book(number: int) -> str:
        mine = sessions[number]
        query(mine, "select")
        ready.wait()
        while True:
            try:
                outcome = attempt_call(
                    mine,
                    "reserve_slot",
                    day=day,
                    kind="short" if number % 3 else "final",
                    at=f"{10 + number % 12}:{number // 12:02d}",
                )
                if outcome.sqlstate != "40001":
                    mine.commit()
                    return outcome.sqlstate or "booked"
            except SerializationFailure:
                # SERIALIZABLE may find the conflict at the commit, of a refusal too.
                pass
            mine.rollback()

    with ThreadPoolExecutor(CALLERS) as pool:
        found = Counter(pool.map(book, range(CALLERS)))
    assert found == {"booked": 7, "SWLIM": CALLERS - 7}
    assert used(db, day) == {"final": 2, "short": 5, "api_units": 7 * 1600}
    assert_consistent(db)


@pytest.fixture
def day(connect: Connect) -> dt.date:
    return coming_day(session(connect))


def _with_snapshot(connect: Connect, level: str, role: str = APP) -> PgConnection:
    old = session(connect, role=role, isolation=level, autocommit=False)
    query(old, "select")
    return old


@pytest.mark.parametrize("level", STRICT)
@pytest.mark.parametrize("known", [True, False])
def test_a_booking_on_an_old_balance_is_a_conflict(
    connect: Connect, day: dt.date, level: str, known: bool
) -> None:
    db = session(connect)
    if known:
        reserve(db, day, "final", "09:00")
    old = _with_snapshot(connect, level)
    reserve(db, day, "final", "10:00")
    with raises_sqlstate("40001"):
        reserve(old, day, "final", "11:00")
    old.rollback()
    assert used(db, day)["final"] == 1 + known
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
def test_a_slot_taken_since_the_snapshot_is_a_conflict(
    connect: Connect, day: dt.date, level: str
) -> None:
    db = session(connect)
    for kind in ("free", "other"):
        call(db, "add_video_type", kind=kind)
    old = _with_snapshot(connect, level)
    reserve(db, day, "free", "10:00")
    with raises_sqlstate("40001"):
        reserve(old, day, "other", "10:00")
    old.rollback()
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("change", ["limit", "day"])
def test_a_maximum_lowered_since_the_snapshot_is_a_conflict(
    connect: Connect, day: dt.date, level: str, known: bool, change: str
) -> None:
    db = session(connect)
    if known:
        reserve(db, day, "final", "09:00")
    old = _with_snapshot(connect, level)
    if change == "limit":
        call(db, "set_daily_limit", p_limit="final", p_max=0)
    else:
        call(db, "override_day", p_limit="final", p_day=day, p_max=0)
    with raises_sqlstate("40001"):
        reserve(old, day, "final", "11:00")
    old.rollback()
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
def test_a_cancellation_on_an_old_state_is_a_conflict(
    connect: Connect, day: dt.date, level: str
) -> None:
    db = session(connect)
    booked = reserve(db, day, "final", "10:00")
    old = _with_snapshot(connect, level)
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    with raises_sqlstate("40001"):
        call(old, "cancel_reservation", p_reservation_id=booked.reservation_id)
    old.rollback()
    assert used(db, day) == {}
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
def test_a_key_used_since_the_snapshot_is_a_conflict(
    connect: Connect, day: dt.date, level: str
) -> None:
    db = session(connect)
    old = _with_snapshot(connect, level)
    booked = reserve(db, day, "final", "10:00", key="k")
    with raises_sqlstate("40001"):
        reserve(old, day, "final", "10:00", key="k")
    old.rollback()
    assert reserve(old, day, "final", "10:00", key="k").reservation_id == booked.reservation_id
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
def test_a_direct_write_on_an_old_balance_is_a_conflict(
    connect: Connect, day: dt.date, level: str
) -> None:
    db = session(connect)
    reserve(db, day, "final", "09:00")
    old = _with_snapshot(connect, level, OWNER)
    reserve(db, day, "final", "10:00")
    with raises_sqlstate("40001"):
        query(
            old,
            "insert into slotwarden.reservation (channel_id, video_type, scheduled_publish_time)"
            " values ('default', 'final', %s)",
            f"{day} 11:00Z",
        )
    old.rollback()
    assert used(db, day)["final"] == 2
    assert_consistent(db)


@pytest.mark.parametrize("level", STRICT)
@pytest.mark.parametrize("write", ["set_daily_limit", "update"])
def test_a_limit_is_changed_at_read_committed_only(
    connect: Connect, day: dt.date, level: str, write: str
) -> None:
    # A day that was created since the snapshot would keep the old maximum.
    db = session(connect)
    old = _with_snapshot(connect, level, OWNER)
    reserve(db, day, "final", "09:00")
    with raises_sqlstate("25001"):
        if write == "update":
            query(old, "update slotwarden.daily_limit set max_units = 1 where limit_id = 'final'")
        else:
            call(old, "set_daily_limit", p_limit="final", p_max=1)
    old.rollback()
    assert_consistent(db)


def test_a_loser_that_waited_at_repeatable_read_is_a_conflict_by_the_ledgers_version(
    connect: Connect, day: dt.date
) -> None:
    # The lock of a day is never updated, so having waited for it does not tell of the new balance.
    db = session(connect)
    reserve(db, day, "final", "09:00")
    old = _with_snapshot(connect, "repeatable read")
    assert scalar(db, "select count(*) from slotwarden.limit_day where overridden") == 0
    reserve(db, day, "short", "10:00")
    with raises_sqlstate("40001"):
        # Shares api_units with the short, nothing else.
        reserve(old, day, "final", "11:00")
    old.rollback()
    assert reserve(old, day, "final", "11:00").version == 1
    old.commit()
    assert_consistent(db)


SESSION_STATE = """
select name, setting from pg_settings where name !~ '^plpgsql'
union all select 'prepared', name from pg_prepared_statements
union all select 'cursor', name from pg_cursors
union all select 'channel', pg_listening_channels()
union all select 'lock', locktype from pg_locks where pid = pg_backend_pid() and mode ~ 'Exclusive'
  and locktype <> 'virtualxid'
union all select 'temporary', relname from pg_class where pg_my_temp_schema() = relnamespace
order by 1, 2
"""


def test_calls_leave_no_state_that_a_pooler_would_lose(connect: Connect, day: dt.date) -> None:
    pooled = session(connect)
    before = query(pooled, SESSION_STATE)
    booked = reserve(pooled, day, "final", "10:00", key="k")
    attempt_call(pooled, "reserve_slot", day=day, kind="final", at="10:00")
    call(pooled, "try_reserve_slot", day=day, kind="final", at="10:00")
    call(pooled, "recalculate_usage", p_from=day, p_to=day)
    call(pooled, "daily_status")
    call(pooled, "cancel_reservation", p_reservation_id=booked.reservation_id)
    assert query(pooled, SESSION_STATE) == before


def test_one_caller_behind_a_pooler_may_have_another_backend_each_time(
    connect: Connect, day: dt.date
) -> None:
    backends = [session(connect, role=APP, autocommit=False) for _ in range(3)]
    booked = reserve(backends[0], day, "final", "10:00", key="k")
    backends[0].commit()
    again = reserve(backends[1], day, "final", "10:00", key="k")
    backends[1].commit()
    call(backends[2], "cancel_reservation", p_reservation_id=booked.reservation_id)
    backends[2].commit()
    last = reserve(backends[0], day, "final", "10:00")
    backends[0].commit()
    assert booked == again
    assert last.reservation_id != booked.reservation_id
    assert_consistent(session(connect))
