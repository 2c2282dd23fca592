"""LangFlix's YouTubeScheduleManager on its database, or in a caller's transaction."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session, sessionmaker

from embedded_support import wait_until
from slotwarden import DatabaseUnavailable, LockTimeout, Scheduler, SlotwardenError
from slotwarden.langflix import (
    DatabaseConnectionError,
    YouTubeScheduleManager,
)
from support import (
    APP,
    Connect,
    bound_wait,
    session,
)

Call = Callable[[YouTubeScheduleManager, dt.date], object]
# Those that begin with a savepoint, and those that begin with the settings.
CALLS: dict[str, Call] = {
    "an upload": lambda manager, _: manager.update_schedule_with_video_id("/a.mp4", "yt"),
    "a locked day": lambda manager, day: manager.check_daily_quota(day, lock=True),
    "a usage": lambda manager, _: manager.update_quota_usage("final"),
    "a day": lambda manager, day: manager.check_daily_quota(day),
    "the next slot": lambda manager, _: manager.get_next_available_slot("final"),
    "the calendar": lambda manager, day: manager.get_schedule_calendar(day),
    "the warnings": lambda manager, _: manager.get_quota_warnings(),
    "a cancelling": lambda manager, _: manager.cancel_schedule(str(uuid.uuid4())),
    "the configuration": lambda manager, _: manager.config,
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
REFUSED: dict[str, Call] = {
    "a usage below zero": lambda manager, _: manager.update_quota_usage("final", -5),
    "a day at the end of time": lambda manager, _: manager.check_daily_quota(dt.date.max),
    "a slot at the end of time": lambda manager, _: manager.get_next_available_slot(
        "final", dt.date.max
    ),
    "an unknown status": lambda manager, _: manager.update_schedule_with_video_id(
        "/a.mp4", "yt", "lost"
    ),
}

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


def test_calls_join_a_callers_transaction(engine: Engine, caller: Session, day: dt.date) -> None:
    joined = YouTubeScheduleManager(session=caller)
    assert joined.schedule_video("/a.mp4", "final", at(day, 10))[0]
    assert YouTubeScheduleManager(engine=engine).get_schedule_calendar(day, 1) == {}
    caller.rollback()
    assert joined.get_schedule_calendar(day, 1) == {}
    assert joined.schedule_video("/a.mp4", "final", at(day, 10))[0]
    caller.commit()
    assert len(YouTubeScheduleManager(engine=engine).get_schedule_calendar(day, 1)) == 1


def test_what_is_refused_leaves_a_callers_transaction_usable(caller: Session, day: dt.date) -> None:
    joined = YouTubeScheduleManager(session=caller)
    for hour in (10, 14):
        assert joined.schedule_video(f"/{hour}", "final", at(day, hour))[0]
    assert not joined.schedule_video("/x", "final", at(day, 18))[0]
    assert not joined.update_schedule_with_video_id("/nobody", "yt")
    assert joined.schedule_video("/s", "short", at(day, 18))[0]
    caller.commit()
    assert sum(map(len, joined.get_schedule_calendar(day, 1).values())) == 3


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_leaves_a_callers_transaction_usable(
    caller: Session, day: dt.date, call: Call
) -> None:
    joined = YouTubeScheduleManager(session=caller)
    assert joined.schedule_video("/a.mp4", "final", at(day, 10))[0]
    with pytest.raises(SlotwardenError):
        call(joined, day)
    caller.commit()
    assert len(joined.get_schedule_calendar(day, 1)) == 1


def test_a_day_that_another_holds_leaves_a_callers_transaction_usable(
    engine: Engine, caller: Session, day: dt.date, connect: Connect
) -> None:
    bound_wait(session(connect), "50ms", "lock_day")
    joined = YouTubeScheduleManager(session=caller)
    assert joined.schedule_video("/a.mp4", "final", at(day, 10))[0]
    held = day + dt.timedelta(days=7)
    with engine.connect() as holder:
        Scheduler(holder).lock_day(held)
        with pytest.raises(LockTimeout):
            joined.check_daily_quota(held, lock=True)
    caller.commit()
    assert len(joined.get_schedule_calendar(day, 1)) == 1


def test_a_missing_channel_leaves_a_callers_transaction_usable(
    caller: Session, day: dt.date
) -> None:
    # What refers to the channel does not matter here.
    caller.execute(text("set local session_replication_role = replica"))
    caller.execute(text("delete from slotwarden.channel"))
    joined = YouTubeScheduleManager(session=caller)
    with pytest.raises(SlotwardenError):
        joined.check_daily_quota(day)
    assert caller.execute(text("select count(*) from slotwarden.channel")).scalar() == 0


def test_the_database_is_that_of_langflix(
    database_url: str, monkeypatch: pytest.MonkeyPatch, day: dt.date
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert YouTubeScheduleManager().schedule_video("/a.mp4", "final", at(day, 10))[0]
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(ValueError, match="DATABASE_URL is not set"):
        YouTubeScheduleManager()


def test_an_application_role_is_enough(engine: Engine, day: dt.date) -> None:
    plain = make_url(engine.url).update_query_dict({"options": f"-c role={APP}"})
    application = create_engine(plain)
    manager = YouTubeScheduleManager(engine=application)
    assert manager.schedule_video("/a.mp4", "final", at(day, 10))[0]
    assert manager.schedule_video("/b.mp4", "short")[0]
    assert manager.check_daily_quota(day).final_used == 1
    assert manager.get_quota_warnings() == []
    assert manager.update_schedule_with_video_id("/a.mp4", "yt")
    manager.update_quota_usage("final")
    (entry,) = manager.get_schedule_calendar(day, 1)[day.isoformat()]
    assert not manager.cancel_schedule(str(entry["id"]))
    with application.connect() as connection:
        joined = YouTubeScheduleManager(session=connection)
        assert joined.check_daily_quota(day, lock=True).final_remaining == 1
    application.dispose()


def test_a_database_that_is_away_is_never_taken_for_an_empty_one(day: dt.date) -> None:
    nowhere = create_engine(f"postgresql+psycopg2://nobody@127.0.0.1:1/none_{os.getpid()}")
    manager = YouTubeScheduleManager(engine=nowhere)
    assert manager.schedule_video("/a.mp4", "final", at(day, 10)) == (
        False, "Database connection failed. Please ensure PostgreSQL is running.", None
    )  # fmt: skip
    for call in (
        lambda: manager.check_daily_quota(day),
        lambda: manager.get_next_available_slot("final"),
        lambda: manager.get_schedule_calendar(day),
        manager.get_quota_warnings,
        lambda: manager.update_quota_usage("final"),
        lambda: manager.update_schedule_with_video_id("/a.mp4", "yt"),
        lambda: manager.cancel_schedule(str(uuid.uuid4())),
        lambda: manager.config,
    ):
        with pytest.raises(DatabaseConnectionError, match="ensure PostgreSQL is running") as away:
            call()
        assert isinstance(away.value, ValueError)
        assert isinstance(away.value, DatabaseUnavailable)


@EVERY_CALL
def test_a_session_whose_database_is_away_is_told_so(day: dt.date, call: Call) -> None:
    nowhere = create_engine(f"postgresql+psycopg2://nobody@127.0.0.1:1/none_{os.getpid()}")
    with (
        Session(nowhere) as joined,
        pytest.raises(DatabaseConnectionError, match="ensure PostgreSQL is running"),
    ):
        call(YouTubeScheduleManager(session=joined), day)


@EVERY_CALL
def test_a_session_that_lost_its_database_is_told_so(
    engine: Engine, caller: Session, day: dt.date, call: Call
) -> None:
    joined = YouTubeScheduleManager(session=caller)
    joined.check_daily_quota(day)
    backend = {"pid": caller.execute(text("select pg_backend_pid()")).scalar()}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        other.execute(text("select pg_terminate_backend(:pid)"), backend)
        there = text("select count(*) from pg_stat_activity where pid = :pid")
        wait_until(lambda: other.execute(there, backend).scalar() == 0, "the backend lives on")
    with pytest.raises(DatabaseConnectionError, match="ensure PostgreSQL is running"):
        call(joined, day)
    caller.rollback()
    assert joined.check_daily_quota(day).final_used == 0


def test_another_workspace(empty_database_url: str, day: dt.date) -> None:
    from slotwarden import migrations  # noqa: PLC0415

    made = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg2"))
    migrations.upgrade(made, schema="Odd: name")
    manager = YouTubeScheduleManager(engine=made, schema="Odd: name")
    assert manager.schedule_video("/a.mp4", "final", at(day, 10))[0]
    assert len(manager.get_schedule_calendar(day, 1)) == 1
    made.dispose()
