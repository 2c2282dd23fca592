"""Quota profiles, limits that channels share, and charging anew after such a change."""

from __future__ import annotations

from typing import Any

import pytest

from life import DAY, NEXT, ONE_DAY, PLENTY, on, prepared, refusal, run_clock
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
    snapshot,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def apply(connection: PgConnection, profile: str | None, **named: Any) -> set[tuple[str, str, int]]:
    rows = call(connection, "apply_quota_profile", p_profile=profile, **named)
    return {(row.video_type, row.limit_id, row.units) for row in rows}


def rules(connection: PgConnection, channel: str = "default") -> set[tuple[str, str, int]]:
    rows = query(
        connection,
        "select video_type, limit_id, units from slotwarden.charge_rule where channel_id = %s",
        channel,
    )
    return {(row.video_type, row.limit_id, row.units) for row in rows}


def recharge(connection: PgConnection, *, dry_run: bool = False) -> list[tuple[Any, ...]]:
    rows = call(
        connection,
        "recalculate_usage",
        p_from=DAY - ONE_DAY,
        p_to=DAY + 30 * ONE_DAY,
        p_dry_run=dry_run,
        p_recharge=True,
    )
    return [
        (row.limit_id, str(row.day), row.action, row.units_before, row.units_after) for row in rows
    ]


POSTING = {("final", "final", 1), ("short", "short", 1)}
UNITS = {("final", "api_units", 1600), ("short", "api_units", 1600)}
UPLOADS = {("final", "uploads", 1), ("short", "uploads", 1)}


def test_the_two_profiles(db: PgConnection) -> None:
    assert rules(db) == POSTING | UNITS
    assert apply(db, "uploads-100") == UPLOADS
    assert rules(db) == POSTING | UPLOADS
    limit = query(db, "select * from slotwarden.daily_limit where limit_id = 'uploads'")[0]
    assert (limit.max_units, limit.time_zone, limit.counted_at) == (
        100,
        "America/Los_Angeles",
        "upload",
    )
    assert apply(db, "uploads-100") == UPLOADS
    assert apply(db, "units-10000") == UNITS
    assert rules(db) == POSTING | UNITS


def test_a_hundred_uploads_a_day(db: PgConnection) -> None:
    apply(db, "uploads-100")
    for limit in ("final", "short"):
        call(db, "set_daily_limit", p_limit=limit, p_max=PLENTY)
    call(db, "record_usage", p_limit="uploads", p_units=98, p_day=DAY)
    for kind, at in (("final", "09:00"), ("short", "10:00")):
        reserve(db, DAY, kind, at)
    refused = refusal(db, "reserve_slot", day=DAY, kind="final", at="11:00")
    assert (refused.sqlstate, refused.facts["limit"], refused.facts["counted_at"]) == (
        "SWLIM",
        "uploads",
        "upload",
    )
    # At 07:59 UTC it is still the day before in California.
    assert reserve(db, DAY, "final", "07:59")
    assert_consistent(db)


def test_a_channel_gets_a_limit_of_its_own_or_shares_one(db: PgConnection) -> None:
    call(db, "create_channel", channel="seoul", p_time_zone="Asia/Seoul")
    own = {("final", "seoul/uploads", 1), ("short", "seoul/uploads", 1)}
    assert apply(db, "uploads-100", channel="seoul") == own
    assert rules(db) == POSTING | UNITS
    shared = {("final", "project", 1), ("short", "project", 1)}
    for channel in ("seoul", "default"):
        assert apply(db, "uploads-100", channel=channel, p_limit="project") == shared
    assert {limit for _, limit, _ in rules(db, "seoul")} == {
        "seoul/final",
        "seoul/short",
        "project",
    }
    call(db, "set_daily_limit", p_limit="project", p_max=2)
    reserve(db, DAY, "final", "10:00")
    # 23:00 in Seoul is 06:00 in California, the same day.
    reserve(db, DAY, "final", "23:00", channel="seoul")
    for channel in ("default", "seoul"):
        refused = refusal(db, "reserve_slot", day=DAY, kind="final", at="21:00", channel=channel)
        assert (refused.sqlstate, refused.facts["limit"]) == ("SWLIM", "project")
    assert used(db, DAY) == {"final": 1, "seoul/final": 1, "project": 2}
    assert_consistent(db)


def test_channels_that_share_a_limit_race_for_its_last_units(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slot")
    call(db, "create_channel", channel="other", p_share_limits=["api_units"])
    call(db, "override_day", p_limit="api_units", p_day=DAY, p_max=1600)
    first = session(connect, role=APP, autocommit=False)
    reserve(first, DAY, "final", "10:00")
    waiting = background(
        session(connect, role=APP),
        "reserve_slot",
        day=DAY,
        kind="final",
        at="10:00",
        channel="other",
    )
    wait_until_blocked(waiting.pid)
    first.commit()
    assert waiting.outcome.sqlstate == "SWLIM"
    assert used(db, DAY) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_a_limit_that_is_no_part_of_a_profile_is_left_alone(db: PgConnection) -> None:
    call(db, "set_daily_limit", p_limit="gigabytes", p_max=50, p_counted_at="upload")
    call(db, "set_charge", kind="final", p_limit="gigabytes", p_units=10)
    apply(db, "uploads-100")
    assert rules(db) == POSTING | UPLOADS | {("final", "gigabytes", 10)}
    apply(db, "units-10000")
    assert rules(db) == POSTING | UNITS | {("final", "gigabytes", 10)}


def test_profiles_that_cannot_be(db: PgConnection) -> None:
    mistakes: list[tuple[str | None, dict[str, Any]]] = [
        ("p_profile", {"p_profile": "units-1"}),
        ("p_profile", {"p_profile": None}),
        ("p_limit", {"p_limit": ""}),
        ("p_limit", {"p_limit": "x" * 601}),
        ("p_limit", {"p_limit": " x"}),
        # It counts the day of the slot, not of the call to YouTube.
        ("p_limit", {"p_limit": "final"}),
        ("p_channel", {"channel": None}),
    ]
    for parameter, named in mistakes:
        outcome = attempt_call(db, "apply_quota_profile", **{"p_profile": "uploads-100", **named})
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", parameter), named
    unknown = attempt_call(db, "apply_quota_profile", p_profile="uploads-100", channel="nobody")
    assert unknown.sqlstate == "SWCHN"
    assert rules(db) == POSTING | UNITS


def test_bookings_are_charged_anew_only_on_demand(db: PgConnection) -> None:
    future = reserve(db, NEXT, "final", "10:00")
    started = on(db, "start_upload", reserve(db, DAY, "final", "10:00"))
    cancelled = reserve(db, DAY, "final", "11:00")
    on(db, "cancel_reservation", cancelled)
    apply(db, "uploads-100")
    before = snapshot(db)
    assert used(db, NEXT) == {"final": 1, "api_units": 1600}

    expected = [
        ("api_units", str(NEXT), "release", 1600, 0),
        ("uploads", str(NEXT), "charge", 0, 1),
    ]
    assert sorted(recharge(db, dry_run=True)) == expected
    assert snapshot(db) == before
    assert sorted(recharge(db)) == expected
    assert recharge(db) == []
    assert used(db, NEXT) == {"final": 1, "uploads": 1}
    # What has begun keeps what it was charged.
    assert used(db, DAY) == {"final": 1}
    assert used(db, DAY - ONE_DAY) == {"api_units": 1600}
    assert on(db, "cancel_reservation", future).upload_status == "cancelled"
    assert used(db, NEXT) == {}
    on(db, "fail_upload", started, p_token=started.lease_token)
    assert_consistent(db)


def test_what_does_not_fit_when_charged_anew_is_left_and_told(db: PgConnection) -> None:
    first, second = (reserve(db, DAY, "final", at) for at in ("10:00", "11:00"))
    apply(db, "uploads-100")
    call(db, "override_day", p_limit="uploads", p_day=DAY, p_max=1)
    changes = call(db, "recalculate_usage", p_from=DAY, p_to=DAY, p_dry_run=False, p_recharge=True)
    assert {(row.reservation_id, row.limit_id, row.action) for row in changes} == {
        (first.reservation_id, "api_units", "release"),
        (first.reservation_id, "uploads", "charge"),
        (second.reservation_id, "api_units", "refused"),
        (second.reservation_id, "uploads", "refused"),
    }
    assert used(db, DAY) == {"final": 2, "api_units": 1600, "uploads": 1}
    assert_consistent(db)


def test_charged_anew_in_another_zone(db: PgConnection) -> None:
    # 20:00 UTC is the next day in Seoul.
    booked = reserve(db, DAY, "final", "20:00")
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    assert used(db, DAY)["final"] == 1
    assert sorted(recharge(db)) == [
        ("final", str(DAY), "release", 1, 0),
        ("final", str(NEXT), "charge", 0, 1),
    ]
    now = query(db, "select * from slotwarden.reservation")[0]
    assert (now.time_zone, now.local_date) == ("Asia/Seoul", NEXT)
    assert now.scheduled_publish_time == booked.scheduled_publish_time
    assert_consistent(db)


@pytest.mark.parametrize("lead", ["6 hours", "1 hour"])
def test_charged_anew_with_another_lead(db: PgConnection, lead: str) -> None:
    booked = reserve(db, NEXT, "final", "10:00")
    call(db, "set_channel", p_channel="default", p_upload_lead=lead)
    changes = recharge(db)
    # Six hours before, it is the day before in California.
    assert sorted(changes) == (
        [
            ("api_units", str(DAY), "charge", 0, 1600),
            ("api_units", str(NEXT), "release", 1600, 0),
        ]
        if lead == "6 hours"
        else []
    )
    now = query(db, "select * from slotwarden.reservation")[0]
    assert now.upload_time == scalar(
        db, "select %s - %s::interval", booked.scheduled_publish_time, lead
    )
    run_clock(db, f"{NEXT} 09:30Z")
    assert len(call(db, "claim_due_uploads")) == 1
    assert_consistent(db)


def test_charged_anew_where_no_limit_is_charged(db: PgConnection) -> None:
    call(db, "add_video_type", kind="free")
    reserve(db, DAY, "free", "20:00")
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    recharge(db)
    now = query(db, "select * from slotwarden.reservation")[0]
    assert (now.time_zone, now.local_date) == ("Asia/Seoul", NEXT)


def test_another_rule_another_maximum_and_nothing_in_the_past(db: PgConnection) -> None:
    past = reserve(db, DAY, "final", "10:00")
    future = reserve(db, NEXT, "final", "10:00")
    run_clock(db, f"{DAY} 12:00Z")
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    call(db, "set_daily_limit", p_limit="final", p_max=0)
    assert recharge(db) == [("api_units", str(NEXT), "release", 1600, 100)]
    assert used(db, DAY) == {"final": 1, "api_units": 1600}
    assert used(db, NEXT) == {"final": 1, "api_units": 100}
    assert past.version == future.version == 1
    assert_consistent(db)


def test_spans_that_cannot_be(db: PgConnection) -> None:
    for first, last in ((None, DAY), (DAY, None), (NEXT, DAY)):
        outcome = attempt_call(db, "recalculate_usage", p_from=first, p_to=last)
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", "p_from")
