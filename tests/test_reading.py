"""What a person asks: exact answers, the same in every session, and nothing written."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from life import DAY, NEXT, ONE_DAY, TODAY, move, on, prepared, run_clock, times
from support import (
    READER,
    Connect,
    PgConnection,
    attempt_call,
    call,
    query,
    reserve,
    session,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


@pytest.fixture
def reader(connect: Connect, db: PgConnection) -> PgConnection:  # noqa: ARG001
    """A session that can only read, in an odd zone and style."""
    settings = {
        "TimeZone": "Asia/Kathmandu",
        "DateStyle": "German",
        "default_transaction_read_only": "on",
    }
    return session(connect, role=READER, settings=settings)


def status(connection: PgConnection, **named: Any) -> dict[str, Any]:
    return {row.limit_id: row for row in call(connection, "daily_status", **named)}


def test_a_days_status(db: PgConnection, reader: PgConnection) -> None:
    reserve(db, DAY, "final", "10:00")
    call(db, "override_day", p_limit="short", p_day=DAY, p_max=0)
    call(db, "set_daily_limit", p_limit="other", p_max=7, p_counted_at="publish")
    found = status(reader, p_day=DAY)
    assert list(found) == ["final", "short", "api_units"]
    final = found["final"]
    assert (final.used_units, final.max_units, final.remaining_units) == (1, 2, 1)
    assert (final.used_percent, final.overridden, final.version) == (Decimal("50.0"), False, 1)
    assert (final.time_zone, final.counted_at, final.day) == ("UTC", "publish", DAY)
    short = found["short"]
    assert (short.max_units, short.used_percent, short.overridden) == (0, Decimal("100.0"), True)
    units = found["api_units"]
    assert (units.used_units, units.used_percent) == (1600, Decimal("16.0"))
    assert units.resets_at == dt.datetime(2031, 3, 7, 8, tzinfo=dt.UTC)


def test_less_is_left_than_nothing_when_a_maximum_was_lowered(
    db: PgConnection, reader: PgConnection
) -> None:
    reserve(db, DAY, "final", "10:00")
    reserve(db, DAY, "final", "11:00")
    call(db, "set_daily_limit", p_limit="final", p_max=1)
    final = status(reader, p_day=DAY)["final"]
    assert (final.used_units, final.remaining_units, final.used_percent) == (2, 0, Decimal(200))


def test_today_is_each_limits_own(db: PgConnection, reader: PgConnection) -> None:
    run_clock(db, f"{DAY} 07:30Z")
    found = status(reader)
    assert (found["final"].day, found["api_units"].day) == (DAY, TODAY)
    assert found["api_units"].resets_at == dt.datetime(2031, 3, 6, 8, tzinfo=dt.UTC)
    assert found["final"].resets_at == dt.datetime(2031, 3, 7, tzinfo=dt.UTC)


def test_a_quota_day_of_23_hours(reader: PgConnection) -> None:
    before = status(reader, p_day="2031-03-08")["api_units"].resets_at
    after = status(reader, p_day="2031-03-09")["api_units"].resets_at
    assert after - before == dt.timedelta(hours=23)


def test_a_calendar_shows_what_is_booked_and_what_failed(
    db: PgConnection, reader: PgConnection
) -> None:
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    late = reserve(db, NEXT, "final", "23:59", video="late")
    early = reserve(db, DAY, "final", "00:00", video="early")
    reserve(db, NEXT + ONE_DAY, "short", "00:00")
    gone = reserve(db, DAY, "short", "12:00")
    on(db, "cancel_reservation", gone)
    failed = on(db, "start_upload", reserve(db, DAY, "short", "13:00", video="broken"))
    on(db, "fail_upload", failed, p_token=failed.lease_token, p_error_message="no network")
    rows = call(reader, "calendar", p_from=DAY, p_days=2)
    assert [(row.day, row.local_time, row.video_path, row.upload_status) for row in rows] == [
        (DAY, dt.time(0), "early", "scheduled"),
        (DAY, dt.time(13), "broken", "failed"),
        (NEXT, dt.time(23, 59), "late", "scheduled"),
    ]
    assert [row.reservation_id for row in rows] == [
        early.reservation_id,
        failed.reservation_id,
        late.reservation_id,
    ]
    assert {row.time_zone for row in rows} == {"Asia/Seoul"}
    assert rows[0].publish_time == early.scheduled_publish_time
    assert rows[1].error_message == "no network"
    assert (rows[1].version, rows[2].version) == (3, 1)
    # It follows the wall clock that the channel has today.
    call(db, "set_channel", p_channel="default", p_time_zone="UTC")
    (first, *_) = call(reader, "calendar", p_from=TODAY)
    assert (first.day, first.local_time) == (TODAY, dt.time(15))
    assert call(reader, "calendar", p_days=1)[0].video_path == "early"


def test_a_history_of_days(db: PgConnection, reader: PgConnection) -> None:
    reserve(db, DAY, "final", "10:00")
    move(db, reserve(db, NEXT, "short", "10:00"), NEXT + ONE_DAY, "10:00")
    call(db, "override_day", p_limit="final", p_day=NEXT, p_max=9)
    rows = call(reader, "usage_history", p_from=DAY, p_to=NEXT)
    assert [tuple(row) for row in rows] == [
        ("final", "publish", NEXT, 0, 9, Decimal("0.0"), True, 1),
        ("short", "publish", NEXT, 0, 5, Decimal("0.0"), False, 2),
        ("api_units", "upload", NEXT, 0, 10_000, Decimal("0.0"), False, 2),
        ("final", "publish", DAY, 1, 2, Decimal("50.0"), False, 1),
        ("api_units", "upload", DAY, 1600, 10_000, Decimal("16.0"), False, 1),
    ]
    only = call(reader, "usage_history", p_from=DAY, p_to=DAY, p_limit="final")
    assert [row.limit_id for row in only] == ["final"]
    call(db, "create_channel", channel="other", p_share_limits=["api_units"])
    theirs = call(reader, "usage_history", p_from=DAY, p_to=DAY, channel="other")
    assert [row.limit_id for row in theirs] == ["api_units"]


def test_a_history_of_the_last_thirty_days(db: PgConnection, reader: PgConnection) -> None:
    for days in (0, -29, -30, 1):
        call(db, "override_day", p_limit="final", p_day=TODAY + days * ONE_DAY, p_max=1)
    days_shown = [row.day for row in call(reader, "usage_history", p_limit="final")]
    assert days_shown == [TODAY, TODAY - 29 * ONE_DAY]


def warned(connection: PgConnection, **named: Any) -> list[tuple[str, dt.date]]:
    return [(row.limit_id, row.day) for row in call(connection, "quota_warnings", **named)]


def test_warnings_from_a_share_of_the_maximum(db: PgConnection, reader: PgConnection) -> None:
    for at in times("10:00", "11:00", "12:00", "13:00"):
        reserve(db, DAY, "short", at.isoformat())
    assert warned(reader, p_from=DAY) == [("short", DAY)]
    reserve(db, DAY, "final", "14:00")
    rows = call(reader, "quota_warnings", p_from=DAY)
    assert [(row.limit_id, row.used_percent) for row in rows] == [
        ("short", Decimal("80.0")),
        ("api_units", Decimal("80.0")),
    ]
    assert [(row.used_units, row.max_units, row.warn_percent) for row in rows] == [
        (4, 5, 80),
        (8000, 10_000, 80),
    ]
    assert "4 of 5 units" in rows[0].message
    assert str(DAY) in rows[0].message
    assert rows[1].resets_at == dt.datetime(2031, 3, 7, 8, tzinfo=dt.UTC)
    assert warned(reader, p_from=DAY, p_percent=Decimal("80.1")) == []
    assert warned(reader, p_from=DAY, p_percent=50)[0] == ("final", DAY)
    call(db, "set_daily_limit", p_limit="short", p_warn_percent=81)
    assert warned(reader, p_from=DAY) == [("api_units", DAY)]


def test_warnings_of_some_days(db: PgConnection, reader: PgConnection) -> None:
    for day in (TODAY, DAY + ONE_DAY):
        call(db, "override_day", p_limit="final", p_day=day, p_max=0)
    assert warned(reader) == [("final", TODAY)]
    assert warned(reader, p_days=2) == [("final", TODAY)]
    assert warned(reader, p_days=3) == [("final", TODAY), ("final", NEXT)]
    assert warned(reader, p_from=DAY, p_days=1) == []
    assert len(warned(reader, p_from=DAY, p_days=2, p_percent=0)) == 6


NO_ANSWER: list[tuple[str, str, dict[str, Any]]] = [
    ("daily_status", "p_day", {"p_day": "infinity"}),
    ("daily_status", "p_day", {"p_day": "0001-01-01"}),
    ("calendar", "p_days", {"p_days": 0}),
    ("calendar", "p_days", {"p_days": 3661}),
    ("calendar", "p_days", {"p_days": None}),
    ("calendar", "p_from", {"p_from": "infinity"}),
    ("calendar", "p_from", {"p_from": "9999-12-29"}),
    ("usage_history", "p_from", {"p_from": DAY, "p_to": TODAY}),
    ("usage_history", "p_from", {"p_from": "2001-01-01", "p_to": DAY}),
    ("usage_history", "p_from", {"p_from": "-infinity"}),
    ("usage_history", "p_to", {"p_from": DAY, "p_to": "infinity"}),
    ("usage_history", "p_to", {"p_to": "4714-11-24 BC"}),
    ("usage_history", "p_limit", {"p_limit": "nothing"}),
    ("quota_warnings", "p_days", {"p_days": 0}),
    ("quota_warnings", "p_days", {"p_days": 367}),
    ("quota_warnings", "p_days", {"p_days": None}),
    ("quota_warnings", "p_from", {"p_from": "infinity"}),
    ("quota_warnings", "p_from", {"p_from": "9999-12-29"}),
    ("quota_warnings", "p_percent", {"p_percent": -1}),
    ("quota_warnings", "p_percent", {"p_percent": 101}),
    ("quota_warnings", "p_percent", {"p_percent": "NaN"}),
]


def test_questions_that_have_no_answer(reader: PgConnection) -> None:
    for function, parameter, named in NO_ANSWER:
        outcome = attempt_call(reader, function, **named)
        assert outcome.sqlstate == "SWARG", (function, named)
        assert outcome.facts["parameter"] == parameter
    for function in ("daily_status", "calendar", "usage_history", "quota_warnings"):
        assert attempt_call(reader, function, channel="nobody").sqlstate == "SWCHN"
        assert attempt_call(reader, function, channel=None).sqlstate == "SWARG"


def test_no_question_creates_a_day(db: PgConnection, reader: PgConnection) -> None:
    for function in ("daily_status", "calendar", "usage_history", "quota_warnings"):
        call(reader, function)
    call(reader, "available_slots", kind="final")
    assert query(db, "select day from slotwarden.limit_day") == []
