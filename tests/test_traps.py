"""The traps that an earlier scheduler fell into, one test for each, in the order of the list.

Each shows, on a real PostgreSQL, that slotwarden cannot fall into the trap; the modules beside this
one go into the details.
"""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Engine

from slotwarden import DatabaseUnavailable, Scheduler
from support import (
    APP,
    OWNER,
    Connect,
    WaitUntilBlocked,
    assert_consistent,
    attempt_call,
    background,
    be_patient,
    bound_wait,
    call,
    call_sql,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    run_concurrently,
    scalar,
    session,
    used,
)


def test_trap_of_a_lock_timeout_that_the_library_does_not_know(
    engine: Engine, connect: Connect
) -> None:
    db = session(connect)
    scheduler = Scheduler(engine)
    first = coming_day(db)
    for offset in range(10):
        scheduler.reserve_slot(first + dt.timedelta(days=offset), "final", dt.time(10))
    assert scalar(db, "select count(*) from slotwarden.reservation") == 10
    assert_consistent(db)


def test_trap_of_locking_a_day_that_does_not_exist(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.daily_limit for update")
    calls = [
        (
            session(connect, role=APP),
            *call_sql("reserve_slot", day=day, kind="final", at=f"{hour}:00"),
        )
        for hour in range(10, 20)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, gate.rollback)
    assert (
        sorted(outcome.sqlstate or "booked" for outcome in outcomes)
        == ["SWLIM"] * 8 + ["booked"] * 2
    )
    assert used(db, day) == {"final": 2, "api_units": 3200}
    assert_consistent(db)


def test_trap_of_a_time_chosen_before_the_lock(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    first = session(connect, role=APP, autocommit=False)
    holder = reserve(first, day, "final", "10:00")
    second = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="final", at="10:00"
    )
    wait_until_blocked(second.pid)
    first.commit()
    assert second.outcome.sqlstate == "SWTKN"
    assert second.outcome.facts["reservation_id"] == holder.reservation_id
    assert_consistent(db)


def test_trap_of_one_instant_written_with_two_offsets(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    call(db, "create_channel", p_channel="seoul", p_time_zone="Asia/Seoul")
    booked = call(db, "reserve_slot_at", instant=f"{day} 01:30+09", kind="final", channel="seoul")[
        0
    ]
    before = day - dt.timedelta(days=1)
    with raises_sqlstate("SWTKN"):
        call(db, "reserve_slot_at", instant=f"{before} 16:30Z", kind="final", channel="seoul")
    with raises_sqlstate("SWTKN"):
        reserve(db, day, "short", "01:30", channel="seoul")
    assert booked.local_date == day
    assert used(db, day) == {"seoul/final": 1}
    assert used(db, before) == {"seoul/api_units": 1600}
    assert_consistent(db)


def test_trap_of_charging_at_booking_and_again_at_upload(connect: Connect) -> None:
    db = session(connect, role=OWNER)
    day = coming_day(db)
    booked = reserve(db, day, "final", "20:00")
    assert used(db, day) == {"final": 1, "api_units": 1600}
    for status in ("uploading", "completed"):
        query(
            db,
            "update slotwarden.reservation set upload_status = %s where reservation_id = %s",
            status,
            booked.reservation_id,
        )
    # The upload ran today, so today is charged for it, and the day of publishing no longer.
    assert used(db, day) == {"final": 1}
    assert (
        scalar(db, "select sum(units) from slotwarden.usage_ledger where limit_id = 'api_units'")
        == 1600
    )
    assert_consistent(db)


def test_trap_of_a_cancelled_booking_that_keeps_its_quota(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    booked = reserve(db, day, "final", "20:00")
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    assert used(db, day) == {}
    assert reserve(db, day, "final", "20:00").reservation_id != booked.reservation_id
    assert_consistent(db)


def test_trap_of_a_failed_upload_that_keeps_its_slot(connect: Connect) -> None:
    db = session(connect, role=OWNER)
    day = coming_day(db)
    reserve(db, day, "final", "20:00")
    for status in ("uploading", "failed"):
        query(db, "update slotwarden.reservation set upload_status = %s", status)
    assert used(db, day) == {}
    reserve(db, day, "final", "20:00")
    assert used(db, day) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_trap_of_taking_an_unreachable_database_for_an_empty_one(database_url: str) -> None:
    nowhere = database_url.replace("host=", "host=/nonexistent")
    with Scheduler(nowhere) as scheduler, pytest.raises(DatabaseUnavailable):
        scheduler.reserve_slot(dt.date(2100, 1, 1), "final", dt.time(10))


def test_trap_of_accepting_times_that_are_past(connect: Connect) -> None:
    db = session(connect)
    with raises_sqlstate("SWPST"):
        reserve(db, coming_day(db, -1), "final", "10:00")
    with raises_sqlstate("SWPST"):
        call(
            db,
            "reserve_slot_at",
            instant=scalar(db, "select date_trunc('minute', now())"),
            kind="final",
        )
    assert scalar(db, "select count(*) from slotwarden.limit_day") == 0


def test_trap_of_a_guess_when_two_weeks_are_full(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    for offset in range(14):
        call(
            db,
            "override_day",
            p_limit="final",
            p_day=day + dt.timedelta(days=offset),
            p_max=0,
        )
    outcome = attempt_call(db, "reserve_slot", day=day, kind="final", at="10:00")
    assert outcome.sqlstate == "SWLIM"
    assert outcome.hint == "No slot is free in the next 14 days."
    assert scalar(db, "select count(*) from slotwarden.reservation") == 0


def test_trap_of_waiting_for_a_lock_without_end(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    bound_wait(db, "1s", "reserve_slot")
    idle = session(connect, role=APP, autocommit=False)
    reserve(idle, day, "final", "10:00")
    waiting = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="final", at="11:00"
    )
    wait_until_blocked(waiting.pid)
    assert waiting.outcome.sqlstate == "55P03"
    idle.rollback()
    assert scalar(db, "select count(*) from slotwarden.reservation") == 0
    assert_consistent(db)


@pytest.mark.parametrize(
    "question",
    [
        "slotwarden.daily_status(current_date + 30)",
        "slotwarden.calendar(current_date + 30)",
        "slotwarden.daily_usage",
        "slotwarden.usage_drift",
    ],
)
def test_trap_of_a_status_question_that_writes(connect: Connect, question: str) -> None:
    db = session(connect, settings={"default_transaction_read_only": "on"})
    query(db, f"select * from {question}")
    assert scalar(db, "select count(*) from slotwarden.limit_day") == 0


def test_trap_of_several_statements_with_the_lock_held_between_them(connect: Connect) -> None:
    db = session(connect, role=APP)
    reserve(db, coming_day(db), "final", "10:00")
    held = "select count(*) from pg_locks where pid = %s and relation::regclass::text ~ 'limit_day'"
    watcher = session(connect)
    assert scalar(watcher, held, db.info.backend_pid) == 0
    assert scalar(watcher, "select count(*) from slotwarden.reservation") == 1
    assert_consistent(watcher)
