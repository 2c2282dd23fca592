"""Holding a day, and seeing who waits for whom on which day."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from conftest import Copies
from life import DAY, NEXT, ONE_DAY, fail, on, prepared, refusal, run_clock, start
from support import (
    APP,
    READER,
    Background,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    attempt_call,
    background,
    be_patient,
    bound_wait,
    call,
    coming_day,
    query,
    reserve,
    session,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    connection = prepared(connect)
    be_patient(
        connection,
        "reserve_slot",
        "cancel_reservation",
        "override_day",
        "set_daily_limit",
        "record_usage",
        "lock_day",
    )
    return connection


def waits(connection: PgConnection) -> dict[int, tuple[list[int], str, dt.date]]:
    rows = query(connection, "select * from slotwarden.lock_waits")
    return {row.waiting_pid: (row.blocking_pids, row.limit_id, row.day) for row in rows}


def booking(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, day: dt.date, at: str
) -> Background:
    started = background(
        session(connect, role=APP, settings={"application_name": f"at-{at}"}),
        "reserve_slot",
        day=day,
        kind="final",
        at=at,
    )
    wait_until_blocked(started.pid)
    return started


def test_who_waits_for_whom_on_which_day(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    reserve(db, DAY, "short", "20:00")
    reserve(db, DAY, "final", "19:00")
    holder = session(connect, role=APP, autocommit=False)
    call(holder, "lock_day", p_day=DAY)
    first = booking(connect, wait_until_blocked, DAY, "21:00")
    second = booking(connect, wait_until_blocked, DAY, "22:00")
    reader = session(connect, role=READER)
    seen = waits(reader)
    assert set(seen) == {first.pid, second.pid}
    # Locks are taken by limit within a day, so both stand before the first.
    assert seen[first.pid] == ([holder.info.backend_pid], "api_units", DAY)
    assert first.pid in seen[second.pid][0]
    assert seen[second.pid][1:] == ("api_units", DAY)
    shown = query(db, "select * from slotwarden.lock_waits where waiting_pid = %s", first.pid)[0]
    assert shown.waiting_application == "at-21:00"
    assert shown.waiting_role is not None
    assert shown.waiting_since is not None
    holder.rollback()
    assert sorted([first.outcome.sqlstate or "", second.outcome.sqlstate or ""]) == ["", "SWLIM"]
    assert waits(reader) == {}
    assert_consistent(db)


def test_waiting_for_something_else_is_not_shown(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    booked = reserve(db, DAY, "final", "20:00")
    holder = session(connect, autocommit=False)
    query(holder, "select from slotwarden.reservation for update")
    waiting = background(
        session(connect, role=APP),
        "cancel_reservation",
        p_reservation_id=booked.reservation_id,
    )
    wait_until_blocked(waiting.pid)
    assert waits(db) == {}
    # It holds the day meanwhile, and that can be waited for.
    behind = booking(connect, wait_until_blocked, DAY, "21:00")
    assert waits(db) == {behind.pid: ([waiting.pid], "api_units", DAY)}
    holder.rollback()
    assert waiting.outcome.row.upload_status == "cancelled"
    assert behind.outcome.sqlstate is None


def test_a_wait_in_another_database_of_the_same_origin_is_not_shown(
    connect: Connect,
    db: PgConnection,
    copies: Copies,
    wait_until_blocked: WaitUntilBlocked,
) -> None:
    # Both are copies of one template, so their tables have the same numbers.
    with copies() as url:
        holder, behind = (connect(url) for _ in range(2))
        day = coming_day(holder)
        reserve(holder, day, "final", "20:00")
        waiting = background(behind, "reserve_slot", day=day, kind="final", at="21:00")
        wait_until_blocked(waiting.pid)
        assert waits(db) == {}
        holder.rollback()
        assert waiting.outcome.sqlstate is None


def test_waiting_for_the_first_booking_of_a_day_is_shown(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    holder = session(connect, role=APP, autocommit=False)
    reserve(holder, DAY, "final", "20:00")
    waiting = booking(connect, wait_until_blocked, DAY, "21:00")
    seen = waits(db)
    holder.rollback()
    assert waiting.outcome.sqlstate is None
    assert seen[waiting.pid][0] == [holder.info.backend_pid]


def test_a_day_that_is_held_has_the_status_that_it_is_held_with(
    connect: Connect, db: PgConnection
) -> None:
    reserve(db, DAY, "final", "20:00")
    holder = session(connect, role=APP, autocommit=False)
    held = call(holder, "lock_day", p_day=DAY)
    assert held == call(db, "daily_status", p_day=DAY)
    assert [row.limit_id for row in held] == ["final", "short", "api_units"]
    # A day that nobody has booked can be held as well.
    assert [row.used_units for row in call(holder, "lock_day", p_day=NEXT)] == [0, 0, 0]
    reserve(holder, DAY, "final", "21:00")
    holder.commit()
    assert call(db, "daily_status", p_day=DAY)[0].used_units == 2
    assert_consistent(db)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("reserve_slot", {"day": DAY, "kind": "short", "at": "10:00"}),
        ("cancel_reservation", {"p_reservation_id": None}),
        ("override_day", {"p_limit": "final", "p_day": DAY, "p_max": 7}),
        ("set_daily_limit", {"p_limit": "final", "p_max": 7}),
        ("record_usage", {"p_limit": "final", "p_units": 1, "p_day": DAY}),
        ("lock_day", {"p_day": DAY}),
    ],
)
def test_nobody_changes_a_day_that_is_held(
    connect: Connect,
    db: PgConnection,
    wait_until_blocked: WaitUntilBlocked,
    function: str,
    named: dict[str, Any],
) -> None:
    booked = reserve(db, DAY, "final", "20:00")
    holder = session(connect, role=APP, autocommit=False)
    call(holder, "lock_day", p_day=DAY)
    if "p_reservation_id" in named:
        named = {"p_reservation_id": booked.reservation_id}
    waiting = background(session(connect), function, **named)
    wait_until_blocked(waiting.pid)
    holder.commit()
    assert waiting.outcome.sqlstate is None
    assert_consistent(db)


def test_other_days_are_free(connect: Connect, db: PgConnection) -> None:
    holder = session(connect, role=APP, autocommit=False)
    call(holder, "lock_day", p_day=DAY)
    assert reserve(db, NEXT + ONE_DAY, "final", "10:00").version == 1
    holder.rollback()


def test_a_day_that_others_hold_is_waited_for_no_longer_than_the_budget(
    connect: Connect, db: PgConnection
) -> None:
    holder = session(connect, role=APP, autocommit=False)
    call(holder, "lock_day", p_day=DAY)
    bound_wait(db, "50ms", "lock_day")
    assert attempt_call(db, "lock_day", p_day=DAY).sqlstate == "55P03"
    holder.rollback()


def test_every_call_gives_up_when_its_budget_is_spent(connect: Connect, db: PgConnection) -> None:
    scheduled, started, failed = (
        reserve(db, DAY, "short", at) for at in ("10:00", "11:00", "12:00")
    )
    started, failed = start(db, started), fail(db, start(db, failed))
    run_clock(db, f"{NEXT} 12:00Z")
    later = NEXT + ONE_DAY
    on_scheduled = {"p_reservation_id": scheduled.reservation_id}
    on_failed = {"p_reservation_id": failed.reservation_id}
    on_started = {"p_reservation_id": started.reservation_id, "p_token": started.lease_token}
    somewhere = {"day": later, "at": "10:00"}
    batch = [{"date": str(later), "time": "10:00", "type": "final"}]
    calls: dict[str, dict[str, Any]] = {
        "reserve_next_slot": {"kind": "final", "p_from": later},
        "reserve_slots": {"p_requests": json.dumps(batch)},
        "reschedule_reservation": {**on_scheduled, **somewhere},
        "retry_upload": {**on_failed, **somewhere},
        "start_upload": on_scheduled,
        "claim_due_uploads": {},
        "complete_upload": on_started,
        "fail_upload": on_started,
        "record_usage": {"p_limit": "final", "p_units": 1, "p_day": later},
        "lock_day": {"p_day": later},
    }
    holder = session(connect, autocommit=False)
    for table in ("daily_limit", "limit_day", "reservation"):
        query(holder, f"select from slotwarden.{table} for update")
    bound_wait(db, "30ms", *calls)
    for function, named in calls.items():
        assert refusal(db, function, **named).sqlstate == "55P03", function
    holder.rollback()
    assert_consistent(db)


def test_days_that_cannot_be_held(db: PgConnection) -> None:
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("SWARG", {"p_day": None}),
        ("SWARG", {"p_day": "infinity"}),
        ("SWARG", {"p_day": DAY, "channel": None}),
        ("SWCHN", {"p_day": DAY, "channel": "nobody"}),
    ]
    for sqlstate, named in mistakes:
        assert attempt_call(db, "lock_day", **named).sqlstate == sqlstate
    assert query(db, "select day from slotwarden.limit_day") == []


def test_holding_a_day_is_for_those_who_book(connect: Connect, db: PgConnection) -> None:
    assert attempt_call(session(connect, role=READER), "lock_day", p_day=DAY).sqlstate == "42501"
    on(db, "cancel_reservation", reserve(db, DAY, "final", "10:00"))
    assert waits(db) == {}
