"""What import_langflix makes of single rows."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from langflix_database import reservation, row, take
from support import (
    PATIENT,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    bound_wait,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    used,
)


@pytest.fixture
def connection(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("style", ["ISO, YMD", "German, DMY", "SQL, MDY"])
def test_a_naive_time_is_on_the_channels_clock_whatever_the_session(
    connection: PgConnection, zone: str, style: str
) -> None:
    call(connection, "set_channel", p_channel="default", p_time_zone="Europe/Berlin")
    day = coming_day(connection)
    query(connection, f"set timezone to '{zone}'; set datestyle to '{style}'")
    take(
        connection,
        row(1, scheduled_publish_time=f"{day}T10:00:00"),
        row(2, scheduled_publish_time=f"{day} 12:30:59.999+02:00"),
    )
    query(connection, "reset datestyle")
    local = (
        "select scheduled_publish_time at time zone %s from slotwarden.reservation"
        " where video_path = %s"
    )
    naive = scalar(connection, local, "Europe/Berlin", "/1.mp4")
    assert naive == dt.datetime.combine(day, dt.time(10))
    aware = scalar(connection, local, "UTC", "/2.mp4")
    assert aware == dt.datetime.combine(day, dt.time(10, 30))


def test_a_time_that_the_clock_skips_is_a_conflict(connection: PgConnection) -> None:
    call(connection, "set_channel", p_channel="default", p_time_zone="Europe/Berlin")
    (done,) = take(connection, row(1, scheduled_publish_time="2020-03-29T02:30:10"))
    assert done.action == "conflict"
    assert "2020-03-29 02:30 does not exist in Europe/Berlin" in done.reason


def test_a_time_that_occurs_twice_means_the_first(connection: PgConnection) -> None:
    call(connection, "set_channel", p_channel="default", p_time_zone="Europe/Berlin")
    take(connection, row(1, scheduled_publish_time="2020-10-25T02:30:00"))
    assert reservation(connection, "/1.mp4").scheduled_publish_time == dt.datetime(
        2020, 10, 25, 0, 30, tzinfo=dt.UTC
    )


@pytest.mark.parametrize(
    "text", ["2020-02-30T10:00:00", "tomorrow", "", "10:00", "12020-01-01T10:00:00+00:00", 7]
)
def test_a_time_that_is_none_is_a_conflict(connection: PgConnection, text: object) -> None:
    (done,) = take(connection, row(1, scheduled_publish_time=text))
    assert done.action == "conflict"
    assert done.reason == f"its publish time '{text}' cannot be read"


def test_an_import_leaves_no_worker_an_upload_that_runs(connection: PgConnection) -> None:
    day = coming_day(connection)
    take(connection, row(1, scheduled_publish_time=f"{day}T10:00:00Z", upload_status="uploading"))
    found = reservation(connection, "/1.mp4")
    assert found.lease_token is not None
    assert found.lease_expires_at is None
    assert call(connection, "claim_due_uploads", p_count=10) == []
    done = call(connection, "record_upload", p_video="/1.mp4", p_youtube_video_id="yt")[0]
    assert (done.upload_status, done.youtube_video_id) == ("completed", "yt")
    assert_consistent(connection)


def test_a_row_in_a_blackout_is_a_conflict_unless_it_is_done(connection: PgConnection) -> None:
    day = coming_day(connection)
    query(
        connection,
        "select slotwarden.add_blackout(%s::date, %s::date + 1, 'holidays')", day, day,
    )  # fmt: skip
    results = take(
        connection,
        row(1, scheduled_publish_time=f"{day}T10:00:00Z"),
        row(2, scheduled_publish_time=f"{day}T11:00:00Z", upload_status="completed"),
    )
    assert [(r.action, r.reason and "holidays" in r.reason) for r in results] == [
        ("conflict", True),
        ("imported", None),
    ]


def test_bookings_that_are_there_already_stay(connection: PgConnection) -> None:
    day = coming_day(connection)
    held = reserve(connection, day, "short", "10:00", video="/held.mp4")
    results = take(
        connection,
        row(1, scheduled_publish_time=f"{day}T10:00:00Z"),
        row(2, scheduled_publish_time=f"{day}T11:00:00Z", video_path="/held.mp4"),
    )
    assert [r.action for r in results] == ["conflict", "conflict"]
    assert all(f"reservation {held.reservation_id}" in r.reason for r in results)
    assert used(connection, day)["short"] == 1


def test_a_past_day_keeps_the_maximum_that_it_had(connection: PgConnection) -> None:
    take(connection, row(1, scheduled_publish_time="2020-05-01T10:00:00Z", video_type="final"))
    call(connection, "set_daily_limit", p_limit="final", p_max=9)
    take(
        connection,
        row(2, scheduled_publish_time="2020-05-01T11:00:00Z", video_type="final"),
        row(3, scheduled_publish_time="2020-05-01T12:00:00Z", video_type="final"),
    )
    day = query(
        connection,
        "select used_units, max_units from slotwarden.daily_usage"
        " where limit_id = 'final' and day = '2020-05-01'",
    )[0]
    assert (day.used_units, day.max_units) == (3, 2)
    assert_consistent(connection)


def test_an_override_that_is_there_is_kept(connection: PgConnection) -> None:
    day = coming_day(connection)
    call(connection, "override_day", p_limit="short", p_day=day, p_max=1)
    results = take(
        connection, *[row(n, scheduled_publish_time=f"{day}T1{n}:00:00Z") for n in (1, 2, 3)]
    )
    assert [r.action for r in results] == ["imported"] * 3 + ["over_limit"]
    kept = query(
        connection, "select max_units, overridden from slotwarden.limit_day"
        " where limit_id = 'short' and day = %s", day,
    )[0]  # fmt: skip
    assert (kept.max_units, kept.overridden) == (1, True)


def test_rows_repeated_within_an_import_are_known(connection: PgConnection) -> None:
    day = coming_day(connection)
    same = row(1, scheduled_publish_time=f"{day}T10:00:00Z")
    nonsense = {"id": None, "video_path": "/x"}
    results = take(connection, same, same, nonsense, nonsense)
    assert sorted(r.action for r in results) == ["conflict", "imported", "known", "known"]


@pytest.mark.parametrize("schedule", ["null", "{}", "[1]", "[[]]", '"x"', '[{"id": 1}, null]'])
def test_a_schedule_is_an_array_of_objects(connection: PgConnection, schedule: str) -> None:
    with raises_sqlstate("SWARG") as refused:
        call(connection, "import_langflix", p_schedule=schedule)
    assert refused.facts == {"parameter": "p_schedule"}


def test_an_import_waits_for_its_days(
    connection: PgConnection, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    """A booking that is under way keeps its slot; the row is kept as a conflict."""
    bound_wait(connection, PATIENT, "import_langflix")
    day = coming_day(connection)
    first = session(connect, autocommit=False)
    reserve(first, day, "short", "10:00")
    rows = [row(n, scheduled_publish_time=f"{day}T{9 + n}:00:00Z") for n in (1, 2)]
    importing = background(session(connect), "import_langflix", p_schedule=json.dumps(rows))
    wait_until_blocked(importing.pid)
    first.commit()
    assert [r.action for r in importing.outcome.rows] == ["conflict", "imported"]
    assert_consistent(connection)


def test_days_are_locked_in_their_order_whatever_that_of_the_rows(
    connection: PgConnection, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    """While it waits for the first day it holds no later one, so it cannot deadlock."""
    bound_wait(connection, PATIENT, "import_langflix")
    first, later = coming_day(connection), coming_day(connection, 40)
    for day in (first, later):
        reserve(connection, day, "short", "08:00")
    gate = session(connect, autocommit=False)
    call(gate, "lock_day", p_day=first)
    rows = [
        row(n, scheduled_publish_time=f"{day}T10:00:00Z")
        for n, day in enumerate((later, first), start=1)
    ]
    importing = background(session(connect), "import_langflix", p_schedule=json.dumps(rows))
    wait_until_blocked(importing.pid)
    reserve(connection, later, "short", "12:00")
    gate.commit()
    assert [r.action for r in importing.outcome.rows] == ["imported", "imported"]
