"""No hot call scans a table that grows, whether its plans were made while the tables were small.

Counted by the server itself: the sequential scans of each table, and the rows that they read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from support import (
    Connect,
    PgConnection,
    attempt_call,
    call,
    coming_day,
    query,
    reserve,
    scalar,
    session,
)

GROWING = ("reservation", "usage_ledger", "limit_day", "request", "blackout")
PER_CHANNEL = ("channel", "video_type", "charge_rule", "daily_limit", "posting_time")

_SCANS = """
select relname, seq_scan
from pg_stat_user_tables
where schemaname = 'slotwarden' and relname = any (%s)
"""


def _scans(db: PgConnection) -> dict[str, int]:
    query(db, "select pg_stat_force_next_flush()")
    query(db, "select pg_stat_clear_snapshot()")
    return dict(query(db, _SCANS, [*GROWING, *PER_CHANNEL]))


def _grow(db: PgConnection) -> None:
    """Add four hundred channels, and past bookings with what belongs to them."""
    query(
        db,
        """
        update slotwarden.daily_limit set max_units = 1000000000;
        -- The trigger that checks zones reads all files of the zone data, for each row.
        set session_replication_role = replica;
        insert into slotwarden.channel (channel_id, time_zone)
        select 'channel ' || n, 'UTC' from generate_series(1, 400) as n;
        set session_replication_role = origin;
        insert into slotwarden.video_type (channel_id, video_type)
        select 'channel ' || n, 'final' from generate_series(1, 400) as n;
        insert into slotwarden.daily_limit (limit_id, max_units, counted_at)
        select 'channel ' || n || '/final', 2, 'publish' from generate_series(1, 400) as n;
        insert into slotwarden.charge_rule (channel_id, video_type, limit_id, units)
        select 'channel ' || n, 'final', 'channel ' || n || '/final', 1
        from generate_series(1, 400) as n;
        insert into slotwarden.posting_time (channel_id, local_time)
        select 'channel ' || n, '10:00' from generate_series(1, 400) as n;
        insert into slotwarden.reservation (channel_id, video_type, video_path,
          scheduled_publish_time, upload_status)
        select 'default', 'final', 'old ' || n,
          date_trunc('hour', now()) - n * interval '8 hours', 'completed'
        from generate_series(1, 1500) as n;
        insert into slotwarden.request (request_key, function, arguments, reservation_id)
        select 'old ' || reservation_id, 'reserve_slot', '{}', reservation_id
        from slotwarden.reservation;
        insert into slotwarden.blackout (channel_id, from_time, to_time, reason)
        select 'default', now() - n * interval '2 days', now() - n * interval '2 days'
          + interval '1 day', 'holidays'
        from generate_series(1, 400) as n;
        """,
    )


Work = Callable[[PgConnection, dt.date, str], object]


def _book_and_cancel(db: PgConnection, day: dt.date, name: str) -> None:
    booked = reserve(db, day, "final", "20:00", video=name, key=name)
    reserve(db, day, "final", "20:00", video=name, key=name)
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)


def _be_refused(db: PgConnection, day: dt.date, name: str) -> None:
    for at in ("20:00", "20:00", "21:00", "22:00"):
        attempt_call(db, "reserve_slot", day=day, kind="final", at=at, video=f"{name} at {at}")
        call(db, "try_reserve_slot", day=day, kind="final", at=at, video=f"{name} at {at}")


def _book_an_instant(db: PgConnection, day: dt.date, name: str) -> None:
    call(db, "reserve_slot_at", instant=f"{day} 20:00Z", kind="final", video=name, key=name)


def _read(db: PgConnection, day: dt.date, name: str) -> None:
    call(db, "calendar", p_from=day)
    call(db, "daily_status", p_day=day)
    assert name


def _change_directly(db: PgConnection, day: dt.date, name: str) -> None:
    booked = reserve(db, day, "final", "20:00", video=name).reservation_id
    for change in (
        "scheduled_publish_time = scheduled_publish_time + interval '1 hour'",
        "upload_status = 'uploading'",
        "upload_status = 'failed'",
    ):
        query(db, f"update slotwarden.reservation set {change} where reservation_id = %s", booked)


def _override(db: PgConnection, day: dt.date, name: str) -> None:
    call(db, "override_day", p_limit="final", p_day=day, p_max=len(name))
    call(db, "override_day", p_limit="final", p_day=day, p_max=None)


WORK: list[Work] = [
    _book_and_cancel,
    _be_refused,
    _book_an_instant,
    _read,
    _change_directly,
    _override,
]


@pytest.mark.parametrize("analysed", [False, True])
def test_hot_calls_do_not_scan(connect: Connect, analysed: bool) -> None:
    db = session(connect)
    day = coming_day(db)
    call(db, "set_daily_limit", p_limit="api_units", p_max=1_000_000_000)
    # Plans that are made, and kept, while the tables are empty.
    for number in range(7 * len(WORK)):
        WORK[number % len(WORK)](db, day + dt.timedelta(days=number), f"first {number}")
    _grow(db)
    if analysed:
        query(db, "analyze")
    scanned = {}
    for each, work in enumerate(WORK):
        before = _scans(db)
        for number in range(7):
            later = day + dt.timedelta(days=100 + 10 * each + number)
            work(db, later, f"{work.__name__} {number}")
        after = _scans(db)
        scanned[work.__name__] = sorted(name for name in after if after[name] > before[name])
    assert {name: tables for name, tables in scanned.items() if tables} == {}


def test_the_count_of_scans_sees_one(connect: Connect) -> None:
    db = session(connect)
    _grow(db)
    before: dict[str, Any] = _scans(db)
    assert scalar(db, "select count(*) from slotwarden.reservation where attempt = 7") == 0
    assert _scans(db)["reservation"] > before["reservation"]
