"""Reading the view youtube_schedule, by LangFlix's ids and by days."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.engine import RowMapping

from .connection import Database

_BY_ID = """
    select reservation_id, upload_status from {schema}.youtube_schedule where id = :id
"""
_BY_DAYS = """
    select
      id, video_path, video_type, upload_status, youtube_video_id, scheduled_publish_time,
      to_char(scheduled_publish_time at time zone :zone, 'YYYY-MM-DD') as day
    from {schema}.youtube_schedule
    where (scheduled_publish_time at time zone :zone)::date >= :first
      and (scheduled_publish_time at time zone :zone)::date < :end
    order by scheduled_publish_time, reservation_id
"""

Calendar = dict[str, list[dict[str, str | None]]]


def schedule_of(database: Database, schedule_id: object) -> Sequence[RowMapping]:
    """Give the reservation of an id: one row, or none."""
    try:
        wanted = uuid.UUID(str(schedule_id))
    except ValueError:
        return []
    return database.rows(_BY_ID, {"id": str(wanted)})


def calendar_of(database: Database, zone: str, first: dt.date, days: int) -> Calendar:
    """Give the bookings of some days on the clock of a zone, by day."""
    rows = database.rows(
        _BY_DAYS, {"zone": zone, "first": first, "end": first + dt.timedelta(days=days)}
    )
    calendar: Calendar = {}
    for row in rows:
        local = row["scheduled_publish_time"].astimezone(ZoneInfo(zone))
        calendar.setdefault(row["day"], []).append(
            {
                "id": str(row["id"]),
                "video_path": row["video_path"],
                "video_type": row["video_type"],
                "scheduled_time": local.isoformat(),
                "status": row["upload_status"],
                "youtube_video_id": row["youtube_video_id"],
            }
        )
    return calendar
