"""The workspace that is fuzzed: a booking in every state, and a fingerprint of all tables."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from life import run_clock
from sessions import PgConnection, call, query, scalar

# Four days before the clocks go forward in New York.
NOW = "2031-03-05 12:00Z"
DAY = dt.date(2031, 3, 6)
GAP_DAY = dt.date(2031, 3, 9)
OVERLAP_DAY = dt.date(2031, 11, 2)
LORD_HOWE = "lord"

_ROWS = """[
  {"id": "1", "video_path": "l/1.mp4", "video_type": "final", "upload_status": "scheduled",
   "scheduled_publish_time": "2031-03-20T10:00:00+00:00"},
  {"id": "2", "video_path": "l/2.mp4", "video_type": "final", "upload_status": "scheduled",
   "scheduled_publish_time": "2031-03-20T10:00:00+00:00"}
]"""


@dataclass(frozen=True)
class World:
    """What is there to be named in a call, by the name of the parameter without ``p_``."""

    names: dict[str, list[str]]
    numbers: dict[str, list[int]]
    fingerprint_sql: str = field(repr=False)
    # Without the rows of days on which nothing is booked: a refusal under the lock leaves one.
    booked_sql: str = field(repr=False)


def furnish(connection: PgConnection) -> World:
    """Fill a new workspace, and return what is in it."""
    run_clock(connection, NOW)
    call(connection, "set_channel", p_channel="default", p_time_zone="America/New_York")
    lead = dt.timedelta(days=60)
    # What is booked within its lead is due at once.
    call(connection, "set_channel", p_channel="default", p_upload_lead=lead)
    call(connection, "create_channel", p_channel=LORD_HOWE, p_time_zone="Australia/Lord_Howe")
    call(connection, "create_channel", p_channel="shared", p_share_limits=["api_units"])
    booked = [
        call(
            connection,
            "reserve_slot",
            p_date=DAY + dt.timedelta(days=number),
            p_type="short",
            p_time="10:00",
            p_video=f"v{number}.mp4",
            p_request_key=f"key-{number}",
        )[0].reservation_id
        for number in range(5)
    ]
    call(connection, "cancel_reservation", p_reservation_id=booked[1])
    tokens = [
        call(connection, "start_upload", p_reservation_id=booked[number])[0].lease_token
        for number in (2, 3, 4)
    ]
    call(connection, "complete_upload", p_reservation_id=booked[2], p_token=tokens[0])
    call(connection, "fail_upload", p_reservation_id=booked[3], p_token=tokens[1])
    for at in ("10:00", "14:00"):
        call(connection, "reserve_slot", p_date=DAY, p_type="final", p_time=at, p_channel=LORD_HOWE)
    blackout = call(
        connection, "add_blackout", p_from="2031-03-15Z", p_to="2031-03-16Z", p_reason="closed"
    )
    query(connection, "select * from slotwarden.import_langflix(%s)", _ROWS)
    conflicts = query(connection, "select import_conflict_id from slotwarden.import_conflict")
    limits = query(connection, "select limit_id from slotwarden.daily_limit order by 1")
    channels = ["default", LORD_HOWE, "shared"]
    names = {
        "channel": channels,
        "like": channels,
        "type": ["final", "short"],
        "limit": [row.limit_id for row in limits],
        "share_limits": [row.limit_id for row in limits],
        "time_zone": ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "channel"],
        "video": [f"v{number}.mp4" for number in range(8)],
        "request_key": [f"key-{number}" for number in range(8)],
        "counted_at": ["publish", "upload"],
        "profile": ["units-10000", "uploads-100"],
        "status": ["completed", "failed", "uploading", "scheduled"],
        "source": ["langflix", "other"],
        "youtube_video_id": ["dQw4w9WgXcQ"],
        "token": [str(token) for token in tokens],
    }
    numbers = {
        "reservation_id": booked,
        "blackout_id": [blackout[0].blackout_id],
        "import_conflict_id": [row.import_conflict_id for row in conflicts],
        "iso_weekday": list(range(1, 8)),
        "expected_version": [1, 2, 3],
    }
    return World(
        names,
        numbers,
        _fingerprint_sql(connection, "true"),
        _fingerprint_sql(connection, "c.relname <> 'limit_day'"),
    )


def _fingerprint_sql(connection: PgConnection, condition: str) -> str:
    """Return a query that gives one hash of the rows of all tables that meet a condition."""
    tables = query(
        connection,
        "select c.oid::regclass::text as name from pg_class as c"
        " where c.relnamespace = 'slotwarden'::regnamespace and c.relkind in ('r', 'p')"
        f" and {condition} order by 1",
    )
    hashes = ", ".join(
        f"(select string_agg(t::text, ',' order by t::text collate \"C\") from {table.name} as t)"
        for table in tables
    )
    return f"select md5(concat_ws('|', {hashes}))"


def fingerprint(connection: PgConnection, world: World) -> str:
    value: str = scalar(connection, world.fingerprint_sql)
    return value
