"""The world moves on while a call waits for its lock: it books by what holds when it gets it.

The clock of slotwarden is one function, so a test can put another in its place and move it.
"""

from __future__ import annotations

import datetime as dt

import pytest

from support import (
    APP,
    Background,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    coming_day,
    query,
    reserve,
    scalar,
    session,
    set_clock,
    used,
)


def _waiting(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, day: dt.date
) -> tuple[PgConnection, Background]:
    """Start a booking of that day, at 17:00, behind one that is not committed."""
    db = session(connect)
    be_patient(db, "reserve_slot")
    # With its rows already there, the day is all that the second call waits for.
    booked = reserve(db, day, "final", "15:00")
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    holder = session(connect, autocommit=False)
    reserve(holder, day, "final", "16:00")
    second = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="final", at="17:00"
    )
    wait_until_blocked(second.pid)
    return holder, second


def test_a_zone_that_was_changed_meanwhile_is_a_conflict_or_the_new_zone(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    holder, second = _waiting(connect, wait_until_blocked, coming_day(db))
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    holder.commit()
    outcome = second.outcome
    assert outcome.sqlstate in (None, "40001"), outcome
    if outcome.sqlstate is None:
        assert outcome.row.time_zone == "Asia/Seoul"
    assert_consistent(db)


def test_a_lead_that_was_changed_meanwhile_is_a_conflict_or_the_new_lead(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    holder, second = _waiting(connect, wait_until_blocked, coming_day(db))
    call(db, "set_channel", p_channel="default", p_upload_lead="3 days")
    holder.commit()
    outcome = second.outcome
    assert outcome.sqlstate in (None, "40001"), outcome
    if outcome.sqlstate is None:
        lead = outcome.row.scheduled_publish_time - outcome.row.upload_time
        assert lead in (dt.timedelta(0), dt.timedelta(days=3))
    assert_consistent(db)


@pytest.mark.parametrize("held", ["key", "slot", "day"])
def test_a_charge_that_was_set_meanwhile_is_refused_kindly(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, held: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    for kind in ("free", "other"):
        call(db, "add_video_type", kind=kind)
    if held == "day":
        call(db, "set_charge", kind="other", p_limit="short", p_units=1)
        call(db, "set_charge", kind="free", p_limit="short", p_units=1)
    holder = session(connect, autocommit=False)
    reserve(holder, day, "other", "10:00" if held == "slot" else "11:00", key="k")
    key = "k" if held == "key" else None
    second = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="free", at="10:00", key=key
    )
    wait_until_blocked(second.pid)
    call(db, "set_charge", kind="free", p_limit="final", p_units=3)
    holder.rollback()
    assert second.outcome.sqlstate in ("SWLIM", "40001"), second.outcome
    assert used(db, day) == {}
    assert_consistent(db)


def test_a_first_charge_that_is_set_meanwhile_is_no_drift(
    connect: Connect,
) -> None:
    db = session(connect)
    day = coming_day(db)
    call(db, "add_video_type", kind="free")
    setting = session(connect, autocommit=False)
    call(setting, "set_charge", kind="free", p_limit="final", p_units=1)
    # It may wait for the rule, or book without it; a rule that it could not see is no debt.
    booking = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="free", at="10:00"
    )
    _until_done_or_blocked(db, booking)
    setting.commit()
    assert booking.outcome.sqlstate is None
    assert_consistent(db)


def _until_done_or_blocked(watcher: PgConnection, booking: Background) -> None:
    state = "select cardinality(pg_blocking_pids(%s)) > 0"
    while booking.running and not scalar(watcher, state, booking.pid):
        pass


def test_a_slot_whose_time_passes_while_its_call_waits_is_past(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    set_clock(db, f"{day} 00:00Z")
    holder, second = _waiting(connect, wait_until_blocked, day)
    set_clock(db, f"{day} 17:00Z")
    holder.rollback()
    assert second.outcome.sqlstate == "SWPST"
    assert_consistent(db)


def test_a_quota_day_that_turns_while_a_call_waits_is_charged_anew(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    # The lead is longer than what is left, so the upload runs at once: on the day of the call.
    call(db, "set_channel", p_channel="default", p_upload_lead="10 days")
    call(db, "set_daily_limit", p_limit="api_units", p_time_zone="UTC")
    set_clock(db, f"{day} 23:59:30Z")
    turned = day + dt.timedelta(days=1)
    holder, second = _waiting(connect, wait_until_blocked, turned)
    set_clock(db, f"{turned} 00:00:30Z")
    holder.rollback()
    # To lock another day now might be against the order of locks, so giving way is right too.
    assert second.outcome.sqlstate in (None, "40001")
    if second.outcome.sqlstate:
        reserve(db, turned, "final", "17:00")
    assert scalar(
        db,
        "select upload_time = slotwarden.clock_now() from slotwarden.reservation"
        " where upload_status = 'scheduled'",
    )
    assert used(db, day) == {}
    assert used(db, turned) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_a_maximum_that_was_raised_meanwhile_lets_the_waiter_in(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    reserve(db, day, "final", "09:00")
    holder = session(connect, autocommit=False)
    reserve(holder, day, "final", "10:00")
    call(holder, "override_day", p_limit="final", p_day=day, p_max=3)
    second = background(
        session(connect, role=APP), "reserve_slot", day=day, kind="final", at="11:00"
    )
    wait_until_blocked(second.pid)
    holder.commit()
    assert second.outcome.sqlstate is None
    assert query(db, "select * from slotwarden.daily_usage where limit_id = 'final'")[0][3:5] == (
        3,
        3,
    )
    assert_consistent(db)
