"""A LangFlix database, made up, with every defect of its scheduler in the data."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from support import PgConnection, call, query

SEOUL = dt.timezone(dt.timedelta(hours=9))

# As LangFlix declares them, but without the checks of type and status, which came later.
TABLES = """
create table youtube_schedule (
  id uuid primary key,
  video_path text,
  video_type varchar(20),
  scheduled_publish_time {time_type},
  upload_status varchar(20),
  youtube_video_id varchar(50),
  error_message text,
  account_id uuid,
  created_at timestamptz,
  updated_at timestamptz
);
create table youtube_quota_usage (
  id uuid primary key default gen_random_uuid(),
  date date not null unique,
  quota_used integer default 0,
  quota_limit integer default 10000,
  upload_count integer default 0,
  final_videos_uploaded integer default 0,
  short_videos_uploaded integer default 0,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
"""


@dataclass(frozen=True)
class Row:
    """A row of youtube_schedule; `number` makes its id, and its place in order of creation."""

    number: int
    video_path: str | None
    video_type: str | None
    scheduled_publish_time: dt.datetime | str | None
    upload_status: str = "scheduled"
    youtube_video_id: str | None = None
    error_message: str | None = None
    created_at: dt.datetime | None = None

    @property
    def id(self) -> uuid.UUID:
        return langflix_id(self.number)


def langflix_id(number: int) -> uuid.UUID:
    """Return the id of the row of that number."""
    return uuid.UUID(f"1a9f11{number:02x}-0000-4000-9000-000000000000")


def make(connection: PgConnection, rows: list[Row], *, time_type: str = "timestamptz") -> None:
    """Make LangFlix's tables in schema public and fill its schedule."""
    query(connection, TABLES.format(time_type=time_type))
    made = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    for row in rows:
        add(connection, row, made)


def add(connection: PgConnection, row: Row, made: dt.datetime | None = None) -> None:
    """Insert one row."""
    values: dict[str, Any] = asdict(row) | {"id": str(row.id)}
    values.pop("number")
    if values["created_at"] is None and made is not None:
        values["created_at"] = made + dt.timedelta(seconds=row.number)
    query(
        connection,
        f"insert into youtube_schedule ({', '.join(values)})"
        f" values ({', '.join(['%s'] * len(values))})",
        *values.values(),
    )


def count_usage(
    connection: PgConnection, day: dt.date, units: int, finals: int, shorts: int
) -> None:
    """Insert what LangFlix counted on a day."""
    query(
        connection,
        "insert into youtube_quota_usage"
        " (date, quota_used, upload_count, final_videos_uploaded, short_videos_uploaded)"
        " values (%s, %s, %s, %s, %s)",
        day, units, finals + shorts, finals, shorts,
    )  # fmt: skip


def defects(today: dt.date) -> list[Row]:
    """Return a schedule with every defect that LangFlix's scheduler left behind.

    The channel's clock is Seoul's.
    """

    def at(days: int, hour: int, minute: int = 0, second: int = 0) -> dt.datetime:
        clock = dt.time(hour, minute, second, tzinfo=SEOUL)
        return dt.datetime.combine(today + dt.timedelta(days=days), clock)

    utc = at(10, 10).astimezone(dt.UTC)
    return [
        # A preferred time was allowed though taken, five times.
        *[Row(n, f"/five/{n}.mp4", "short", at(9, 14)) for n in range(1, 6)],
        # One instant, once naive and once aware, on two quota days.
        Row(6, "/instant/local.mp4", "final", at(10, 10)),
        Row(7, "/instant/utc.mp4", "final", utc),
        # Three finals on a day of two; the second, with seconds.
        Row(8, "/full/1.mp4", "final", at(11, 10)),
        Row(9, "/full/2.mp4", "final", at(11, 14, 0, 37)),
        Row(10, "/full/3.mp4", "final", at(11, 18)),
        # A failed upload kept its slot: somebody else was booked there.
        Row(11, "/failed.mp4", "short", at(12, 10), "failed", error_message="HTTP 500"),
        Row(12, "/instead.mp4", "short", at(12, 10)),
        # Cancelled, which LangFlix calls failed; it kept its quota.
        Row(13, "/cancelled.mp4", "final", at(12, 14), "failed",
            error_message="Cancelled by user"),
        # Uploaded at once, published later; LangFlix charged it twice.
        Row(14, "/uploaded.mp4", "final", at(12, 18), "completed", "yt-14"),
        Row(15, "/uploading.mp4", "short", at(13, 10), "uploading"),
        # Past: history, and a booking that nobody ever uploaded.
        Row(16, "/past/done.mp4", "final", at(-40, 10), "completed", "yt-16",
            created_at=at(-40, 9)),
        Row(17, "/past/forgotten.mp4", "short", at(-20, 10), created_at=at(-21, 9)),
        # A video twice; the later one is the double.
        Row(18, "/instead.mp4", "short", at(14, 10)),
        # What makes no sense.
        Row(19, "/type.mp4", "educational", at(15, 10)),
        Row(20, "/status.mp4", "short", at(15, 10), "queued"),
        Row(21, "/time.mp4", "short", None),
        Row(22, "", "short", at(15, 14)),
        Row(23, "/infinity.mp4", "short", "infinity"),
        # Made before everything else, though it has the largest id.
        Row(24, "/five/first.mp4", "short", at(9, 14), created_at=at(-60, 9)),
        # "uploaded" means completed.
        Row(25, "/uploaded/word.mp4", "short", at(16, 10), "uploaded", "yt-25"),
    ]  # fmt: skip


def row(number: int, **values: Any) -> dict[str, Any]:
    """Return a row as JSON has it, for ``import_langflix``."""
    return {
        "id": f"00000000-0000-4000-9000-{number:012d}",
        "video_path": f"/{number}.mp4",
        "video_type": "short",
        "upload_status": "scheduled",
        "created_at": f"2020-01-01T00:00:{number:02d}+00:00",
        **values,
    }


def take(connection: PgConnection, *rows: dict[str, Any], **named: Any) -> list[Any]:
    """Import rows, and return what came of them."""
    return call(connection, "import_langflix", p_schedule=json.dumps(rows), **named)


def reservation(connection: PgConnection, video: str) -> Any:
    """Return the reservation of a video."""
    return query(connection, "select * from slotwarden.reservation where video_path = %s", video)[0]
