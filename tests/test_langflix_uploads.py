"""Uploads recorded without a token, and uploads that an application counts itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from langflix_database import reservation, row, take
from support import (
    PATIENT,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    bound_wait,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    run_concurrently,
    scalar,
    session,
    used,
)


@pytest.fixture
def connection(connect: Connect) -> PgConnection:
    return session(connect)


def test_an_upload_is_recorded_straight_from_scheduled(connection: PgConnection) -> None:
    day = coming_day(connection)
    reserve(connection, day, "final", "10:00", video="/a")
    done = call(connection, "record_upload", p_video="/a", p_youtube_video_id="yt",
                p_status="uploaded")[0]  # fmt: skip
    assert (done.upload_status, done.youtube_video_id) == ("completed", "yt")
    today = scalar(connection, "select (now() at time zone 'America/Los_Angeles')::date")
    assert used(connection, today) == {"api_units": 1600}
    assert used(connection, day) == {"final": 1}
    again = call(connection, "record_upload", p_video="/a", p_youtube_video_id="yt")[0]
    assert again.version == done.version
    with raises_sqlstate("SWSTA"):
        call(connection, "record_upload", p_video="/a", p_youtube_video_id="other")
    with raises_sqlstate("SWSTA"):
        call(connection, "record_upload", p_video="/a", p_status="failed")
    assert_consistent(connection)


def test_an_id_may_be_added_later(connection: PgConnection) -> None:
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    assert call(connection, "record_upload", p_video="/a")[0].youtube_video_id is None
    added = call(connection, "record_upload", p_video="/a", p_youtube_video_id="yt")[0]
    assert added.youtube_video_id == "yt"
    assert call(connection, "record_upload", p_video="/a")[0].youtube_video_id == "yt"


def test_a_failed_upload_gives_its_slot_back(connection: PgConnection) -> None:
    day = coming_day(connection)
    reserve(connection, day, "final", "10:00", video="/a")
    failed = call(connection, "record_upload", p_video="/a", p_status="failed")[0]
    assert failed.upload_status == "failed"
    assert used(connection, day) == {}
    again = call(connection, "record_upload", p_video="/a", p_status="failed")[0]
    assert again.version == failed.version
    with raises_sqlstate("SWSTA"):
        call(connection, "record_upload", p_video="/a")
    reserve(connection, day, "final", "10:00", video="/a")
    # The live reservation is meant, not the failed one.
    assert call(connection, "record_upload", p_video="/a")[0].upload_status == "completed"


def test_an_upload_that_does_not_fit_into_today_stays_scheduled(connection: PgConnection) -> None:
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    call(connection, "record_usage", p_limit="api_units", p_units=9000)
    with raises_sqlstate("SWLIM") as refused:
        call(connection, "record_upload", p_video="/a", p_youtube_video_id="yt")
    assert refused.facts["limit"] == "api_units"
    assert reservation(connection, "/a").upload_status == "scheduled"


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"p_video": None}, "SWARG"),
        ({"p_video": "/a", "p_status": "scheduled"}, "SWARG"),
        ({"p_video": "/a", "p_status": None}, "SWARG"),
        ({"p_video": "/a", "p_youtube_video_id": ""}, "SWARG"),
        ({"p_video": "/nobody"}, "SWNFD"),
        ({"p_video": "/a", "p_channel": "nowhere"}, "SWCHN"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    connection: PgConnection, named: dict[str, Any], code: str
) -> None:
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    with raises_sqlstate(code):
        call(connection, "record_upload", **named)
    assert reservation(connection, "/a").version == 1


def quota_today(connection: PgConnection) -> int:
    today = scalar(connection, "select (now() at time zone 'America/Los_Angeles')::date")
    return used(connection, today).get("api_units", 0)


def test_a_booked_upload_is_charged_once_whatever_is_reported_first(
    connection: PgConnection,
) -> None:
    call(connection, "set_channel", p_channel="default", p_upload_lead="366 days")
    day = coming_day(connection)
    for number, order in enumerate([("record", "account"), ("account", "record")]):
        reserve(connection, day, "final", f"1{number}:00", video=f"/{number}")
        for step in order:
            if step == "record":
                call(connection, "record_upload", p_video=f"/{number}")
            else:
                assert call(connection, "account_upload", p_type="final")[0].units == 0
    assert quota_today(connection) == 3200
    assert_consistent(connection)


def test_an_upload_planned_for_a_later_day_is_charged_once(connection: PgConnection) -> None:
    """Without an upload lead its units move to today when it is recorded."""
    day = coming_day(connection)
    for number, order in enumerate([("record", "account"), ("account", "record")]):
        reserve(connection, day, "final", f"1{number}:00", video=f"/{number}")
        for step in order:
            if step == "record":
                call(connection, "record_upload", p_video=f"/{number}")
            else:
                assert call(connection, "account_upload", p_type="final")[0].units == 0
    assert quota_today(connection) == 3200


def test_reports_by_the_date_of_publishing_are_matched_as_well(connection: PgConnection) -> None:
    """The date there is Seoul's, the day of the quota the one before in California."""
    call(connection, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    day = coming_day(connection)
    reserve(connection, day, "final", "09:00", video="/a")
    recorded = call(connection, "account_upload", p_type="final", p_day=day)[0]
    assert recorded.units == 0


def test_an_upload_without_a_booking_is_charged(connection: PgConnection) -> None:
    assert call(connection, "account_upload", p_type="short")[0].units == 1600
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    # A booking of the other type has not paid for it.
    assert call(connection, "account_upload", p_type="short", p_units=50)[0].units == 50
    assert call(connection, "account_upload", p_type="final")[0].units == 0
    assert call(connection, "account_upload", p_type="final")[0].units == 1600
    assert quota_today(connection) == 3250


def test_a_second_attempt_may_be_reported_as_well(connection: PgConnection) -> None:
    day = coming_day(connection)
    booked = reserve(connection, day, "final", "10:00", video="/a")
    assert call(connection, "account_upload", p_type="final")[0].units == 0
    call(connection, "record_upload", p_video="/a", p_status="failed")
    # What failed was not uploaded, so this report is of something else.
    assert call(connection, "account_upload", p_type="final", p_units=7)[0].units == 7
    query(connection, "select slotwarden.retry_upload(%s, %s, '11:00')",
          booked.reservation_id, day)  # fmt: skip
    assert call(connection, "account_upload", p_type="final")[0].units == 0


def test_what_was_uploaded_before_an_import_has_been_reported(connection: PgConnection) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    day = coming_day(connection)
    take(
        connection,
        row(1, scheduled_publish_time=f"{day}T10:00:00Z", upload_status="completed",
            created_at=now),
    )  # fmt: skip
    assert call(connection, "account_upload", p_type="short")[0].units == 1600


def test_what_does_not_fit_fills_the_day(connection: PgConnection) -> None:
    call(connection, "record_usage", p_limit="api_units", p_units=9000)
    recorded = call(connection, "account_upload", p_type="final")[0]
    assert recorded.units == 1000
    assert "did not fit" in recorded.note
    assert call(connection, "account_upload", p_type="final")[0].units == 0
    assert quota_today(connection) == 10000


def test_two_reports_are_not_matched_with_one_booking(
    connection: PgConnection, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    bound_wait(connection, PATIENT, "account_upload")
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.channel where channel_id = 'default' for update")
    today = scalar(connection, "select (now() at time zone 'America/Los_Angeles')::date")
    report = "select * from slotwarden.account_upload('final', 1600, %s)"
    outcomes = run_concurrently(
        [(session(connect), report, [today + dt.timedelta(days=n)]) for n in (0, 1, 1)],
        wait_until_blocked,
        gate.commit,
    )
    assert sorted(outcome.row.units for outcome in outcomes) == [0, 1600, 1600]


def test_a_channel_without_a_quota_counts_nothing(connection: PgConnection) -> None:
    call(connection, "set_charge", p_type="final", p_limit="api_units", p_units=0)
    assert call(connection, "account_upload", p_type="final")[0].external_usage_id is None
    assert query(connection, "select * from slotwarden.external_usage") == []
