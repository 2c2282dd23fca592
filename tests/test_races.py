"""Many callers at once: every race is lined up behind one lock and then let go.

A day without rows is the hard case, since there is nothing to lock yet; so is a slot for which the
callers share no limit, since no day holds them back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import (
    APP,
    OWNER,
    Connect,
    Outcome,
    WaitUntilBlocked,
    assert_consistent,
    attempt_call,
    background,
    be_patient,
    call,
    call_sql,
    coming_day,
    query,
    reserve,
    run_concurrently,
    scalar,
    session,
    used,
)


def _counted(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.sqlstate or "booked" for outcome in outcomes)


@pytest.mark.parametrize("day_exists", [False, True])
def test_fifty_callers_with_mixed_types_never_overbook_a_day(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, day_exists: bool
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    call(db, "set_daily_limit", p_limit="api_units", p_max=1_000_000)
    gate = session(connect, autocommit=False)
    if day_exists:
        booked = reserve(db, day, "final", "23:59")
        reserve(db, day, "short", "23:58")
        query(db, "update slotwarden.reservation set upload_status = 'cancelled'")
        assert booked.upload_status == "scheduled"
        query(gate, "select from slotwarden.limit_day for update")
    else:
        query(gate, "select from slotwarden.daily_limit for update")
    calls = [
        (
            session(connect, role=APP),
            *call_sql(
                "reserve_slot",
                day=day,
                kind="short" if number % 3 else "final",
                at=f"{10 + number % 12}:{number // 12:02d}",
            ),
        )
        for number in range(50)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, gate.rollback)
    assert _counted(outcomes) == {"booked": 7, "SWLIM": 43}
    assert used(db, day) == {"final": 2, "short": 5, "api_units": 7 * 1600}
    assert_consistent(db)


@pytest.mark.parametrize("charged", ["one limit", "a limit each", "no limit"])
def test_one_of_twenty_callers_gets_the_slot(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, charged: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    call(db, "set_daily_limit", p_limit="shared", p_max=100, p_counted_at="publish")
    kinds = [f"kind {number}" for number in range(20)]
    for kind in [*kinds, "holder"]:
        call(db, "add_video_type", kind=kind)
        if charged == "one limit":
            call(db, "set_charge", kind=kind, p_limit="shared", p_units=1)
        elif charged == "a limit each":
            call(db, "set_daily_limit", p_limit=kind, p_max=1, p_counted_at="publish")
            call(db, "set_charge", kind=kind, p_limit=kind, p_units=1)
    # Holds the slot, and gives it back when all are waiting for what becomes of it.
    holder = session(connect, role=APP, autocommit=False)
    reserve(holder, day, "holder", "10:00")
    calls = [
        (session(connect, role=APP), *call_sql("reserve_slot", day=day, kind=kind, at="10:00"))
        for kind in kinds
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, holder.rollback)
    assert _counted(outcomes) == {"booked": 1, "SWTKN": 19}
    winner = next(each.row.reservation_id for each in outcomes if each.sqlstate is None)
    assert {each.facts["reservation_id"] for each in outcomes if each.sqlstate} == {winner}
    assert scalar(db, "select coalesce(sum(units), 0) from slotwarden.usage_ledger") == (
        0 if charged == "no limit" else 1
    )
    assert_consistent(db)


def test_one_of_twenty_callers_books_the_video(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    call(db, "add_video_type", kind="free")
    holder = session(connect, role=APP, autocommit=False)
    reserve(holder, day, "free", "09:00", video="a.mp4")
    calls = [
        (
            session(connect, role=APP),
            *call_sql("reserve_slot", day=day, kind="free", at=f"10:{minute}", video="a.mp4"),
        )
        for minute in range(20, 40)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, holder.rollback)
    assert _counted(outcomes) == {"booked": 1, "SWDUP": 19}
    assert_consistent(db)


def test_callers_of_two_days_in_opposite_orders_never_deadlock(connect: Connect) -> None:
    db = session(connect)
    days = [coming_day(db, 30), coming_day(db, 31)]
    be_patient(db, "reserve_slot", "cancel_reservation")
    for limit in ("final", "api_units"):
        call(db, "set_daily_limit", p_limit=limit, p_max=1_000_000)
    # The upload's day in California is the day before for a slot in the small hours, so each call
    # locks two days, and the days of different calls overlap both ways.
    call(db, "create_channel", p_channel="other", p_share_limits=["final", "api_units"])
    sessions = [session(connect, role=APP) for _ in range(20)]

    def book_and_cancel(number: int) -> list[str]:
        found = []
        for day in days if number % 2 else reversed(days):
            for hour in ("03", "20"):
                booked = attempt_call(
                    sessions[number],
                    "reserve_slot",
                    day=day,
                    kind="final",
                    at=f"{hour}:{number:02d}",
                    channel=("default", "other")[number // 2 % 2],
                )
                found.append(booked.sqlstate or "booked")
                if hour == "20":
                    call(
                        sessions[number],
                        "cancel_reservation",
                        p_reservation_id=booked.row.reservation_id,
                    )
        return found

    with ThreadPoolExecutor(len(sessions)) as pool:
        found = [state for states in pool.map(book_and_cancel, range(20)) for state in states]
    assert Counter(found) == {"booked": 80}
    assert used(db, days[1])["final"] == 20
    assert_consistent(db)


@pytest.mark.parametrize("first", ["booking", "maximum"])
def test_a_limit_lowered_while_the_first_booking_of_a_day_is_in_flight(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, first: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot", "set_daily_limit")
    early, late = session(connect, autocommit=False), session(connect)
    if first == "booking":
        reserve(early, day, "final", "10:00")
        second = background(late, "set_daily_limit", p_limit="final", p_max=0)
    else:
        call(early, "set_daily_limit", p_limit="final", p_max=0)
        second = background(late, "reserve_slot", day=day, kind="final", at="10:00")
    wait_until_blocked(second.pid)
    early.commit()
    assert second.outcome.sqlstate == (None if first == "booking" else "SWLIM")
    third = attempt_call(db, "reserve_slot", day=day, kind="final", at="11:00")
    assert third.sqlstate == "SWLIM"
    assert third.facts["max"] == 0
    assert used(db, day).get("final", 0) == (1 if first == "booking" else 0)
    assert_consistent(db)


@pytest.mark.parametrize("first", ["booking", "override"])
def test_a_day_overridden_while_its_first_booking_is_in_flight(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, first: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot", "override_day")
    early, late = session(connect, autocommit=False), session(connect)
    if first == "booking":
        reserve(early, day, "final", "10:00")
        second = background(late, "override_day", p_limit="final", p_day=day, p_max=0)
    else:
        call(early, "override_day", p_limit="final", p_day=day, p_max=0)
        second = background(late, "reserve_slot", day=day, kind="final", at="10:00")
    wait_until_blocked(second.pid)
    early.commit()
    assert second.outcome.sqlstate == (None if first == "booking" else "SWLIM")
    assert used(db, day).get("final", 0) == (1 if first == "booking" else 0)
    assert_consistent(db)


def test_two_cancellations_at_once_give_back_once(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "cancel_reservation")
    booked = reserve(db, day, "final", "20:00")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.limit_day for update")
    calls = [
        (
            session(connect, role=APP),
            *call_sql("cancel_reservation", p_reservation_id=booked.reservation_id),
        )
        for _ in range(5)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, gate.rollback)
    assert {each.row.version for each in outcomes} == {2}
    assert used(db, day) == {}
    assert_consistent(db)


def test_a_place_freed_by_a_cancellation_in_flight_is_given_once(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    booked = reserve(db, day, "final", "10:00")
    going = session(connect, autocommit=False)
    call(going, "cancel_reservation", p_reservation_id=booked.reservation_id)
    calls = [
        (session(connect, role=APP), *call_sql("reserve_slot", day=day, kind="final", at=at))
        for at in ("11:00", "12:00", "13:00")
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, going.commit)
    assert _counted(outcomes) == {"booked": 2, "SWLIM": 1}
    assert used(db, day)["final"] == 2
    assert_consistent(db)


def test_a_lock_row_deleted_under_the_waiters_lets_nobody_past(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    query(
        db,
        "insert into slotwarden.limit_day (limit_id, day) values ('final', %s)",
        day,
    )
    owner = session(connect, role=OWNER, autocommit=False)
    query(owner, "delete from slotwarden.limit_day where limit_id = 'final'")
    calls = [
        (
            session(connect, role=APP),
            *call_sql("reserve_slot", day=day, kind="final", at=f"{10 + number}:00"),
        )
        for number in range(6)
    ]
    outcomes = run_concurrently(calls, wait_until_blocked, owner.commit)
    counted = _counted(outcomes)
    assert counted["booked"] == 2
    # Who has lost its lock finds out by the ledger's version, or by its constraint.
    assert set(counted) <= {"booked", "SWLIM", "40001", "23514"}
    assert used(db, day)["final"] == 2
    assert_consistent(db)
