"""LangFlix's YouTubeScheduleManager after the booking: uploads, calendar, cancelling, warnings."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from slotwarden import Scheduler
from slotwarden.langflix import (
    YouTubeScheduleManager,
)
from support import (
    Connect,
    assert_consistent,
    query,
    session,
)

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.fixture
def manager(engine: Engine) -> YouTubeScheduleManager:
    """On a channel in Seoul."""
    Scheduler(engine).set_channel(time_zone="Asia/Seoul")
    return YouTubeScheduleManager(engine=engine)


@pytest.fixture
def day() -> dt.date:
    return (dt.datetime.now(SEOUL) + dt.timedelta(days=30)).date()


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute))


def test_an_upload_as_langflix_goes_about_it(
    manager: YouTubeScheduleManager, connect: Connect
) -> None:
    """It books, uploads, records, and reports the usage; 1,600 units are charged once."""
    when = manager.get_next_available_slot("final")
    assert manager.schedule_video("/a.mp4", "final", when)[2] == when
    assert manager.update_schedule_with_video_id("/a.mp4", "yt-1")
    manager.update_quota_usage("final")
    # Its web page records the same once more.
    assert manager.update_schedule_with_video_id("/a.mp4", "yt-1", "uploaded")
    connection = session(connect)
    charged = query(
        connection,
        "select sum(units)::integer as units from slotwarden.usage_ledger"
        " where limit_id = 'api_units'",
    )
    assert charged[0].units == 1600
    assert_consistent(connection)
    (booked,) = manager.get_schedule_calendar(when.date(), 1)[when.date().isoformat()]
    assert (booked["status"], booked["youtube_video_id"]) == ("completed", "yt-1")


def test_what_cannot_be_recorded_is_false(
    manager: YouTubeScheduleManager, day: dt.date, caplog: pytest.LogCaptureFixture
) -> None:
    assert not manager.update_schedule_with_video_id("/nobody.mp4", "yt")
    assert "/nobody.mp4" in caplog.text
    manager.schedule_video("/a.mp4", "final", at(day, 10))
    assert manager.update_schedule_with_video_id("/a.mp4", "", "failed")
    assert not manager.update_schedule_with_video_id("/a.mp4", "yt")
    with pytest.raises(ValueError, match="completed"):
        manager.update_schedule_with_video_id("/a.mp4", "yt", "lost")


def test_usage_without_a_booking_is_charged(manager: YouTubeScheduleManager, day: dt.date) -> None:
    manager.update_quota_usage("short", 50, day)
    assert manager.check_daily_quota(day).quota_used == 50
    with pytest.raises(ValueError, match=r"^Invalid video_type: x"):
        manager.update_quota_usage("x")


def test_the_calendar_is_by_the_channels_days(
    manager: YouTubeScheduleManager, day: dt.date
) -> None:
    manager.schedule_video("/late.mp4", "final", at(day, 23, 30))
    manager.schedule_video("/early.mp4", "short", at(day, 0, 30))
    manager.schedule_video("/after.mp4", "short", at(day + dt.timedelta(days=2), 0))
    calendar = manager.get_schedule_calendar(day, 2)
    assert [entry["video_path"] for entry in calendar.pop(day.isoformat())] == [
        "/early.mp4",
        "/late.mp4",
    ]
    assert calendar == {}
    (after,) = manager.get_schedule_calendar(day)[str(day + dt.timedelta(days=2))]
    assert after["scheduled_time"] == f"{day + dt.timedelta(days=2)}T00:00:00+09:00"
    assert set(after) == {
        "id", "video_path", "video_type", "scheduled_time", "status", "youtube_video_id"
    }  # fmt: skip


def test_cancelling_by_the_id_of_the_calendar(
    manager: YouTubeScheduleManager, day: dt.date
) -> None:
    def entry() -> dict[str, Any]:
        return manager.get_schedule_calendar(day, 1)[day.isoformat()][0]

    manager.schedule_video("/a.mp4", "final", at(day, 10))
    number = entry()["id"]
    assert manager.cancel_schedule(number)
    assert entry()["status"] == "failed"
    # LangFlix lets one cancel again what is not going to happen.
    assert manager.cancel_schedule(number)
    assert manager.check_daily_quota(day).final_used == 0
    assert not manager.cancel_schedule("non-existent-id")
    assert not manager.cancel_schedule(str(uuid.uuid4()))


def test_a_started_upload_cannot_be_cancelled(
    manager: YouTubeScheduleManager, day: dt.date
) -> None:
    manager.schedule_video("/a.mp4", "final", at(day, 10))
    manager.update_schedule_with_video_id("/a.mp4", "yt")
    (entry,) = manager.get_schedule_calendar(day, 1)[day.isoformat()]
    assert not manager.cancel_schedule(str(entry["id"]))


def test_warnings_are_langflixs_sentences(manager: YouTubeScheduleManager, engine: Engine) -> None:
    assert manager.get_quota_warnings() == []
    today = dt.datetime.now(SEOUL).date()
    scheduler = Scheduler(engine)
    scheduler.record_usage("api_units", 8500)
    scheduler.override_day("final", today, 1)
    scheduler.override_day("short", today, 0)
    assert manager.get_quota_warnings() == [
        "API quota usage is 85.0% (8500/10000)",
        "Only 1 final video slot(s) remaining today",
        "Only 0 short video slot(s) remaining today",
    ]
