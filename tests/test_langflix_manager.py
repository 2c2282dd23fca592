"""LangFlix's YouTubeScheduleManager books, and tells what a day has left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from slotwarden import InvalidArgument, NoSlotAvailable, Scheduler
from slotwarden.langflix import (
    DailyQuotaStatus,
    NoAvailableSlot,
    YouTubeScheduleManager,
)
from support import (
    PATIENT,
    Connect,
    WaitUntilBlocked,
    background,
    bound_wait,
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


@pytest.fixture
def caller(engine: Engine) -> Iterator[Session]:
    with sessionmaker(engine)() as opened:
        yield opened


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute))


def test_a_preferred_time_without_a_zone_is_on_the_channels_clock(
    manager: YouTubeScheduleManager, day: dt.date
) -> None:
    naive = dt.datetime.combine(day, dt.time(10, 0, 42, 7))
    done, message, when = manager.schedule_video("/a.mp4", "final", naive)
    assert done
    assert when == at(day, 10).replace(tzinfo=SEOUL)
    assert when is not None
    assert when.utcoffset() == dt.timedelta(hours=9)
    assert message == f"Video scheduled for {when}" == f"Video scheduled for {day} 10:00:00+09:00"


def test_naive_and_aware_times_of_one_instant_are_one_slot(
    manager: YouTubeScheduleManager, day: dt.date
) -> None:
    assert manager.schedule_video("/a.mp4", "final", at(day, 10))[0]
    aware = at(day, 10).replace(tzinfo=SEOUL).astimezone(dt.UTC)
    done, message, when = manager.schedule_video("/b.mp4", "short", aware)
    assert (done, when) == (False, None)
    assert message.startswith("Requested time slot is occupied. The next free slot is ")


def test_the_second_of_two_equal_times_can_be_meant(engine: Engine) -> None:
    Scheduler(engine).set_channel(time_zone="America/New_York")
    manager = YouTubeScheduleManager(engine=engine)
    zone = ZoneInfo("America/New_York")
    year = dt.datetime.now(dt.UTC).year + 1
    sunday = next(day for day in (dt.date(year, 11, n) for n in range(1, 8)) if day.weekday() == 6)
    twice = [at(sunday, 1, 30), at(sunday, 1, 30).replace(fold=1)]
    times = [manager.schedule_video(f"/{n}", "final", time)[2] for n, time in enumerate(twice)]
    first, second = (time.astimezone(dt.UTC) for time in times if time)
    assert second - first == dt.timedelta(hours=1)
    skipped = next(day for day in (dt.date(year, 3, n) for n in range(8, 15)) if day.weekday() == 6)
    done, message, _ = manager.schedule_video("/c", "final", at(skipped, 2, 30))
    assert not done
    assert "does not exist in America/New_York" in message
    assert zone.key == "America/New_York"


def test_without_a_preferred_time_ten_videos_get_the_next_slots(
    manager: YouTubeScheduleManager,
) -> None:
    foreseen = manager.get_next_available_slot("final")
    times = [manager.schedule_video(f"/{n}.mp4", "final")[2] for n in range(5)]
    assert times[0] == foreseen
    assert None not in times
    assert len(set(times)) == 5
    days = [time.date() for time in times if time]
    assert all(days.count(day) <= 2 for day in days)


def test_limits_are_told_in_langflixs_words(manager: YouTubeScheduleManager, day: dt.date) -> None:
    for hour in (10, 14):
        assert manager.schedule_video(f"/{hour}.mp4", "final", at(day, hour))[0]
    refused = manager.schedule_video("/x.mp4", "final", at(day, 18))
    assert refused == (False, f"No remaining quota for final videos on {day}. Used: 2/2", None)


def test_an_exhausted_quota_is_told_in_langflixs_words(
    manager: YouTubeScheduleManager, engine: Engine, day: dt.date
) -> None:
    pacific = at(day, 10).replace(tzinfo=SEOUL).astimezone(ZoneInfo("America/Los_Angeles"))
    Scheduler(engine).record_usage("api_units", 9000, pacific.date())
    refused = manager.schedule_video("/x.mp4", "final", at(day, 10))
    assert refused == (False, "Insufficient API quota. Remaining: 1000/1600 required", None)


def test_other_refusals_are_told_and_not_raised(
    manager: YouTubeScheduleManager, engine: Engine, day: dt.date
) -> None:
    assert manager.schedule_video("/a.mp4", "educational") == (
        False, "Invalid video_type: educational", None
    )  # fmt: skip
    assert manager.schedule_video("/a.mp4", "final", at(day, 10))[0]
    twice = manager.schedule_video("/a.mp4", "final", at(day, 14))
    assert twice[:2] == (False, f"Video is already scheduled for {day} 10:00:00+09:00")
    past = manager.schedule_video("/b.mp4", "final", at(day - dt.timedelta(days=60), 10))
    assert not past[0]
    assert "is in the past" in past[1]
    assert not manager.schedule_video("", "final", at(day, 14))[0]
    for limit in ("final", "short"):
        Scheduler(engine).set_daily_limit(limit, max=0)
    assert manager.schedule_video("/c.mp4", "final")[1] == (
        "Requested time slot is occupied. No available slots found within 14 days"
    )


def test_the_next_slot_is_free_and_aware(manager: YouTubeScheduleManager, day: dt.date) -> None:
    assert manager.get_next_available_slot("short", day) == at(day, 10).replace(tzinfo=SEOUL)
    manager.schedule_video("/a.mp4", "final", at(day, 10))
    slot = manager.get_next_available_slot("short", day)
    assert slot == at(day, 14).replace(tzinfo=SEOUL)
    assert slot.tzinfo == SEOUL


def test_a_bad_type_and_a_full_calendar_are_errors(
    manager: YouTubeScheduleManager, engine: Engine
) -> None:
    with pytest.raises(ValueError, match=r"^Invalid video_type: educational"):
        manager.get_next_available_slot("educational")
    Scheduler(engine).set_daily_limit("final", max=0)
    with pytest.raises(NoAvailableSlot, match="No available slots found for final") as none:
        manager.get_next_available_slot("final")
    assert isinstance(none.value, NoSlotAvailable)
    assert isinstance(none.value, ValueError)


def test_the_status_of_a_day(manager: YouTubeScheduleManager, engine: Engine, day: dt.date) -> None:
    manager.schedule_video("/a.mp4", "final", at(day, 20))
    manager.schedule_video("/b.mp4", "short", at(day, 21))
    # 20:00 and 21:00 in Seoul are of the same date in California.
    assert manager.check_daily_quota(day) == DailyQuotaStatus(
        date=day,
        final_used=1,
        final_remaining=1,
        short_used=1,
        short_remaining=4,
        quota_used=3200,
        quota_remaining=6800,
        quota_percentage=32.0,
    )
    empty = manager.check_daily_quota(day + dt.timedelta(days=7))
    assert (empty.final_remaining, empty.short_remaining, empty.quota_used) == (2, 5, 0)
    with engine.connect() as connection:
        # Asking writes nothing.
        days = text("select count(*) from slotwarden.limit_day where day >= :day")
        later = day + dt.timedelta(days=6)
        assert connection.execute(days, {"day": later}).scalar() == 0


def test_a_lowered_limit_leaves_nothing(
    manager: YouTubeScheduleManager, engine: Engine, day: dt.date
) -> None:
    manager.schedule_video("/a.mp4", "final", at(day, 20))
    Scheduler(engine).set_daily_limit("final", max=0)
    Scheduler(engine).set_daily_limit("api_units", max=0)
    status = manager.check_daily_quota(day)
    assert (status.final_used, status.final_remaining) == (1, 0)
    assert (status.quota_remaining, status.quota_percentage) == (0, 100.0)


def test_a_locked_day_is_held_until_the_callers_transaction_ends(
    caller: Session,
    day: dt.date,
    connect: Connect,
    wait_until_blocked: WaitUntilBlocked,
) -> None:
    bound_wait(session(connect), PATIENT, "reserve_slot")
    manager = YouTubeScheduleManager(session=caller)
    assert manager.check_daily_quota(day, lock=True).final_remaining == 2
    booking = background(session(connect), "reserve_slot", day=day, kind="final", at="10:00")
    holder = caller.connection().execute(text("select pg_backend_pid()")).scalar()
    assert wait_until_blocked(booking.pid) == [holder]
    caller.rollback()
    assert booking.outcome.row.upload_status == "scheduled"


def test_locking_needs_a_transaction(
    manager: YouTubeScheduleManager, engine: Engine, day: dt.date
) -> None:
    with pytest.raises(InvalidArgument, match="until your transaction ends, so it needs one"):
        manager.check_daily_quota(day, lock=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        joined = YouTubeScheduleManager(session=connection)
        with pytest.raises(InvalidArgument, match="so it needs one"):
            joined.check_daily_quota(day, lock=True)
