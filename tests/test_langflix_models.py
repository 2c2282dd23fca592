"""LangFlix's own models and queries, on the views in place of its tables."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    String,
    Text,
    Uuid,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Session, relationship, sessionmaker

from slotwarden.langflix import YouTubeScheduleManager


class Base(DeclarativeBase):
    pass


class YouTubeAccount(Base):
    __tablename__ = "youtube_accounts"
    id = Column(Uuid(as_uuid=True), primary_key=True, default=uuid.uuid4)
    channel_id = Column(String(100), nullable=False, unique=True)
    schedules = relationship("YouTubeSchedule", back_populates="account")


class YouTubeSchedule(Base):
    """As in a LangFlix checkout, with the one edit of docs/from-langflix.md: the schema."""

    __tablename__ = "youtube_schedule"
    __table_args__ = ({"schema": "slotwarden"},)
    id = Column(Uuid(as_uuid=True), primary_key=True, default=uuid.uuid4)
    video_path = Column(Text, nullable=False)
    video_type = Column(String(20), nullable=False)
    scheduled_publish_time = Column(DateTime(timezone=True), nullable=False)
    upload_status = Column(String(20), nullable=False, default="scheduled")
    youtube_video_id = Column(String(50))
    error_message = Column(Text)
    account_id = Column(Uuid(as_uuid=True), ForeignKey("youtube_accounts.id"), nullable=True)
    created_at = Column(DateTime(timezone=True))
    updated_at = Column(DateTime(timezone=True))
    account = relationship("YouTubeAccount", back_populates="schedules")


class YouTubeQuotaUsage(Base):
    __tablename__ = "youtube_quota_usage"
    __table_args__ = ({"schema": "slotwarden"},)
    id = Column(Uuid(as_uuid=True), primary_key=True, default=uuid.uuid4)
    date = Column(Date, nullable=False, unique=True)
    quota_used = Column(Integer, default=0)
    quota_limit = Column(Integer, default=10000)
    upload_count = Column(Integer, default=0)
    final_videos_uploaded = Column(Integer, default=0)
    short_videos_uploaded = Column(Integer, default=0)
    created_at = Column(DateTime(timezone=True))
    updated_at = Column(DateTime(timezone=True))


@pytest.fixture
def langflix(engine: Engine) -> Iterator[Session]:
    """LangFlix's start, which makes its tables, and a session."""
    Base.metadata.create_all(engine)
    with sessionmaker(engine)() as session:
        yield session


def test_its_start_makes_no_tables_where_the_views_are(engine: Engine, langflix: Session) -> None:
    assert inspect(langflix.connection()).get_table_names("public") == ["youtube_accounts"]
    assert "youtube_schedule" not in inspect(engine).get_table_names("slotwarden")


def test_its_queries_read_what_the_manager_books(engine: Engine, langflix: Session) -> None:
    manager = YouTubeScheduleManager(engine=engine)
    day = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).date()
    time = dt.datetime.combine(day, dt.time(20))
    assert manager.schedule_video("/videos/a.mp4", "final", time)[0]
    (entry,) = manager.get_schedule_calendar(day, 1)[day.isoformat()]
    manager.cancel_schedule(str(entry["id"]))
    assert manager.schedule_video("/videos/a.mp4", "final", time)[0]
    assert manager.update_schedule_with_video_id("/videos/a.mp4", "yt-1")

    # Its web page and its video list.
    schedule: Any = langflix.query(YouTubeSchedule).filter_by(video_path="/videos/a.mp4").first()
    assert schedule is not None
    assert (schedule.upload_status, schedule.youtube_video_id) == ("completed", "yt-1")
    assert schedule.scheduled_publish_time == time.replace(tzinfo=dt.UTC)
    assert schedule.account is None
    assert langflix.query(YouTubeSchedule).filter_by(video_path="/videos/b.mp4").first() is None
    cancelled: Any = langflix.get(YouTubeSchedule, uuid.UUID(str(entry["id"])))
    assert cancelled is not None
    assert (cancelled.upload_status, cancelled.error_message) == ("failed", "Cancelled by user")

    usage: Any = langflix.query(YouTubeQuotaUsage).filter(YouTubeQuotaUsage.date == day).first()
    assert usage is not None
    assert (usage.final_videos_uploaded, usage.upload_count) == (1, 1)
