"""A call waits for locks no longer than its budget, in total.

Each lock is let go when it has been waited for most of a budget, as ``pg_locks`` tells it: so no
single wait passes the budget, and all of them together do. A call that measured each wait alone
would book.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pytest

from langflix_database import row as langflix_row
from life import DAY, prepared
from support import (
    APP,
    Background,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    bound_wait,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    snapshot,
)

BUDGET = "400ms"
MOST_OF_IT = "250ms"

_WAITED = """
select exists (
  select from pg_locks
  where pid = %s and not granted and clock_timestamp() - waitstart > %s
)
"""


def _until_waited(watcher: PgConnection, waiting: Background) -> None:
    while waiting.running and not scalar(watcher, _WAITED, waiting.pid, MOST_OF_IT):
        pass


def _release_in_turn(
    watcher: PgConnection, waiting: Background, holders: list[PgConnection]
) -> None:
    for holder in holders:
        _until_waited(watcher, waiting)
        holder.rollback()


def _hold(connect: Connect, sql: str, *parameters: object) -> PgConnection:
    holder = session(connect, autocommit=False)
    query(holder, sql, *parameters)
    return holder


def _free_kinds(db: PgConnection, count: int) -> list[str]:
    kinds = [f"kind {number}" for number in range(count)]
    for kind in kinds:
        call(db, "add_video_type", kind=kind)
    return kinds


def _days(connect: Connect, db: PgConnection, day: dt.date) -> list[PgConnection]:
    """Hold the lock of each limit that a type charges."""
    call(db, "add_video_type", kind="wide")
    limits = ["a", "b", "c", "d"]
    for limit in limits:
        call(db, "set_daily_limit", p_limit=limit, p_max=9, p_counted_at="publish")
        call(db, "set_charge", kind="wide", p_limit=limit, p_units=1)
        call(db, "override_day", p_limit=limit, p_day=day, p_max=8)
    return [
        _hold(connect, "select from slotwarden.limit_day where limit_id = %s for update", limit)
        for limit in limits
    ]


def _limits(connect: Connect, db: PgConnection, day: dt.date) -> list[PgConnection]:
    """Hold the limits whose days are missing."""
    holders = _days(connect, db, day)
    for holder in holders:
        holder.rollback()
    return [
        _hold(connect, "select from slotwarden.daily_limit where limit_id = %s for update", limit)
        for limit in ("a", "b", "c", "d")
    ]


def _key_then_slot(connect: Connect, db: PgConnection, day: dt.date) -> list[PgConnection]:
    """Hold the key, and the slot that is looked at after it."""
    first, second, _ = _free_kinds(db, 3)
    holders = [session(connect, autocommit=False) for _ in range(2)]
    reserve(holders[0], day, first, "09:00", key="k")
    reserve(holders[1], day, second, "10:00")
    return holders


def _slot_then_video(connect: Connect, db: PgConnection, day: dt.date) -> list[PgConnection]:
    """Hold the slot, and the video that is looked at after it."""
    first, second, _ = _free_kinds(db, 3)
    holders = [session(connect, autocommit=False) for _ in range(2)]
    reserve(holders[0], day, first, "10:00")
    reserve(holders[1], day, second, "09:00", video="a.mp4")
    return holders


@pytest.mark.parametrize(
    ("held", "kind", "offset"),
    [
        pytest.param(_days, "wide", 0, id="days"),
        pytest.param(_limits, "wide", 1, id="limits of missing days"),
        pytest.param(_key_then_slot, "kind 2", 0, id="key, then slot"),
        pytest.param(_slot_then_video, "kind 2", 0, id="slot, then video"),
    ],
)
def test_the_budget_of_a_booking_is_for_all_its_locks_together(
    connect: Connect,
    held: Callable[[Connect, PgConnection, dt.date], list[PgConnection]],
    kind: str,
    offset: int,
) -> None:
    db = session(connect)
    day = coming_day(db)
    bound_wait(db, BUDGET, "reserve_slot")
    holders = held(connect, db, day)
    waiting = background(
        session(connect, role=APP),
        "reserve_slot",
        day=day + dt.timedelta(days=offset),
        kind=kind,
        at="10:00",
        video="a.mp4",
        key="k",
    )
    _release_in_turn(db, waiting, holders)
    assert waiting.outcome.sqlstate == "55P03"
    assert scalar(db, "select count(*) from slotwarden.reservation") == 0
    assert_consistent(db)


@pytest.mark.parametrize(
    ("function", "arguments", "held"),
    [
        ("reserve_slot", {"kind": "final", "day": DAY, "at": "10:00"}, "limit_day"),
        ("reserve_next_slot", {"kind": "final"}, "channel"),
        ("set_channel", {"p_channel": "default", "p_upload_lead": "2 hours"}, "channel"),
        ("account_upload", {"kind": "final"}, "channel"),
        ("set_daily_limit", {"p_limit": "final", "p_max": 1}, "daily_limit"),
        ("override_day", {"p_limit": "final", "p_day": DAY, "p_max": 1}, "daily_limit"),
    ],
)
def test_the_budget_of_a_call_counts_those_who_overtake(
    connect: Connect,
    wait_until_blocked: WaitUntilBlocked,
    function: str,
    arguments: dict[str, object],
    held: str,
) -> None:
    db = prepared(connect)
    bound_wait(db, BUDGET, function)
    call(db, "override_day", p_limit="final", p_day=DAY, p_max=2)
    lock = f"select from slotwarden.{held} for update"
    before = snapshot(db)
    holders = [_hold(connect, lock), session(connect, autocommit=False)]
    # In the queue before the call, and again in its way when the first has gone.
    ahead = Background(holders[1], lock)
    wait_until_blocked(ahead.pid)
    waiting = background(session(connect), function, **arguments)
    wait_until_blocked(waiting.pid)
    _until_waited(db, waiting)
    holders[0].rollback()
    assert ahead.outcome.sqlstate is None
    _until_waited(db, waiting)
    holders[1].rollback()
    assert waiting.outcome.sqlstate == "55P03"
    assert snapshot(db) == before
    assert_consistent(db)


_LIMITS_TO_HOLD = ("api_units", "final", "short")


@pytest.mark.parametrize(
    ("function", "arguments", "held"),
    [
        ("cancel_reservation", {"p_reservation_id": 1}, "limit_day"),
        ("set_daily_limit", {"p_limit": "final", "p_max": 1}, "days of one limit"),
        ("set_channel", {"p_channel": "default", "p_time_zone": "Asia/Seoul"}, "daily_limit"),
        (
            "create_channel",
            {"p_channel": "new", "p_share_limits": list(_LIMITS_TO_HOLD)},
            "daily_limit",
        ),
        (
            "recalculate_usage",
            {"p_from": "2000-01-01", "p_to": "2999-01-01", "p_recharge": True},
            "limit_day",
        ),
    ],
)
def test_the_budget_of_other_calls_is_for_all_their_locks_together(
    connect: Connect, function: str, arguments: dict[str, object], held: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    bound_wait(db, BUDGET, function)
    call(db, "set_charge", kind="final", p_limit="short", p_units=1)
    for offset in range(3):
        booked = reserve(db, day + dt.timedelta(days=offset), "final", "20:00")
        assert booked.reservation_id == offset + 1
    if held == "days of one limit":
        lock = "select from slotwarden.limit_day where limit_id = 'final' and day = %s for update"
        holders = [_hold(connect, lock, day + dt.timedelta(days=offset)) for offset in range(3)]
    else:
        lock = f"select from slotwarden.{held} where limit_id = %s for update"
        holders = [_hold(connect, lock, limit) for limit in _LIMITS_TO_HOLD]
    before = snapshot(db)
    waiting = background(session(connect), function, **arguments)
    _release_in_turn(db, waiting, holders)
    assert waiting.outcome.sqlstate == "55P03"
    assert snapshot(db) == before
    assert_consistent(db)


def test_every_call_that_locks_has_a_budget_of_five_seconds(connect: Connect) -> None:
    without = query(
        session(connect),
        "select p.oid::regprocedure from pg_proc as p"
        " where p.pronamespace = 'slotwarden'::regnamespace and p.provolatile = 'v'"
        " and has_function_privilege('slotwarden_admin', p.oid, 'execute')"
        " and not coalesce('lock_timeout=5s' = any (p.proconfig), false)",
    )
    assert without == []


@pytest.mark.parametrize("mine", ["0", "7s"])
def test_the_sessions_own_timeout_is_back_after_the_call(connect: Connect, mine: str) -> None:
    db = session(connect, autocommit=False)
    day = coming_day(db)
    query(db, f"set lock_timeout = '{mine}'")
    reserve(db, day, "final", "20:00")
    assert scalar(db, "show lock_timeout") == mine
    query(db, "savepoint before_refusal")
    with raises_sqlstate("SWTKN"):
        reserve(db, day, "final", "20:00")
    query(db, "rollback to before_refusal")
    assert scalar(db, "show lock_timeout") == mine


@pytest.mark.parametrize("budget", ["60s", "0"])
def test_the_sessions_own_timeout_does_not_shorten_the_budget(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, budget: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    bound_wait(db, budget, "reserve_slot")
    holder = session(connect, autocommit=False)
    reserve(holder, day, "final", "10:00")
    hasty = session(connect, role=APP, settings={"lock_timeout": "1ms"})
    waiting = background(hasty, "reserve_slot", day=day, kind="final", at="11:00")
    wait_until_blocked(waiting.pid)
    holder.commit()
    assert waiting.outcome.sqlstate is None


def test_a_full_day_is_refused_without_waiting_and_without_writing(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    for at in ("10:00", "11:00"):
        reserve(db, day, "final", at)
    _hold(connect, "select from slotwarden.limit_day for update")
    bound_wait(db, "1ms", "reserve_slot")
    reader = session(connect, role=APP, settings={"default_transaction_read_only": "on"})
    for at, refusal in (("10:00", "SWTKN"), ("12:00", "SWLIM")):
        with raises_sqlstate(refusal):
            reserve(reader, day, "final", at)


def test_a_batch_that_works_for_longer_than_its_budget_has_not_waited(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    call(db, "set_daily_limit", p_limit="final", p_max=20)
    call(db, "set_daily_limit", p_limit="api_units", p_max=100000)
    bound_wait(db, "1ms", "reserve_slots")
    wishes = [
        {"date": str(day), "time": f"{hour:02}:00", "type": "final", "video": f"{hour}.mp4"}
        for hour in range(20)
    ]
    rows = call(db, "reserve_slots", p_requests=json.dumps(wishes))
    assert [row.outcome for row in rows] == ["reserved"] * 20
    assert_consistent(db)


def _profile(connect: Connect, db: PgConnection) -> list[PgConnection]:
    """Hold the channel, and the limit that is looked at after it."""
    query(db, "delete from slotwarden.charge_rule where limit_id = 'api_units'")
    return [
        _hold(connect, "select from slotwarden.channel for update"),
        _hold(connect, "select from slotwarden.daily_limit for update"),
    ]


def _two_slots(connect: Connect, db: PgConnection) -> list[PgConnection]:
    """Hold two slots with bookings that are charged nothing, and so lock no day."""
    (free,) = _free_kinds(db, 1)
    holders = [session(connect, autocommit=False) for _ in range(2)]
    for holder, at in zip(holders, ("10:00", "14:00"), strict=True):
        reserve(holder, DAY, free, at)
    return holders


_TWO_WISHES = json.dumps(
    [{"type": "kind 0", "date": str(DAY), "time": at} for at in ("10:00", "14:00")]
)
_TWO_ROWS = json.dumps(
    [
        langflix_row(n, video_type="kind 0", scheduled_publish_time=f"{DAY}T{at}:00+00:00")
        for n, at in enumerate(("10:00", "14:00"), 1)
    ]
)


@pytest.mark.parametrize(
    ("function", "arguments", "held", "end"),
    [
        ("reserve_slots", {"p_requests": _TWO_WISHES}, _two_slots, "rollback"),
        ("reserve_next_slot", {"kind": "kind 0", "p_from": DAY}, _two_slots, "commit"),
        (
            "import_langflix",
            {"p_schedule": _TWO_ROWS, "p_source": "test"},
            _two_slots,
            "rollback",
        ),
        ("apply_quota_profile", {"p_profile": "units-10000"}, _profile, "rollback"),
    ],
)
def test_the_budget_of_a_call_is_for_all_that_it_does(
    connect: Connect,
    function: str,
    arguments: dict[str, object],
    held: Callable[[Connect, PgConnection], list[PgConnection]],
    end: str,
) -> None:
    db = prepared(connect)
    bound_wait(db, BUDGET, function)
    holders = held(connect, db)
    waiting = background(session(connect), function, **arguments)
    for holder in holders:
        _until_waited(db, waiting)
        getattr(holder, end)()
    assert waiting.outcome.sqlstate == "55P03"
    assert_consistent(db)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("reserve_next_slot", {"kind": "final", "p_from": DAY}),
        ("set_channel", {"p_channel": "default", "p_time_zone": "Asia/Seoul"}),
        ("set_daily_limit", {"p_limit": "final", "p_max": 1}),
        ("override_day", {"p_limit": "final", "p_day": DAY, "p_max": 1}),
    ],
)
def test_whoever_waits_for_nobody_may_take_its_time(
    connect: Connect, function: str, arguments: dict[str, object]
) -> None:
    db = prepared(connect)
    bound_wait(db, "1ms", function)
    call(db, function, **arguments)
