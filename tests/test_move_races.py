"""Moves among other calls: the locks of both days, and what changes while a move waits."""

from __future__ import annotations

import datetime as dt
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from life import DAY, NEXT, ONE_DAY, fail, move, prepared, start
from support import (
    APP,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    attempt_call,
    background,
    be_patient,
    call,
    query,
    reserve,
    scalar,
    session,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def test_two_moves_in_opposite_directions_lock_in_order(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reschedule_reservation")
    earlier = reserve(db, DAY, "final", "20:00")
    later = reserve(db, NEXT, "final", "20:00")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.limit_day where day = %s for update", DAY)
    moves = []
    for booked, day, at in ((earlier, NEXT, "21:00"), (later, DAY, "21:00")):
        waiting = background(
            session(connect, role=APP),
            "reschedule_reservation",
            p_reservation_id=booked.reservation_id,
            day=day,
            at=at,
        )
        wait_until_blocked(waiting.pid)
        moves.append(waiting)
    # Both wait for the first day, so neither has the second.
    free = "select limit_id from slotwarden.limit_day where day = %s for update skip locked"
    assert len(query(db, free, NEXT)) == 2
    gate.rollback()
    assert [str(each.outcome.row.local_date) for each in moves] == [str(NEXT), str(DAY)]
    assert used(db, DAY) == used(db, NEXT) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_moves_and_cancellations_across_three_days_never_deadlock(
    connect: Connect, db: PgConnection
) -> None:
    be_patient(db, "reschedule_reservation", "cancel_reservation", "reserve_slot")
    call(db, "set_daily_limit", p_limit="final", p_max=5)
    call(db, "set_daily_limit", p_limit="api_units", p_max=10_000)
    days = [DAY, NEXT, NEXT + dt.timedelta(days=1)]
    workers = [session(connect, role=APP) for _ in range(8)]

    def work(number: int) -> list[str]:
        dice = random.Random(number)  # noqa: S311
        mine = workers[number]
        found = []
        booked = attempt_call(
            mine, "reserve_slot", day=days[number % 3], kind="final", at=f"{number:02d}:00"
        )
        for step in range(25):
            if booked.sqlstate is not None:
                booked = attempt_call(
                    mine,
                    "reserve_slot",
                    day=dice.choice(days),
                    kind="final",
                    at=f"{number:02d}:{step:02d}",
                )
                found.append(booked.sqlstate or "booked")
                continue
            at = f"{dice.choice((6, 7, 8, 9)):02d}:{dice.randrange(60):02d}"
            outcome = attempt_call(
                mine,
                "reschedule_reservation",
                p_reservation_id=booked.row.reservation_id,
                day=dice.choice(days),
                at=at,
            )
            found.append(outcome.sqlstate or "moved")
            if step % 5 == 4:
                booked = attempt_call(
                    mine, "cancel_reservation", p_reservation_id=booked.row.reservation_id
                )
                found.append(booked.sqlstate or "cancelled")
                booked = attempt_call(
                    mine, "reserve_slot", day=days[0], kind="final", at=f"{10 + number}:{step}"
                )
        return found

    with ThreadPoolExecutor(len(workers)) as pool:
        found = [each for result in pool.map(work, range(len(workers))) for each in result]
    assert set(found) <= {"moved", "cancelled", "booked", "SWLIM", "SWTKN"}
    assert found.count("moved") > 50
    assert found.count("cancelled") > 10
    assert_consistent(db)


@pytest.mark.parametrize("ended", ["commit", "rollback"])
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_race_for_a_slot_between_types_that_share_no_limit(
    connect: Connect,
    db: PgConnection,
    wait_until_blocked: WaitUntilBlocked,
    ended: str,
    isolation: str,
) -> None:
    be_patient(db, "reschedule_reservation")
    for kind in ("free", "other"):
        call(db, "add_video_type", kind=kind)
    booked = reserve(db, DAY, "free", "10:00")
    rival = session(connect, role=APP, autocommit=False)
    reserve(rival, DAY, "other", "11:00")
    waiting = background(
        session(connect, role=APP, isolation=isolation),
        "reschedule_reservation",
        p_reservation_id=booked.reservation_id,
        day=DAY,
        at="11:00",
        key="k",
    )
    wait_until_blocked(waiting.pid)
    getattr(rival, ended)()
    lost = "SWTKN" if isolation == "read committed" else "40001"
    assert waiting.outcome.sqlstate == (lost if ended == "commit" else None)
    # A refusal is not remembered.
    keys = scalar(db, "select count(*) from slotwarden.request")
    assert keys == (0 if ended == "commit" else 1)
    assert_consistent(db)


def test_a_move_that_is_repeated_while_its_first_call_is_running(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reschedule_reservation")
    booked = reserve(db, DAY, "final", "10:00")
    first = session(connect, role=APP, autocommit=False)
    named = {"p_expected_version": 1, "key": "k"}
    moved = move(first, booked, DAY, "11:00", **named)
    again = background(
        session(connect, role=APP),
        "reschedule_reservation",
        p_reservation_id=booked.reservation_id,
        day=DAY,
        at="11:00",
        **named,
    )
    wait_until_blocked(again.pid)
    first.commit()
    assert again.outcome.row == moved
    assert_consistent(db)


def test_a_retry_of_a_move_to_another_day_while_its_first_call_is_running(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reschedule_reservation")
    booked = reserve(db, DAY, "final", "10:00")
    first = session(connect, role=APP, autocommit=False)
    moved = move(first, booked, NEXT, "11:00", key="k")
    again = background(
        session(connect, role=APP),
        "reschedule_reservation",
        p_reservation_id=booked.reservation_id,
        day=NEXT,
        at="11:00",
        key="k",
    )
    wait_until_blocked(again.pid)
    first.commit()
    assert again.outcome.row == moved
    assert_consistent(db)


@pytest.mark.parametrize("meanwhile", ["cancelled", "started", "moved within", "moved across"])
def test_a_reservation_that_changes_while_its_move_waits(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked, meanwhile: str
) -> None:
    be_patient(db, "reschedule_reservation")
    booked = reserve(db, DAY, "final", "20:00")
    reserve(db, NEXT, "short", "20:00")
    first = session(connect, role=APP, autocommit=False)
    match meanwhile:
        case "cancelled":
            call(first, "cancel_reservation", p_reservation_id=booked.reservation_id)
        case "started":
            call(first, "start_upload", p_reservation_id=booked.reservation_id)
        case "moved within":
            move(first, booked, DAY, "21:00")
        case "moved across":
            move(first, booked, NEXT, "21:00")
    waiting = background(
        session(connect, role=APP),
        "reschedule_reservation",
        p_reservation_id=booked.reservation_id,
        day=DAY,
        at="22:00",
    )
    wait_until_blocked(waiting.pid)
    first.commit()
    outcome = waiting.outcome
    if meanwhile == "moved within":
        assert (outcome.row.version, outcome.row.scheduled_publish_time.hour) == (3, 22)
    elif meanwhile == "moved across":
        # Its new day would have to be locked after a later one: it is to be tried again.
        assert outcome.sqlstate == "40001"
    else:
        assert outcome.sqlstate in ("SWSTA", "40001")
    assert_consistent(db)


def test_a_rule_that_changes_while_a_retry_waits_for_its_video_is_a_conflict(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "retry_upload")
    failed = reserve(db, DAY, "final", "20:00", video="a.mp4")
    fail(db, start(db, failed))
    for day in (NEXT, NEXT + ONE_DAY):
        call(db, "lock_day", p_day=day)
    rival = session(connect, autocommit=False)
    reserve(rival, NEXT, "final", "10:00", video="a.mp4")
    waiting = background(
        session(connect, role=APP),
        "retry_upload",
        p_reservation_id=failed.reservation_id,
        day=NEXT + ONE_DAY,
        at="10:00",
    )
    wait_until_blocked(waiting.pid)
    call(db, "set_charge", kind="final", p_limit="final", p_units=2)
    rival.rollback()
    assert waiting.outcome.sqlstate == "40001"
    assert_consistent(db)
