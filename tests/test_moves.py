"""Moving a booking: one net change under the locks of both days."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from life import DAY, NEXT, NOW, ONE_DAY, move, prepared, refused_on, run_clock
from support import (
    APP,
    OWNER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt_call,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    set_clock,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def refused_move(connection: PgConnection, reservation: Any, **named: Any) -> Any:
    return refused_on(connection, "reschedule_reservation", reservation, **named)


def entries(connection: PgConnection) -> int:
    found: int = scalar(connection, "select count(*) from slotwarden.usage_ledger")
    return found


def test_a_move_to_another_day_gives_back_and_takes(connect: Connect, db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00", video="v")
    moved = move(session(connect, role=APP), booked, NEXT, "11:00", p_expected_version=1)
    assert moved.scheduled_publish_time == dt.datetime(2031, 3, 7, 11, tzinfo=dt.UTC)
    assert moved.upload_time == moved.scheduled_publish_time
    assert (moved.local_date, moved.version, moved.upload_status) == (NEXT, 2, "scheduled")
    assert (moved.video_path, moved.attempt) == ("v", 1)
    assert (used(db, DAY), used(db, NEXT)) == ({}, {"final": 1, "api_units": 1600})
    assert reserve(db, DAY, "final", "10:00", video="w").reservation_id != moved.reservation_id
    assert_consistent(db)


def test_a_move_within_a_full_day_passes_and_costs_nothing(db: PgConnection) -> None:
    call(db, "set_daily_limit", p_limit="api_units", p_max=3200)
    booked = reserve(db, DAY, "final", "10:00")
    reserve(db, DAY, "final", "11:00")
    before = entries(db)
    assert move(db, booked, DAY, "23:59").version == 2
    assert entries(db) == before
    # Below what is booked as well.
    call(db, "override_day", p_limit="final", p_day=DAY, p_max=0)
    assert move(db, booked, DAY, "12:00").version == 3
    assert_consistent(db)


def test_only_what_changes_its_day_is_charged_anew(db: PgConnection) -> None:
    # At 07:59 UTC it is still the day before in California.
    booked = reserve(db, NEXT, "final", "07:59")
    before = entries(db)
    move(db, booked, DAY, "23:00")
    assert entries(db) == before + 2
    assert used(db, DAY) == {"final": 1, "api_units": 1600}
    move(db, booked, NEXT, "08:00")
    assert used(db, DAY) == {}
    assert_consistent(db)


def test_a_move_to_where_it_is_changes_nothing(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    assert move(db, booked, DAY, "10:00", p_expected_version=1) == booked
    call(db, "add_blackout", p_from=f"{DAY} 00:00Z", p_to=f"{NEXT} 00:00Z", p_reason="late")
    run_clock(db, f"{DAY} 10:00Z")
    assert move(db, booked, DAY, "10:00") == booked
    stale = refused_move(db, booked, day=DAY, at="10:00", p_expected_version=2)
    assert stale.sqlstate == "SWVER"


def test_a_full_day_takes_no_more(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    for at in ("10:00", "11:00"):
        reserve(db, NEXT, "final", at)
    refused = refused_move(db, booked, day=NEXT, at="12:00")
    assert (refused.sqlstate, refused.facts["limit"], refused.facts["used"]) == (
        "SWLIM",
        "final",
        2,
    )
    assert refused.hint.startswith("The next free slot is ")
    call(db, "override_day", p_limit="api_units", p_day=NEXT, p_max=4799)
    call(db, "override_day", p_limit="final", p_day=NEXT, p_max=3)
    refused = refused_move(db, booked, day=NEXT, at="12:00")
    assert (refused.facts["limit"], refused.facts["counted_at"]) == ("api_units", "upload")
    # The last place, for the one who has it already.
    small = reserve(db, DAY, "short", "09:00")
    assert refused_move(db, small, day=NEXT, at="07:00").sqlstate is None


def test_a_move_in_the_very_instant_of_the_booking(connect: Connect) -> None:
    db = session(connect)
    set_clock(db, NOW)
    booked = reserve(db, DAY, "final", "10:00")
    assert move(db, booked, NEXT, "11:00").local_date == NEXT
    assert (used(db, DAY), used(db, NEXT)) == ({}, {"final": 1, "api_units": 1600})
    assert_consistent(db)


def test_a_version_that_is_stale_is_refused(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    move(db, booked, DAY, "11:00", p_expected_version=booked.version)
    refused = refused_move(db, booked, day=DAY, at="12:00", p_expected_version=booked.version)
    assert refused.sqlstate == "SWVER"
    assert refused.facts == {
        "reservation_id": booked.reservation_id,
        "version": 2,
        "expected_version": 1,
    }
    assert (
        attempt_call(
            db,
            "cancel_reservation",
            p_reservation_id=booked.reservation_id,
            p_expected_version=1,
        ).facts
        == refused.facts
    )


def test_what_speaks_against_a_slot(db: PgConnection) -> None:
    call(db, "set_channel", p_channel="default", p_time_zone="America/New_York")
    booked = reserve(db, DAY, "final", "10:00", video="v")
    rival = reserve(db, NEXT, "final", "10:00", video="w")
    call(
        db,
        "add_blackout",
        p_from=f"{NEXT} 20:00Z",
        p_to=f"{NEXT} 21:00Z",
        p_reason="maintenance",
    )
    taken = refused_move(db, booked, day=NEXT, at="10:00")
    assert (taken.sqlstate, taken.facts["reservation_id"]) == ("SWTKN", rival.reservation_id)
    assert refused_move(db, booked, day=NEXT, at="15:30").sqlstate == "SWBLK"
    assert refused_move(db, booked, day=DAY - 2 * ONE_DAY, at="10:00").sqlstate == "SWPST"
    gap = refused_move(db, booked, day=dt.date(2031, 3, 9), at="02:30")
    assert (gap.sqlstate, gap.facts["nearest"]) == (
        "SWGAP",
        ["2031-03-09T01:59", "2031-03-09T03:00"],
    )
    assert move(db, booked, dt.date(2031, 3, 9), "03:00").local_date == dt.date(2031, 3, 9)


def test_arguments_that_cannot_be(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    mistakes: list[dict[str, Any]] = [
        {"day": None, "at": "10:00"},
        {"day": DAY, "at": None},
        {"day": DAY, "at": "24:00"},
        {"day": DAY, "at": "10:00:30"},
        {"day": "infinity", "at": "10:00"},
        {"day": DAY, "at": "11:00", "key": ""},
        {"day": DAY, "at": "11:00", "key": "k" * 201},
    ]
    for named in mistakes:
        for function in ("reschedule_reservation", "retry_upload"):
            outcome = refused_on(db, function, booked, **named)
            assert outcome.sqlstate == "SWARG", named
            assert outcome.facts["parameter"].startswith("p_")


def test_a_reservation_that_is_not_there(db: PgConnection) -> None:
    somewhere = {"day": DAY, "at": "10:00"}
    functions: dict[str, dict[str, Any]] = {
        "reschedule_reservation": somewhere,
        "retry_upload": somewhere,
        "start_upload": {},
        "cancel_reservation": {},
    }
    for function, named in functions.items():
        for reservation_id, sqlstate in ((None, "SWARG"), (4711, "SWNFD")):
            outcome = attempt_call(db, function, p_reservation_id=reservation_id, **named)
            assert outcome.sqlstate == sqlstate, function
        assert outcome.facts == {"reservation_id": 4711}


def test_a_repeated_key_moves_nothing_twice(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00", key="booked")
    named = {"p_expected_version": 1, "key": "k"}
    moved = move(db, booked, NEXT, "11:00", **named)
    # Neither its version nor its own slot speaks against the repetition.
    assert move(db, booked, NEXT, "11:00", **named) == moved
    back = move(db, booked, DAY, "10:00", key="back")
    assert move(db, booked, NEXT, "11:00", **named) == back
    for day, at, other in (
        (NEXT, "11:00", {"key": "k"}),
        (NEXT, "12:00", named),
        (NEXT, "11:00", {"p_expected_version": 1, "key": "booked"}),
    ):
        refused = refused_move(db, booked, day=day, at=at, **other)
        assert refused.sqlstate == "SWKEY"
    assert refused.facts == {"request_key": "booked", "function": "reserve_slot"}
    # A refusal is not remembered.
    past = refused_move(db, booked, day=DAY - 2 * ONE_DAY, at="10:00", key="new")
    assert past.sqlstate == "SWPST"
    assert move(db, booked, DAY, "15:00", key="new").version == back.version + 1
    assert_consistent(db)


def test_a_move_charges_by_the_rules_of_today(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    call(db, "set_channel", p_channel="default", p_upload_lead="1 hour")
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    moved = move(db, booked, NEXT, "10:00")
    assert (moved.time_zone, moved.local_date) == ("Asia/Seoul", NEXT)
    assert moved.scheduled_publish_time == dt.datetime(2031, 3, 7, 1, tzinfo=dt.UTC)
    assert moved.scheduled_publish_time - moved.upload_time == dt.timedelta(hours=1)
    assert used(db, DAY) == {"api_units": 100}
    assert used(db, NEXT) == {"final": 1}
    assert_consistent(db)


def test_a_table_owner_who_moves_is_charged_the_same(connect: Connect) -> None:
    owner = session(connect, role=OWNER)
    day = coming_day(owner)
    reserve(owner, day, "final", "20:00")
    query(
        owner,
        "update slotwarden.reservation set scheduled_publish_time"
        " = scheduled_publish_time + interval '1 day'",
    )
    moved = query(owner, "select * from slotwarden.reservation")[0]
    assert moved.local_date == day + dt.timedelta(days=1)
    assert used(owner, day) == {}
    assert used(owner, moved.local_date) == {"final": 1, "api_units": 1600}
    reserve(owner, day, "final", "20:00")
    with raises_sqlstate("23505", "reservation_slot_key"):
        query(
            owner,
            "update slotwarden.reservation set scheduled_publish_time = %s where local_date = %s",
            moved.scheduled_publish_time,
            day,
        )
    assert_consistent(owner)
