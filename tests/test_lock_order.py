"""No two calls wait for each other: limits come before days, and days in one order.

Each case lets a call begin that loses its first slot to a booking which is open, and another that
stands behind it. They meet on days, or on the limits that new days look at.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from langflix_database import row
from life import DAY, NEXT, prepared, slot
from support import (
    ADMIN,
    APP,
    Background,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    query,
    reserve,
    session,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    connection = prepared(connect)
    be_patient(
        connection,
        "reserve_next_slot",
        "reserve_slots",
        "reschedule_reservation",
        "set_daily_limit",
        "set_channel",
        "import_langflix",
    )
    return connection


class Queue:
    """Calls that stand one behind the other, as soon as each waits."""

    def __init__(self, connect: Connect, wait_until_blocked: WaitUntilBlocked) -> None:
        self._connect = connect
        self._wait = wait_until_blocked
        self.holder = session(connect, role=APP, autocommit=False)

    def waiting(self, role: str, function: str, **named: Any) -> Background:
        started = background(session(self._connect, role=role), function, **named)
        self._wait(started.pid)
        return started


@pytest.fixture
def queue(connect: Connect, wait_until_blocked: WaitUntilBlocked) -> Queue:
    return Queue(connect, wait_until_blocked)


def test_a_lost_slot_leads_to_a_new_day_that_a_move_wants_too(
    db: PgConnection, queue: Queue
) -> None:
    moved = reserve(db, DAY, "short", "09:00")
    reserve(db, DAY, "final", "10:00")
    reserve(queue.holder, DAY, "final", "14:00")
    booking = queue.waiting(APP, "reserve_next_slot", kind="final", p_from=DAY)
    moving = queue.waiting(
        APP,
        "reschedule_reservation",
        p_reservation_id=moved.reservation_id,
        day=NEXT,
        at="18:00",
    )
    queue.holder.commit()
    assert slot(booking.outcome.row) == f"{NEXT} 10:00"
    assert slot(moving.outcome.row) == f"{NEXT} 18:00"
    assert_consistent(db)


def test_a_lost_slot_leads_to_a_new_day_whose_limit_is_being_changed(
    db: PgConnection, queue: Queue
) -> None:
    call(db, "add_video_type", kind="finals alone")
    call(db, "set_charge", kind="finals alone", p_limit="final", p_units=1)
    reserve(db, DAY, "final", "10:00")
    reserve(queue.holder, DAY, "final", "14:00")
    booking = queue.waiting(APP, "reserve_next_slot", kind="finals alone", p_from=DAY)
    changing = queue.waiting(ADMIN, "set_daily_limit", p_limit="final", p_max=1)
    queue.holder.commit()
    assert slot(booking.outcome.row) == f"{NEXT} 10:00"
    assert changing.outcome.row.max_units == 1
    assert_consistent(db)


def test_an_import_gives_days_their_maxima_back_while_a_limit_is_being_changed(
    db: PgConnection, queue: Queue
) -> None:
    reserve(db, DAY, "final", "10:00")
    reserve(db, NEXT, "final", "10:00")
    call(db, "set_daily_limit", p_limit="final", p_max=1)
    call(queue.holder, "lock_day", p_day=NEXT)
    rows = [
        row(
            n,
            video_type="final",
            video_path=f"{n}.mp4",
            scheduled_publish_time=f"{day}T14:00:00+00:00",
        )
        for n, day in enumerate((DAY, NEXT), 1)
    ]
    importing = queue.waiting(
        ADMIN, "import_langflix", p_schedule=json.dumps(rows), p_source="test"
    )
    changing = queue.waiting(ADMIN, "set_daily_limit", p_limit="final", p_max=3)
    queue.holder.commit()
    assert importing.outcome.sqlstate is None
    assert changing.outcome.sqlstate is None
    assert_consistent(db)


def test_a_batch_creates_days_while_its_channel_gets_another_zone(
    db: PgConnection, queue: Queue
) -> None:
    call(db, "override_day", p_limit="api_units", p_day=DAY, p_max=9000)
    reserve(queue.holder, DAY, "short", "14:00")
    wishes = [("final", DAY, "10:00"), ("final", NEXT, "10:00"), ("short", DAY, "18:00")]
    batch = json.dumps([{"type": kind, "date": str(day), "time": at} for kind, day, at in wishes])
    booking = queue.waiting(APP, "reserve_slots", p_requests=batch)
    changing = queue.waiting(ADMIN, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    queue.holder.commit()
    assert [each.outcome for each in booking.outcome.rows] == ["reserved"] * 3
    assert changing.outcome.sqlstate is None
    assert_consistent(db)


def test_two_imports_of_a_row_that_cannot_be_booked_keep_it_once(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    rows = json.dumps([row(1, video_type="nothing", scheduled_publish_time=f"{DAY}T10:00:00Z")])
    first = session(connect, autocommit=False)
    (kept,) = call(first, "import_langflix", p_schedule=rows, p_source="test")
    waiting = background(session(connect), "import_langflix", p_schedule=rows, p_source="test")
    wait_until_blocked(waiting.pid)
    first.commit()
    assert (kept.action, waiting.outcome.row.action) == ("conflict", "known")
    assert len(call(db, "list_import_conflicts")) == 1


def test_a_channel_is_copied_with_the_rules_of_one_moment(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "create_channel", "set_charge")
    holder = session(connect, autocommit=False)
    query(holder, "select from slotwarden.daily_limit where limit_id = 'api_units' for update")
    creating = background(
        session(connect), "create_channel", channel="new", p_share_limits=["api_units"]
    )
    wait_until_blocked(creating.pid)
    changing = background(session(connect), "set_charge", kind="final", p_limit="short", p_units=1)
    wait_until_blocked(changing.pid)
    holder.rollback()
    assert creating.outcome.sqlstate is None
    assert changing.outcome.sqlstate is None
    shared = query(
        db,
        "select distinct limit_id from slotwarden.charge_rule"
        " where channel_id = 'new' and not starts_with(limit_id, 'new/')",
    )
    assert [each.limit_id for each in shared] == ["api_units"]


def test_a_limit_that_is_deleted_while_its_day_is_wanted_is_a_conflict(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slot")
    call(db, "set_daily_limit", p_limit="extra", p_max=9, p_counted_at="publish")
    call(db, "set_charge", kind="short", p_limit="extra", p_units=1)
    deleting = session(connect, autocommit=False)
    query(deleting, "delete from slotwarden.charge_rule where limit_id = 'extra'")
    query(deleting, "delete from slotwarden.daily_limit where limit_id = 'extra'")
    waiting = background(
        session(connect, role=APP), "reserve_slot", day=DAY, kind="short", at="10:00"
    )
    wait_until_blocked(waiting.pid)
    deleting.commit()
    assert waiting.outcome.sqlstate == "40001"
    assert reserve(db, DAY, "short", "10:00").held_units == 1601
    assert_consistent(db)


def test_rules_that_change_while_a_limit_is_waited_for_are_a_conflict(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slot")
    call(db, "add_video_type", kind="odd")
    for limit, maximum in (("a", 9), ("b", 9), ("c", 0)):
        call(db, "set_daily_limit", p_limit=limit, p_max=maximum, p_counted_at="publish")
    for limit in ("a", "b"):
        call(db, "set_charge", kind="odd", p_limit=limit, p_units=1)
    changing = session(connect, autocommit=False)
    call(changing, "set_charge", kind="odd", p_limit="a", p_units=1)
    call(changing, "set_charge", kind="odd", p_limit="b", p_units=0)
    call(changing, "set_charge", kind="odd", p_limit="c", p_units=1)
    waiting = background(
        session(connect, role=APP), "reserve_slot", day=DAY, kind="odd", at="10:00"
    )
    wait_until_blocked(waiting.pid)
    changing.commit()
    assert waiting.outcome.sqlstate == "40001"
    assert_consistent(db)
