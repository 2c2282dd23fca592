"""What a round needs before it: days that exist, days that are full."""

from __future__ import annotations

import datetime as dt

from benchmarks.cells import CHANNELS, POOL, PREPARED, WINDOW_CHANNELS, Cell
from benchmarks.server import rows, session
from benchmarks.wishes import WINDOW_DAYS, WINDOW_ROOM, Plan, calls_of_next
from benchmarks.workers import Workers
from benchmarks.workspace import PLENTY, ROOM, UNITS

# Wishes that no round reaches: the slots that make a day full.
_OUT_OF_THE_WAY = POOL * 700

_DAYS = f"""
  select 'c' || c || '/' || name as limit_id, %s::date + d as day
  from generate_series(0, {CHANNELS} - 1) as c,
    generate_series(0, {PREPARED // CHANNELS - 1}) as d,
    unnest(array['api_units', 'short']) as name
"""


def prepare(
    url: str, cell: Cell, plan: Plan, seconds: float, workers: Workers, room: dict[str, int]
) -> None:
    """Make the days of a round what its shape says."""
    if cell.shape == "existing":
        _make_days(url, cell.contender, plan.first)
    elif cell.shape == "next_full":
        _fill_windows(url, plan.first, cell.clients * calls_of_next(cell.clients, seconds))
    elif cell.shape.startswith("full"):
        _fill_day(url, cell, plan, workers, room)


def _make_days(url: str, contender: str, first: dt.date) -> None:
    with session(url) as connection:
        if contender in ("sql", "python"):
            rows(connection, f"insert into slotwarden.limit_day (limit_id, day) {_DAYS}", first)
        elif contender in ("orm", "redis"):
            rows(
                connection,
                "insert into bench.orm_usage (limit_id, day, used_units, max_units)"
                f" select limit_id, day, 0, {PLENTY} from ({_DAYS}) as days",
                first,
            )


def _fill_day(url: str, cell: Cell, plan: Plan, workers: Workers, room: dict[str, int]) -> None:
    away = Plan(plan.shape, plan.first, _OUT_OF_THE_WAY)
    if cell.contender == "sql":
        with session(url) as connection:
            for wish in map(away.wish, range(ROOM)):
                rows(
                    connection,
                    "select slotwarden.reserve_slot(%s, 'short', %s, p_channel => %s)",
                    wish.day,
                    wish.time,
                    wish.channel,
                )
        return
    # Two callers ask for the whole room each.
    filling = Cell("race", 2, cell.size, cell.contender)
    done = workers.run(filling, away, url, room, 0, calls=ROOM)
    if done.booked != ROOM:
        raise RuntimeError(f"{cell.name}: {done.booked} bookings where there is room for {ROOM}")


def _fill_windows(url: str, first: dt.date, calls: int) -> None:
    """Fill all days but the last of each window, as so many bookings would have left them."""
    windows = -(-calls // WINDOW_ROOM)
    with session(url) as connection:
        connection.autocommit = False
        # A million bookings one by one would take longer than what is measured.
        rows(connection, "set local session_replication_role = replica")
        rows(
            connection,
            "create temporary table filled on commit drop as"
            " select nextval('slotwarden.reservation_id_seq') as reservation_id,"
            f"   'n' || (w %% {WINDOW_CHANNELS}) as channel_id,"
            f"   %s::date + w / {WINDOW_CHANNELS} * {WINDOW_DAYS} + d as day, nth"
            " from generate_series(0, %s - 1) as w,"
            f"   generate_series(0, {WINDOW_DAYS - 2}) as d,"
            f"   generate_series(0, {WINDOW_ROOM - 1}) as nth",
            first,
            windows,
        )
        rows(
            connection,
            "insert into slotwarden.reservation (reservation_id, channel_id, video_type,"
            " scheduled_publish_time, upload_time, local_date, time_zone, held_units)"
            " select reservation_id, channel_id, 'short', slot, slot, day, 'UTC',"
            f" {UNITS + 1} from filled as f cross join lateral (select"
            " (f.day + time '10:05' + f.nth * interval '1 minute') at time zone 'UTC') as s (slot)",
        )
        rows(
            connection,
            "insert into slotwarden.limit_day (limit_id, day, max_units)"
            " select channel_id || '/' || name, day, maximum from filled, (values"
            f" ('short', {WINDOW_ROOM}), ('api_units', {PLENTY})) as l (name, maximum)"
            " where nth = 0",
        )
        rows(
            connection,
            "insert into slotwarden.usage_ledger (limit_id, day, version, reservation_id,"
            " attempt, units, used_units, max_units, reason, at, by)"
            " select channel_id || '/' || name, day, nth + 1, reservation_id, attempt, units,"
            " units * (nth + 1), maximum, 'reserve', now(), current_user from filled, (values"
            f" ('short', {WINDOW_ROOM}, 1, null::integer), ('api_units', {PLENTY}, {UNITS}, 1))"
            " as l (name, maximum, units, attempt)",
        )
        connection.commit()
        connection.autocommit = True
        rows(connection, "analyze slotwarden.limit_day")
