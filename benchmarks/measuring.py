"""Rounds: every cell once in each, the cells that are compared one after another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import burst, pgbench
from benchmarks.cells import BURSTS, BY_PGBENCH, READS, Cell
from benchmarks.checking import check_round
from benchmarks.pgbench import Measured
from benchmarks.preparing import prepare
from benchmarks.server import rows, scalar, session
from benchmarks.wishes import Plan, days_of_round
from benchmarks.workers import Workers
from benchmarks.workspace import mark
from slotwarden.embedded import EmbeddedServer

# Bookings lie behind everything that was loaded.
_FIRST_DAY = 800
_MOST_DAYS = 2_000_000


@dataclass
class Bench:
    """What rounds need.

    Attributes
    ----------
    databases : dict
        Name of the database, by size.
    """

    server: EmbeddedServer
    program: Path
    workers: Workers
    databases: dict[int, str]
    seconds: float
    room: dict[str, int] = field(default_factory=dict)
    next_day: dict[int, int] = field(default_factory=dict)

    def url(self, size: int) -> str:
        """Return the URL of the database of a size."""
        return self.server.url(self.databases[size])

    def plan(self, shape: str, size: int) -> Plan:
        """Set days aside that no round has used."""
        first = self.next_day.get(size, _FIRST_DAY)
        # A day stays free: the quota day of one round is not that of the next.
        self.next_day[size] = first + days_of_round(shape, self.seconds) + 2
        if first > _MOST_DAYS:
            raise RuntimeError("the calendar has no days left: fewer rounds, or shorter ones")
        return Plan(shape, dt.datetime.now(dt.UTC).date() + dt.timedelta(first))

    def measure(self, cell: Cell) -> dict[str, Any]:
        """Run one round of a cell, check what it left, and return its figures.

        Raises
        ------
        Wrong, RuntimeError
        """
        url = self.url(cell.size)
        plan = self.plan(cell.shape, cell.size)
        prepare(url, cell, plan, self.seconds, self.workers, self.room)
        with session(url) as connection:
            marked = mark(connection, cell.contender, plan.first)
            begin = scalar(connection, "select pg_current_wal_insert_lsn()")
            measured = self._run(cell, plan)
            wal = scalar(
                connection, "select (pg_current_wal_insert_lsn() - %s::pg_lsn)::bigint", begin
            )
            if cell.shape not in READS:
                check_round(connection, cell, plan, measured, marked)
        calls = max(1, measured.calls)
        return {**asdict(measured), "wal_bytes": wal / calls}

    def _run(self, cell: Cell, plan: Plan) -> Measured:
        url = self.url(cell.size)
        if cell.shape in BURSTS:
            return burst.run(url, cell, plan, self.seconds)
        if cell.shape == "race":
            if cell.contender == "sql":
                return burst.race(url, cell, plan)
            return self.workers.run(cell, plan, url, self.room, 0, calls=1)
        if cell.contender in BY_PGBENCH:
            with session(url) as connection:
                return pgbench.run(
                    self.program, self.server, self.databases[cell.size], connection, cell, plan,
                    self.seconds,
                )  # fmt: skip
        return self.workers.run(cell, plan, url, self.room, self.seconds)


def room_of(url: str) -> dict[str, int]:
    """Return the maximum of each limit: what an application has in its settings."""
    with session(url) as connection:
        return dict(rows(connection, "select limit_id, max_units from slotwarden.daily_limit"))


def measure_rounds(
    bench: Bench, cells: list[Cell], rounds: int, step: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure every cell in every round; every other round goes backwards.

    So that what gets slower or faster over the run does so for both sides of a ratio.
    """
    results: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in cells}
    for size in sorted({cell.size for cell in cells}):
        with session(bench.url(size)) as connection:
            rows(connection, "checkpoint")
    for number in range(rounds):
        for cell in cells if number % 2 == 0 else reversed(cells):
            step(f"round {number + 1}: {cell.name}")
            results[cell].append(bench.measure(cell))
    return [{**asdict(cell), "rounds": figures} for cell, figures in results.items()]
