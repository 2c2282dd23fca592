"""Fifty calls at once: all are sent by one thread, and each is timed from its own sending.

Threads of Python would queue for the interpreter, and their own queue would be measured.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import REFUSALS, Cell
from benchmarks.pgbench import Measured, summary
from benchmarks.server import rows, scalar, session
from benchmarks.statistic import median
from benchmarks.wishes import Plan

_PATIENCE_SECONDS = 60
_FULL = "SWLIM"


@contextmanager
def _waiting(url: str, callers: int) -> Iterator[list[PgConnection]]:
    """Open connections whose statements are sent without waiting for the answer."""
    made: list[PgConnection] = []
    try:
        for _ in range(callers):
            connection = psycopg2.connect(url, async_=True)
            made.append(connection)
            psycopg2.extras.wait_select(connection)
        yield made
    finally:
        for connection in made:
            connection.close()


def _at_once(
    connections: list[PgConnection], statements: list[str]
) -> list[tuple[float, str | None, int]]:
    """Send each its statement; latency in seconds, SQLSTATE, and reservation of each."""
    selector = selectors.DefaultSelector()
    began: list[float] = []
    cursors = [connection.cursor() for connection in connections]
    for number, (cursor, sql) in enumerate(zip(cursors, statements, strict=True)):
        began.append(time.perf_counter())
        cursor.execute(sql)
        selector.register(connections[number].fileno(), selectors.EVENT_READ, number)
    answers: dict[int, tuple[float, str | None, int]] = {}
    while len(answers) < len(cursors):
        ready = selector.select(_PATIENCE_SECONDS)
        if not ready:
            raise RuntimeError(f"no answer within {_PATIENCE_SECONDS} s")
        for key, _ in ready:
            number = key.data
            code: str | None = None
            reservation = 0
            try:
                if connections[number].poll() != psycopg2.extensions.POLL_OK:
                    continue
                found = cursors[number].fetchone()
                reservation = found[0] if found else 0
            except psycopg2.Error as error:
                code = error.pgcode or "lost"
            answers[number] = (time.perf_counter() - began[number], code, reservation)
            selector.unregister(key.fd)
    selector.close()
    return [answers[number] for number in range(len(cursors))]


def _statements(plan: Plan, first: int, count: int) -> list[str]:
    return [
        "select reservation_id from slotwarden.reserve_slot("
        f"date '{wish.day}', 'short', time '{wish.time}', p_channel => '{wish.channel}')"
        for wish in map(plan.wish, range(first, first + count))
    ]


def run(url: str, cell: Cell, plan: Plan, seconds: float) -> Measured:
    """Repeat the burst for some seconds, after one that makes the connections' plans.

    Raises
    ------
    RuntimeError
        A booking was refused where there is room, or went through where there is none.
    """
    refusals = cell.shape in REFUSALS
    cold: list[float] = []
    later: list[float] = []
    orders: list[float] = []
    wal: list[float] = []
    took = 0.0
    number = 0
    with _waiting(url, cell.clients) as connections, session(url) as other, session(url) as holder:
        if cell.shape == "full_held":
            _hold(holder, plan)
        begin = time.monotonic()
        while number < 2 or time.monotonic() < begin + seconds:
            statements = _statements(plan, number * cell.clients, cell.clients)
            before = scalar(other, "select pg_current_wal_insert_lsn()")
            began = time.perf_counter()
            answers = _at_once(connections, statements)
            if number:
                took += time.perf_counter() - began
            wal.append(
                float(scalar(other, "select pg_current_wal_insert_lsn() - %s::pg_lsn", before))
            )
            expected = _FULL if refusals else None
            wrong = {code for _, code, _ in answers if code != expected}
            if wrong:
                raise RuntimeError(f"{cell.name}: {wrong} instead of {expected}")
            (later if number else cold).extend(each[0] for each in answers)
            if number and not refusals:
                orders.append(_in_order([each[2] for each in answers], other))
            number += 1
        holder.rollback()
    booked = 0 if refusals else number * cell.clients
    # The server's own notes in the WAL come every 15 s; most bursts see none.
    extra = {"wal_bytes_a_burst": median(wal[1:]), "slowest_ms": max(later) * 1000}
    if orders:
        extra["pairs_in_order"] = median(orders)
    return summary(cold, later, took, booked, extra)


def race(url: str, cell: Cell, plan: Plan) -> Measured:
    """Let more callers than there is room for book once, all at once.

    Raises
    ------
    RuntimeError
        Somebody was refused for another reason than the limit.
    """
    with _waiting(url, cell.clients) as connections:
        answers = _at_once(connections, _statements(plan, 0, cell.clients))
    wrong = {code for _, code, _ in answers} - {None, _FULL}
    if wrong:
        raise RuntimeError(f"{cell.name}: {wrong} instead of {_FULL}")
    booked = sum(code is None for _, code, _ in answers)
    latencies = [took for took, _, _ in answers]
    return summary([], latencies, max(latencies), booked)


def _hold(holder: PgConnection, plan: Plan) -> None:
    holder.autocommit = False
    rows(
        holder,
        "select from slotwarden.limit_day where limit_id like 'f0/%%' and day = %s for update",
        plan.first,
    )


def _in_order(reservations: list[int], connection: PgConnection) -> float:
    """Return the share of pairs of calls that the ledger has in the order of their sending."""
    versions = dict(
        rows(
            connection,
            "select reservation_id, version from slotwarden.usage_ledger"
            " where reservation_id = any (%s) and units = 1",
            reservations,
        )
    )
    placed = [versions[each] for each in reservations]
    pairs = [earlier < later for number, later in enumerate(placed) for earlier in placed[:number]]
    return sum(pairs) / len(pairs) if pairs else 1.0
