"""Workers: each due upload is claimed by one of them, and none waits for another's."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from life import DAY, NEXT, ONE_DAY, claim, on, prepared, refusal, run_clock, start
from support import (
    APP,
    Background,
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
    return prepared(connect, limited=False)


def booked_from(connection: PgConnection, day: dt.date, number: int) -> list[Any]:
    """Book that many, a minute apart, from 01:00 on."""
    return [
        reserve(connection, day, "final", f"{1 + minute // 60:02d}:{minute % 60:02d}")
        for minute in range(number)
    ]


def ids(rows: list[Any]) -> list[int]:
    return [row.reservation_id for row in rows]


def test_what_is_due_in_order_of_time(connect: Connect, db: PgConnection) -> None:
    later, earlier, not_yet = (reserve(db, DAY, "final", at) for at in ("11:00", "10:00", "20:00"))
    gone = reserve(db, DAY, "final", "09:00")
    on(db, "cancel_reservation", gone)
    worker = session(connect, role=APP)
    assert claim(worker, p_count=10) == []
    run_clock(db, f"{DAY} 12:00Z")
    assert ids(claim(worker)) == [earlier.reservation_id]
    (claimed,) = claim(worker, p_count=10)
    assert claimed.reservation_id == later.reservation_id
    assert (claimed.upload_status, claimed.attempt, claimed.version) == ("uploading", 1, 2)
    assert claimed.lease_expires_at - claimed.upload_time == dt.timedelta(minutes=15)
    assert claim(worker, p_count=10) == []
    run_clock(db, f"{DAY} 20:00Z")
    # By now the first leases have run out as well.
    assert ids(claim(worker, p_count=2)) == [earlier.reservation_id, later.reservation_id]
    assert ids(claim(worker, p_count=2)) == [not_yet.reservation_id]
    assert_consistent(db)


def test_uploads_run_ahead_of_the_publish_time(db: PgConnection) -> None:
    call(db, "set_channel", p_channel="default", p_upload_lead="6 hours")
    # California's day begins at 08:00, so this upload is of the day before.
    booked = reserve(db, NEXT, "final", "13:00")
    assert booked.upload_time == dt.datetime(2031, 3, 7, 7, tzinfo=dt.UTC)
    assert used(db, DAY) == {"api_units": 1600}
    run_clock(db, f"{NEXT} 06:59Z")
    assert claim(db) == []
    run_clock(db, f"{NEXT} 07:00Z")
    assert ids(claim(db)) == [booked.reservation_id]
    # What is booked closer than the lead is due at once.
    soon = reserve(db, NEXT, "final", "08:00")
    assert soon.upload_time < soon.scheduled_publish_time - dt.timedelta(minutes=59)
    assert ids(claim(db)) == [soon.reservation_id]
    assert used(db, DAY) == {"api_units": 3200}
    assert_consistent(db)


def test_a_worker_of_one_channel(db: PgConnection) -> None:
    call(db, "create_channel", channel="other")
    mine = reserve(db, DAY, "final", "10:00", channel="other")
    theirs = reserve(db, DAY, "final", "09:00")
    run_clock(db, f"{DAY} 12:00Z")
    assert ids(claim(db, p_count=10, channel="other")) == [mine.reservation_id]
    assert ids(claim(db, p_count=10, channel=None)) == [theirs.reservation_id]
    assert refusal(db, "claim_due_uploads", channel="nobody").sqlstate == "SWCHN"


def test_numbers_that_cannot_be(db: PgConnection) -> None:
    for count in (0, 1001, -1, None):
        outcome = refusal(db, "claim_due_uploads", p_count=count)
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", "p_count")


def test_what_does_not_fit_into_today_is_passed_over(db: PgConnection) -> None:
    call(db, "add_video_type", kind="light")
    call(db, "set_charge", kind="light", p_limit="api_units", p_units=1)
    yesterday = [reserve(db, DAY, "final", "10:00"), reserve(db, DAY, "light", "11:00")]
    today = reserve(db, NEXT, "final", "10:00")
    run_clock(db, f"{NEXT} 12:00Z")
    call(db, "override_day", p_limit="api_units", p_day=NEXT, p_max=1601)
    # The upload of today has its units on today; of yesterday's only the light one fits in.
    assert ids(claim(db, p_count=10)) == [yesterday[1].reservation_id, today.reservation_id]
    assert used(db, DAY) == {"final": 1, "api_units": 1600}
    assert used(db, NEXT) == {"final": 1, "api_units": 1601}
    call(db, "override_day", p_limit="api_units", p_day=NEXT, p_max=3201)
    assert ids(claim(db, p_count=10)) == [yesterday[0].reservation_id]
    assert_consistent(db)


def test_what_another_claims_is_skipped_and_not_waited_for(
    connect: Connect, db: PgConnection
) -> None:
    due = ids(booked_from(db, DAY, 9))
    # California's day of their upload.
    run_clock(db, f"{DAY} 07:00Z")
    workers = [session(connect, role=APP, autocommit=False) for _ in range(3)]
    for worker in workers:
        query(worker, "set statement_timeout = '20s'")
    claimed = [ids(claim(worker, p_count=3)) for worker in workers]
    assert claimed == [due[:3], due[3:6], due[6:]]
    assert ids(claim(db, p_count=3)) == []
    workers[1].rollback()
    assert ids(claim(db, p_count=9)) == due[3:6]
    for worker in (workers[0], workers[2]):
        worker.commit()
    assert_consistent(db)


def test_a_reservation_that_is_held_is_skipped(connect: Connect, db: PgConnection) -> None:
    due = ids(booked_from(db, DAY, 3))
    run_clock(db, f"{DAY} 07:00Z")
    holder = session(connect, autocommit=False)
    query(
        holder,
        "select from slotwarden.reservation where reservation_id = %s for no key update",
        due[0],
    )
    assert ids(claim(db, p_count=2)) == due[1:]
    holder.rollback()
    assert ids(claim(db, p_count=2)) == due[:1]


def test_workers_whose_units_move_wait_for_the_day_and_take_what_is_left(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "claim_due_uploads")
    due = ids(booked_from(db, DAY, 6))
    run_clock(db, f"{NEXT} 12:00Z")
    first = session(connect, role=APP, autocommit=False)
    assert ids(claim(first, p_count=3)) == due[:3]
    second = background(session(connect, role=APP), "claim_due_uploads", p_count=3)
    wait_until_blocked(second.pid)
    first.commit()
    assert ids(list(second.outcome.rows)) == due[3:]
    assert used(db, DAY) == {"final": 6}
    assert used(db, NEXT) == {"api_units": 6 * 1600}
    assert_consistent(db)


def test_an_upload_that_is_cancelled_while_a_claim_waits(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "claim_due_uploads")
    cancelled, kept = booked_from(db, DAY, 2)
    run_clock(db, f"{NEXT} 12:00Z")
    cancelling = session(connect, role=APP, autocommit=False)
    on(cancelling, "cancel_reservation", cancelled)
    waiting = background(session(connect, role=APP), "claim_due_uploads", p_count=2)
    wait_until_blocked(waiting.pid)
    cancelling.commit()
    assert ids(list(waiting.outcome.rows)) == [kept.reservation_id]
    assert_consistent(db)


@pytest.mark.parametrize("moved", [False, True])
def test_parallel_workers_get_disjoint_uploads(
    connect: Connect, db: PgConnection, moved: bool
) -> None:
    be_patient(db, "claim_due_uploads")
    due = ids(booked_from(db, DAY, 60))
    run_clock(db, f"{NEXT} 12:00Z" if moved else f"{DAY} 07:00Z")
    workers = [session(connect, role=APP) for _ in range(8)]

    def work(number: int) -> list[int]:
        found: list[int] = []
        while claimed := ids(claim(workers[number], p_count=1 + number % 3)):
            found += claimed
        return found

    with ThreadPoolExecutor(len(workers)) as pool:
        found = [each for result in pool.map(work, range(len(workers))) for each in result]
    # A worker may find everything held by others and go; what is left is for the next call.
    found += ids(claim(db, p_count=60))
    assert sorted(found) == due
    assert_consistent(db)


def test_claims_cancellations_and_moves_never_deadlock(connect: Connect, db: PgConnection) -> None:
    functions = (
        "claim_due_uploads", "start_upload", "cancel_reservation", "reschedule_reservation",
        "fail_upload", "retry_upload", "complete_upload",
    )  # fmt: skip
    be_patient(db, *functions)
    booked = booked_from(db, DAY, 40)
    run_clock(db, f"{NEXT} 12:00Z")
    later = NEXT + ONE_DAY
    workers = [session(connect, role=APP) for _ in range(8)]

    def work(number: int) -> Counter[str]:
        dice = random.Random(number)  # noqa: S311
        mine = workers[number]
        found: Counter[str] = Counter()
        for step in range(30):
            target = {"p_reservation_id": dice.choice(booked).reservation_id}
            at = {"day": dice.choice((NEXT, later)), "at": f"{13 + number}:{step:02d}"}
            match dice.randrange(8):
                case 0:
                    outcome = attempt_call(mine, "cancel_reservation", **target)
                case 1 | 2:
                    outcome = attempt_call(mine, "reschedule_reservation", **target, **at)
                case 3:
                    outcome = attempt_call(mine, "start_upload", **target)
                case 4:
                    outcome = attempt_call(mine, "retry_upload", **target, **at)
                case _:
                    outcome = attempt_call(mine, "claim_due_uploads", p_count=2)
                    for row in outcome.rows:
                        ended = dice.choice(("complete_upload", "fail_upload"))
                        on(mine, ended, row, p_token=row.lease_token)
                        found[ended] += 1
            found[outcome.sqlstate or "done"] += 1
        return found

    with ThreadPoolExecutor(len(workers)) as pool:
        found = sum(pool.map(work, range(len(workers))), Counter[str]())
    assert set(found) <= {"done", "complete_upload", "fail_upload", "SWSTA", "40001"}
    assert found["done"] > 40
    assert min(found["complete_upload"], found["fail_upload"]) > 5
    assert scalar(db, "select count(*) from slotwarden.reservation") == 40
    assert_consistent(db)


def test_a_channel_without_room_keeps_no_other_from_being_claimed(db: PgConnection) -> None:
    for name in ("full", "free"):
        call(db, "create_channel", channel=name)
    call(db, "set_daily_limit", p_limit="full/api_units", p_max=1600)
    stuck = [reserve(db, day, "final", "10:00", channel="full") for day in (DAY, DAY + ONE_DAY)]
    due = reserve(db, DAY, "final", "11:00", channel="free")
    run_clock(db, f"{DAY + 2 * ONE_DAY} 12:00Z")
    call(db, "set_daily_limit", p_limit="full/api_units", p_max=0)
    assert ids(claim(db)) == [due.reservation_id]
    assert claim(db) == []
    call(db, "set_daily_limit", p_limit="full/api_units", p_max=1600)
    assert ids(claim(db, p_count=5)) == ids(stuck[:1])
    assert_consistent(db)


def test_nothing_is_claimed_twice_by_one_call(db: PgConnection) -> None:
    booked_from(db, DAY, 3)
    run_clock(db, f"{DAY} 12:00Z")
    assert len(claim(db, p_count=3, p_lease="1 microsecond")) == 3
    again = ids(claim(db, p_count=10, p_lease="1 microsecond"))
    assert len(again) == len(set(again)) == 3
    assert_consistent(db)


def test_an_upload_that_is_held_keeps_no_other_from_being_claimed(
    connect: Connect, db: PgConnection
) -> None:
    # Of one day in California: the first needs no units, the second those of a new attempt.
    held, expired = (reserve(db, DAY, "final", at) for at in ("10:00", "11:00"))
    run_clock(db, f"{DAY} 12:00Z")
    start(db, expired, p_lease="1 microsecond")
    holder = session(connect, autocommit=False)
    query(
        holder,
        "select from slotwarden.reservation where reservation_id = %s for update",
        held.reservation_id,
    )
    assert ids(claim(db)) == [expired.reservation_id]
    assert claim(db) == []
    holder.rollback()
    assert ids(claim(db)) == [held.reservation_id]
    assert_consistent(db)


def claim_before_its_locks(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked, **named: Any
) -> tuple[Any, Any, PgConnection, Background]:
    """Stop a claim that has seen a scheduled and an expired upload, and has locked neither yet.

    It goes on when the third, which may be used meanwhile, ends its transaction.
    """
    scheduled, expired = (reserve(db, DAY, "final", at) for at in ("10:00", "11:00"))
    run_clock(db, f"{DAY} 12:00Z")
    start(db, expired, p_lease="1 microsecond")
    gate = session(connect, autocommit=False)
    query(gate, "lock table slotwarden.charge_rule in access exclusive mode")
    claiming = background(session(connect, role=APP), "claim_due_uploads", **named)
    wait_until_blocked(claiming.pid)
    return scheduled, expired, gate, claiming


def test_a_claim_that_lost_an_upload_holds_it_and_so_waits_for_no_day(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    lost, expired, gate, claiming = claim_before_its_locks(connect, db, wait_until_blocked)
    on(db, "cancel_reservation", lost)
    holder = session(connect, autocommit=False)
    query(holder, "select from slotwarden.limit_day where limit_id = 'api_units' for update")
    gate.rollback()
    # Whoever holds the day may wait for the upload that was lost.
    assert (claiming.outcome.sqlstate, list(claiming.outcome.rows)) == (None, [])
    holder.rollback()
    assert ids(claim(db)) == [expired.reservation_id]
    assert_consistent(db)


def test_an_upload_that_another_began_without_a_lease_is_not_claimed(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    begun, expired, starting, claiming = claim_before_its_locks(
        connect, db, wait_until_blocked, p_count=2
    )
    start(starting, begun)
    starting.commit()
    assert claiming.outcome.sqlstate is None
    assert ids(list(claiming.outcome.rows)) == [expired.reservation_id]
    assert_consistent(db)
