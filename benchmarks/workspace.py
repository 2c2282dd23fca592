"""The databases that are measured: slotwarden with its channels, and tables for the others."""

from __future__ import annotations

import datetime as dt

from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import CHANNELS, POOL, WINDOW_CHANNELS
from benchmarks.server import rows, scalar, session
from slotwarden import migrations
from slotwarden.embedded import EmbeddedServer

PLENTY = 100_000_000
# What a day of the shapes that are about refusals lets in.
ROOM = 5
UNITS = 1_600

# What a column of a booking holds when it is written without slotwarden. The channel is $channel,
# the slot $slot.
_VALUES = {
    "reservation_id": "nextval('bench.{table}_id_seq')",
    "channel_id": "$channel",
    "video_type": "'short'",
    "scheduled_publish_time": "$slot",
    "upload_time": "$slot",
    "local_date": "($slot at time zone 'UTC')::date",
    "time_zone": "'UTC'",
    "upload_status": "'scheduled'",
    "attempt": "1",
    "held_units": "1601",
    "version": "1",
    "charged_at": "now()",
    "created_at": "now()",
    "created_by": "'application'",
}

# The tables of the other contenders, by contender.
TABLES = {
    "bare": "bare",
    "orm": "orm_reservation",
    "redis": "orm_reservation",
    "serializable": "serial_reservation",
}


def make_database(server: EmbeddedServer, name: str) -> str:
    """Make a database with slotwarden, its channels and the other contenders' tables; its URL."""
    with session(server.url()) as connection:
        rows(connection, f"create database {name}")
    url = server.url(name)
    migrations.upgrade(url)
    with session(url) as connection:
        _make_channels(connection)
        _make_tables(connection)
        rows(connection, "vacuum analyze")
    return url


def _make_channels(connection: PgConnection) -> None:
    # c: a channel each its own limits, never reached. n: the same with few units a day.
    # h, f: channels that share their limits, so that one day has room for more slots than the
    # minutes of a day.
    for prefix, channels, room, shared in (
        ("c", CHANNELS, PLENTY, False),
        ("n", WINDOW_CHANNELS, ROOM, False),
        ("h", POOL, PLENTY, True),
        ("f", POOL, ROOM, True),
    ):
        first = f"{prefix}0"
        limits = [f"{first}/{name}" for name in ("final", "short", "api_units")]
        rows(connection, "select slotwarden.create_channel(%s)", first)
        for limit in limits:
            maximum = PLENTY if limit.endswith("api_units") else room
            rows(connection, "select slotwarden.set_daily_limit(%s, %s)", limit, maximum)
        rows(
            connection,
            "select slotwarden.create_channel("
            " %s || g, p_share_limits => %s, p_like => %s) from generate_series(1, %s) as g",
            prefix,
            limits if shared else [],
            first,
            channels - 1,
        )


def _make_tables(connection: PgConnection) -> None:
    rows(connection, "create schema bench")
    for table in sorted(set(TABLES.values())):
        rows(connection, f"create table bench.{table} (like slotwarden.reservation)")
        rows(connection, f"create sequence bench.{table}_id_seq")
        rows(
            connection,
            f"alter table bench.{table} alter reservation_id"
            f" set default nextval('bench.{table}_id_seq')",
        )
        for (definition,) in rows(
            connection,
            "select indexdef from pg_indexes where schemaname = 'slotwarden'"
            " and tablename = 'reservation' and indexdef like 'CREATE UNIQUE%'",
        ):
            # The names are made anew from the table's.
            tail = definition.partition(" USING ")[2]
            rows(connection, f"create unique index on bench.{table} using {tail}")
    # A count has to find the bookings of a day; the channels of a pool count as one.
    rows(connection, "alter table bench.serial_reservation add pool text")
    rows(
        connection,
        "create index on bench.serial_reservation (coalesce(pool, channel_id), local_date)",
    )
    rows(
        connection,
        "create table bench.orm_usage (limit_id text, day date, used_units integer not null,"
        " max_units integer not null, primary key (limit_id, day))",
    )


def insert_sql(connection: PgConnection, table: str, channel: str, slot: str) -> str:
    """Return the INSERT of a booking into a table of the reservation's shape.

    Raises
    ------
    RuntimeError
        The reservation has a column that must be given and that is not known here.
    """
    columns = rows(
        connection,
        "select attname, attnotnull from pg_attribute where attrelid = %s::regclass"
        " and attnum > 0 and not attisdropped order by attnum",
        f"bench.{table}",
    )
    unknown = [name for name, needed in columns if needed and name not in _VALUES]
    if unknown:
        raise RuntimeError(f"benchmarks/workspace.py knows no value for {', '.join(unknown)}")
    given = {name: _VALUES[name] for name, _ in columns if name in _VALUES}
    values = ", ".join(given.values()).replace("{table}", table)
    values = values.replace("$channel", channel).replace("$slot", slot)
    return f"insert into bench.{table} ({', '.join(given)}) values ({values})"


def table_of(contender: str) -> str:
    """Return where the bookings of a contender are, with its schema."""
    return f"bench.{TABLES[contender]}" if contender in TABLES else "slotwarden.reservation"


def mark(connection: PgConnection, contender: str, first: dt.date) -> int:
    """Return what `booked_since` needs to count the bookings of a round that begins now."""
    if contender not in TABLES:
        return _booked_from(connection, first)
    found: int = scalar(
        connection,
        "select case when is_called then last_value else 0 end"
        f" from bench.{TABLES[contender]}_id_seq",
    )
    return found


def booked_since(connection: PgConnection, contender: str, first: dt.date, marked: int) -> int:
    """Count the bookings since the mark, on days from `first` on."""
    if contender not in TABLES:
        return _booked_from(connection, first) - marked
    found: int = scalar(
        connection,
        f"select count(*) from {table_of(contender)} where reservation_id > %s",
        marked,
    )
    return found


def _booked_from(connection: PgConnection, first: dt.date) -> int:
    # Its numbers need not be in order; the days are the round's own.
    found: int = scalar(
        connection,
        "select count(*) from slotwarden.reservation"
        " where upload_time >= %s and upload_status in ('scheduled', 'uploading')",
        first,
    )
    return found
