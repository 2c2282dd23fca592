"""The next free slot for many callers at once, and in races with others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from life import DAY, ONE_DAY, prepared, slot, slots_of, take
from support import (
    APP,
    OWNER,
    Background,
    Connect,
    Outcome,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    call_sql,
    query,
    reserve,
    run_concurrently,
    scalar,
    session,
    used,
)


def next_calls(
    connect: Connect, number: int, **named: Any
) -> list[tuple[PgConnection, str, Sequence[Any]]]:
    sql, parameters = call_sql("reserve_next_slot", kind="final", p_from=DAY, **named)
    return [(session(connect, role=APP), sql, parameters) for _ in range(number)]


def in_order_of_booking(outcomes: Iterable[Outcome]) -> list[str]:
    rows = [outcome.row for outcome in outcomes]
    return [slot(row) for row in sorted(rows, key=lambda row: row.reservation_id)]


def test_ten_callers_at_once_get_ten_slots_in_order(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect, limited=False)
    be_patient(db, "reserve_next_slot")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.channel for update")
    outcomes = run_concurrently(next_calls(connect, 10), wait_until_blocked, gate.rollback)
    assert in_order_of_booking(outcomes) == slots_of(1)[:10]
    assert_consistent(db)


def test_two_hundred_callers_at_once_leave_no_gap(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect, limited=False)
    be_patient(db, "reserve_next_slot")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.channel for update")
    calls = next_calls(connect, 200, p_horizon_days=16)
    outcomes = run_concurrently(calls, wait_until_blocked, gate.rollback)
    assert in_order_of_booking(outcomes) == slots_of(16)[:200]
    assert_consistent(db)


def test_many_callers_share_days_that_have_limits(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect)
    be_patient(db, "reserve_next_slot")
    call(db, "create_channel", channel="other", p_share_limits=["api_units"])
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.channel for update")
    calls = [
        (
            session(connect, role=APP),
            *call_sql("reserve_next_slot", kind=kind, p_from=DAY, channel=channel),
        )
        for channel in ("default", "other")
        for kind in ("final", "short")
        for _ in range(8)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, gate.rollback)
    taken = [(each.row.channel_id, slot(each.row)) for each in outcomes]
    assert len(set(taken)) == 32
    # Six uploads a day, so the sixth day is the first that is not full.
    totals = [used(db, DAY + day * ONE_DAY).get("api_units", 0) for day in range(8)]
    assert sum(totals) == 32 * 1600
    assert max(totals) == 9600
    assert_consistent(db)


def lost_race(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, at: str
) -> tuple[PgConnection, Background]:
    """Start a call that waits, with that slot chosen, for one who is about to take it."""
    be_patient(session(connect), "reserve_next_slot")
    rival = session(connect, role=APP, autocommit=False)
    reserve(rival, DAY, "final", at)
    waiting = background(
        session(connect, role=APP), "reserve_next_slot", kind="final", p_from=DAY, key="k"
    )
    wait_until_blocked(waiting.pid)
    return rival, waiting


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_a_race_for_the_slot_that_is_lost_or_won(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, outcome: str
) -> None:
    db = prepared(connect, limited=False)
    rival, waiting = lost_race(connect, wait_until_blocked, "10:00")
    getattr(rival, outcome)()
    expected = "14:00" if outcome == "commit" else "10:00"
    assert slot(waiting.outcome.row) == f"{DAY} {expected}"
    assert_consistent(db)


def test_a_race_for_the_last_posting_time_that_is_lost(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect, limited=False)
    for at in ("10:00", "14:00"):
        reserve(db, DAY, "final", at)
    rival, waiting = lost_race(connect, wait_until_blocked, "18:00")
    rival.commit()
    assert slot(waiting.outcome.row) == f"{DAY} 09:00"
    assert_consistent(db)


def test_a_race_for_the_last_place_of_a_day_that_is_lost(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect)
    reserve(db, DAY, "final", "12:00")
    rival, waiting = lost_race(connect, wait_until_blocked, "20:00")
    rival.commit()
    assert slot(waiting.outcome.row) == f"{DAY + ONE_DAY} 10:00"
    assert_consistent(db)


def test_a_retry_that_comes_while_its_first_call_is_running(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect, limited=False)
    be_patient(db, "reserve_next_slot")
    first = session(connect, role=APP, autocommit=False)
    named = {"kind": "final", "p_from": DAY, "video": "v", "key": "k", "p_horizon_days": 1}
    booked = call(first, "reserve_next_slot", **named)[0]
    again = background(session(connect, role=APP), "reserve_next_slot", **named)
    wait_until_blocked(again.pid)
    first.commit()
    assert again.outcome.row == booked
    assert used(db, DAY) == {"final": 1, "api_units": 1600}


def test_a_cancellation_in_flight_does_not_hold_up_the_next(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = prepared(connect, limited=False)
    be_patient(db, "reserve_next_slot")
    first = take(db)
    cancelling = session(connect, role=APP, autocommit=False)
    call(cancelling, "cancel_reservation", p_reservation_id=first.reservation_id)
    waiting = background(
        session(connect, role=OWNER), "reserve_next_slot", kind="final", p_from=DAY
    )
    wait_until_blocked(waiting.pid)
    cancelling.commit()
    # It had chosen its slot before the first one came free.
    assert slot(waiting.outcome.row) == f"{DAY} 14:00"
    assert slot(take(db)) == slot(first)
    assert scalar(db, "select count(*) from slotwarden.reservation") == 3
    assert_consistent(db)
