"""What does not depend on the machine, or needs no rounds: buffers, WAL, bytes, the wrapper."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import Cell
from benchmarks.measuring import Bench
from benchmarks.pgbench import statement
from benchmarks.preparing import prepare
from benchmarks.server import rows, scalar, session
from benchmarks.statistic import median
from slotwarden import Scheduler, create_engine

_EXPLAINED = (
    ("bare INSERT", Cell("distinct", 1, 0, "bare")),
    ("slotwarden, first booking of its day", Cell("distinct", 1, 0, "sql")),
    ("slotwarden, the day exists", Cell("hot", 1, 0, "sql")),
    ("slotwarden, refused: the day is full", Cell("full", 1, 0, "sql")),
    ("next free slot, 13 of 14 days full", Cell("next_full", 1, 0, "sql")),
)
_WARM = 8
_EXPLAINS = 11
_BUFFERS = ("Shared Hit Blocks", "Shared Read Blocks", "Shared Dirtied Blocks")
_WAL = ("WAL Records", "WAL FPI", "WAL Bytes")


def explained(bench: Bench, size: int) -> list[dict[str, Any]]:
    """Return buffers and WAL of one call of each kind, medians over warm calls."""
    found = []
    for title, kind in _EXPLAINED:
        cell = Cell(kind.shape, kind.clients, size, kind.contender)
        plan = bench.plan(cell.shape, size)
        prepare(bench.url(size), cell, plan, bench.seconds, bench.workers, bench.room)
        with session(bench.url(size)) as connection:
            plans = [
                _explain(connection, statement(connection, cell, plan, str(n)))
                for n in range(_WARM + _EXPLAINS)
            ][_WARM:]
        found.append(
            {
                "statement": title,
                **{name: median([each[name] for each in plans]) for name in (*_BUFFERS, *_WAL)},
            }
        )
    return found


def _explain(connection: PgConnection, sql: str) -> dict[str, float]:
    answer = scalar(connection, f"explain (analyze, buffers, wal, timing off, format json) {sql}")
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return {name: float(plan.get(name, 0)) for name in (*_BUFFERS, *_WAL)}


def stored(connection: PgConnection, bookings: int) -> list[dict[str, Any]]:
    """Return the bytes that tables and their indexes have for each of the bookings loaded."""
    groups = {
        "bare INSERT": ["bench.bare"],
        "slotwarden": [
            f"slotwarden.{name}" for name in ("reservation", "usage_ledger", "limit_day")
        ],
        "ORM": ["bench.orm_reservation", "bench.orm_usage"],
        "serializable": ["bench.serial_reservation"],
    }
    found = []
    for title, tables in groups.items():
        for table in tables if _is_filled(connection, tables[0]) else []:
            heap, indexes = rows(
                connection, "select pg_table_size(%s), pg_indexes_size(%s)", table, table
            )[0]
            found.append(
                {
                    "contender": title,
                    "table": table,
                    "bookings": bookings,
                    "table_bytes": heap / bookings,
                    "index_bytes": indexes / bookings,
                }
            )
    return found


def _is_filled(connection: PgConnection, table: str) -> bool:
    found: bool = scalar(connection, f"select exists (select from {table})")
    return found


def wrapper_cpu(bench: Bench, size: int, calls: int) -> dict[str, Any]:
    """Return the microseconds of its thread's CPU that the wrapper adds to a booking.

    The same statement, which the wrapper has sent, goes through psycopg2 alone; the calls take
    turns.
    """
    plan = bench.plan("distinct", size)
    engine = create_engine(bench.url(size), pool_size=1)
    scheduler = Scheduler(engine)
    ours: list[float] = []
    bare: list[float] = []
    with session(bench.url(size)) as connection, connection.cursor() as cursor:
        sql, parameters = _sent(bench.url(size), plan.first)
        scheduler.reserve_slot(plan.first, "short", dt.time(8), channel="c0")
        for n in range(2 * calls):
            wish = plan.wish(n)
            began = time.thread_time()
            if n % 2:
                scheduler.reserve_slot(wish.day, "short", wish.time, channel=wish.channel)
                ours.append(time.thread_time() - began)
                continue
            given = {
                **parameters,
                "p_date": wish.day,
                "p_time": wish.time,
                "p_channel": wish.channel,
            }
            began = time.thread_time()
            cursor.execute(sql, given)
            cursor.fetchall()
            bare.append(time.thread_time() - began)
    engine.dispose()
    return {
        "calls": calls,
        "wrapper_us": median(ours[_WARM:]) * 1e6,
        "psycopg2_us": median(bare[_WARM:]) * 1e6,
        "own_us": (median(ours[_WARM:]) - median(bare[_WARM:])) * 1e6,
    }


def _sent(url: str, day: dt.date) -> tuple[str, dict[str, Any]]:
    """Return the statement and the parameters that the driver gets for a booking."""
    caught: list[tuple[str, dict[str, Any]]] = []

    def catch(_c: object, _cursor: object, sql: str, given: dict[str, Any], *_: object) -> None:
        caught.append((sql, dict(given)))

    # An engine that was listened to stays a little slower.
    engine = create_engine(url, poolclass=sa.NullPool)
    sa.event.listen(engine, "before_cursor_execute", catch)
    Scheduler(engine).reserve_slot(day, "short", dt.time(9), channel="c0")
    return caught[-1]
