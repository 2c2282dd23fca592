"""Spans in which a channel publishes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from life import DAY, NEXT, move, on, prepared, refusal, refused_on, run_clock, slot
from support import (
    ADMIN,
    APP,
    OWNER,
    READER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt_call,
    call,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def close(connection: PgConnection, start: str, end: str, reason: str = "x", **named: Any) -> Any:
    named = {"p_from": start, "p_to": end, "p_reason": reason, **named}
    return call(connection, "add_blackout", **named)[0]


def test_from_its_first_instant_up_to_its_last(connect: Connect, db: PgConnection) -> None:
    added = close(session(connect, role=ADMIN), f"{DAY} 10:00Z", f"{DAY} 11:00Z", "maintenance")
    assert (added.channel_id, added.reason, added.created_by) == ("default", "maintenance", ADMIN)
    for at in ("10:00", "10:59"):
        refused = refusal(db, "reserve_slot", day=DAY, kind="final", at=at)
        assert refused.sqlstate == "SWBLK"
        assert refused.facts == {
            "channel": "default",
            "publish_time": f"{DAY}T{at}:00Z",
            "from": f"{DAY}T10:00:00Z",
            "to": f"{DAY}T11:00:00Z",
            "reason": "maintenance",
        }
        assert "maintenance" in refused.message
        assert refused.hint == f"The next free slot is {DAY} 14:00 UTC."
    assert reserve(db, DAY, "final", "09:59")
    assert reserve(db, DAY, "final", "11:00")
    assert_consistent(db)


def test_every_way_to_book_is_closed(db: PgConnection) -> None:
    close(db, f"{DAY} 00:00Z", f"{NEXT} 00:00Z")
    ten = {"day": DAY, "kind": "final", "at": "10:00"}
    assert refusal(db, "reserve_slot", **ten).sqlstate == "SWBLK"
    assert call(db, "try_reserve_slot", **ten)[0].outcome == "SWBLK"
    instant = {"instant": f"{DAY} 10:00Z", "kind": "final"}
    assert refusal(db, "reserve_slot_at", **instant).sqlstate == "SWBLK"
    batch = json.dumps([{"date": str(DAY), "time": "10:00", "type": "final"}])
    assert refusal(db, "reserve_slots", p_requests=batch).sqlstate == "SWBLK"
    next_slot = {"kind": "final", "p_from": DAY}
    assert refusal(db, "reserve_next_slot", **next_slot, p_horizon_days=1).sqlstate == "SWNON"
    assert call(db, "available_slots", **next_slot, p_horizon_days=1) == []
    other_day = reserve(db, NEXT, "final", "10:00")
    moved = refused_on(db, "reschedule_reservation", other_day, day=DAY, at="10:00")
    assert moved.sqlstate == "SWBLK"
    started = on(db, "start_upload", other_day)
    on(db, "fail_upload", started, p_token=started.lease_token)
    assert refused_on(db, "retry_upload", started, day=DAY, at="10:00").sqlstate == "SWBLK"
    assert slot(call(db, "reserve_next_slot", **next_slot)[0]) == f"{NEXT} 10:00"
    assert_consistent(db)


def test_direct_writes_are_refused_as_well(connect: Connect, db: PgConnection) -> None:
    owner = session(connect, role=OWNER)
    booked = reserve(owner, NEXT, "final", "10:00")
    close(db, f"{DAY} 00:00Z", f"{NEXT} 00:00Z")
    with raises_sqlstate("SWBLK"):
        query(
            owner,
            "insert into slotwarden.reservation (channel_id, video_type, scheduled_publish_time)"
            " values ('default', 'final', %s)",
            f"{DAY} 10:00Z",
        )
    with raises_sqlstate("SWBLK"):
        query(
            owner,
            "update slotwarden.reservation set scheduled_publish_time = %s",
            f"{DAY} 10:00Z",
        )
    assert booked.version == scalar(db, "select version from slotwarden.reservation")
    assert_consistent(db)


def test_what_is_booked_already_stays_and_can_go_on(db: PgConnection) -> None:
    booked = [reserve(db, DAY, "final", at) for at in ("10:00", "11:00")]
    close(db, f"{DAY} 00:00Z", f"{NEXT} 00:00Z")
    entries = call(db, "calendar", p_from=DAY, p_days=1)
    assert [row.reservation_id for row in entries] == [row.reservation_id for row in booked]
    assert on(db, "start_upload", booked[0]).upload_status == "uploading"
    assert (
        refused_on(db, "reschedule_reservation", booked[1], day=DAY, at="12:00").sqlstate == "SWBLK"
    )
    assert slot(move(db, booked[1], NEXT, "10:00")) == f"{NEXT} 10:00"
    assert on(db, "cancel_reservation", booked[1]).upload_status == "cancelled"
    assert_consistent(db)


def test_a_refusal_comes_in_its_place(db: PgConnection) -> None:
    rival = reserve(db, DAY, "final", "10:00", video="v")
    close(db, f"{DAY} 00:00Z", f"{NEXT} 00:00Z")
    taken = {"day": DAY, "kind": "final", "at": "10:00", "video": "v"}
    assert attempt_call(db, "reserve_slot", **taken).sqlstate == "SWBLK"
    run_clock(db, f"{DAY} 11:00Z")
    assert attempt_call(db, "reserve_slot", **taken).sqlstate == "SWPST"
    assert rival.upload_status == "scheduled"


def test_a_channel_of_its_own_and_one_without_end(connect: Connect, db: PgConnection) -> None:
    call(db, "create_channel", channel="other")
    first = close(db, f"{DAY} 00:00Z", "infinity", "gone", channel="other")
    close(db, f"{DAY} 00:00Z", f"{DAY} 12:00Z", "also", channel="other")
    assert reserve(db, DAY, "final", "10:00")
    refused = refusal(db, "reserve_slot", day=DAY, kind="final", at="10:00", channel="other")
    # Of several, the one that lasts longest is told.
    assert (refused.sqlstate, refused.facts["reason"], refused.facts["to"]) == (
        "SWBLK",
        "gone",
        None,
    )
    assert refused.hint == "No slot is free in the next 14 days."
    admin = session(connect, role=ADMIN)
    assert call(admin, "remove_blackout", p_blackout_id=first.blackout_id) == [first]
    assert call(admin, "remove_blackout", p_blackout_id=first.blackout_id) == []
    assert reserve(db, DAY, "final", "12:00", channel="other")


def test_arguments_that_cannot_be(db: PgConnection) -> None:
    good = {"p_from": f"{DAY} 10:00Z", "p_to": f"{DAY} 11:00Z", "p_reason": "x"}
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("p_from", {"p_from": None}),
        ("p_from", {"p_to": None}),
        ("p_from", {"p_to": f"{DAY} 10:00Z"}),
        ("p_from", {"p_to": f"{DAY} 09:00Z"}),
        ("p_from", {"p_to": "20000-01-01Z"}),
        ("p_from", {"p_from": "0001-01-01Z"}),
        ("p_reason", {"p_reason": None}),
        ("p_reason", {"p_reason": ""}),
        ("p_reason", {"p_reason": "x" * 2001}),
        ("p_channel", {"channel": None}),
    ]
    for parameter, named in mistakes:
        outcome = attempt_call(db, "add_blackout", **{**good, **named})
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", parameter)
    assert attempt_call(db, "add_blackout", **good, channel="nobody").sqlstate == "SWCHN"
    assert attempt_call(db, "remove_blackout", p_blackout_id=None).sqlstate == "SWARG"
    assert scalar(db, "select count(*) from slotwarden.blackout") == 0


def test_who_may_close_a_channel(connect: Connect, db: PgConnection) -> None:
    added = close(db, f"{DAY} 10:00Z", f"{DAY} 11:00Z")
    app = session(connect, role=APP)
    good = {"p_from": f"{DAY} 10:00Z", "p_to": f"{DAY} 11:00Z", "p_reason": "x"}
    assert attempt_call(app, "add_blackout", **good).sqlstate == "42501"
    assert attempt_call(app, "remove_blackout", p_blackout_id=added.blackout_id).sqlstate == "42501"
    assert used(db, DAY) == {}


def test_those_that_are_not_over_are_listed_for_everybody(
    connect: Connect, db: PgConnection
) -> None:
    call(db, "create_channel", p_channel="news")
    over = close(db, "2020-01-01 00:00Z", "2020-01-02 00:00Z")
    late = close(db, f"{NEXT} 00:00Z", f"{NEXT} 01:00Z")
    early = close(db, f"{DAY} 00:00Z", f"{NEXT} 02:00Z")
    endless = close(db, "-infinity", "infinity", channel="news")
    for role in (APP, READER, ADMIN):
        caller = session(connect, role=role)
        assert call(caller, "list_blackouts") == [early, late]
        assert call(caller, "list_blackouts", p_channel="news") == [endless]
        assert call(caller, "list_blackouts", p_from="-infinity") == [over, early, late]
        assert call(caller, "list_blackouts", p_from=f"{NEXT} 01:00Z") == [early]
    assert attempt_call(db, "list_blackouts", p_channel="nobody").sqlstate == "SWCHN"
    assert attempt_call(db, "list_blackouts", p_channel=None).sqlstate == "SWARG"
