"""Whether what was measured did what it was to do."""

from __future__ import annotations

from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import SHAPES, Cell
from benchmarks.pgbench import Measured
from benchmarks.server import scalar
from benchmarks.wishes import Plan
from benchmarks.workspace import ROOM, booked_since, table_of

# A view over everything is for tables that can be read in some seconds.
_DRIFT_UP_TO = 2_000_000


class Wrong(Exception):
    """A contender booked too much, too little, or left what does not add up."""


def check_round(
    connection: PgConnection, cell: Cell, plan: Plan, measured: Measured, marked: int
) -> None:
    """Compare the bookings that are there with those that were told.

    Parameters
    ----------
    marked : int
        What `mark` said before the round.

    Raises
    ------
    Wrong
    """
    table = table_of(cell.contender)
    found = booked_since(connection, cell.contender, plan.first, marked)
    if found != measured.booked:
        raise Wrong(f"{cell.name}: {measured.booked} bookings were told, {found} are there")
    if SHAPES[cell.shape].prefix != "f":
        return
    day = scalar(
        connection,
        f"select count(*) from {table} where channel_id like 'f%%' and local_date = %s"
        " and scheduled_publish_time >= %s",
        plan.first,
        plan.first,
    ) if cell.size <= _DRIFT_UP_TO else ROOM  # fmt: skip
    if day != ROOM:
        raise Wrong(f"{cell.name}: {day} bookings on a day with room for {ROOM}")


def check_size(connection: PgConnection, size: int) -> dict[str, int]:
    """Look for what does not add up in the whole database; all zeros.

    Raises
    ------
    Wrong
    """
    found = {
        "orm_overbooked": scalar(
            connection, "select count(*) from bench.orm_usage where used_units > max_units"
        ),
        "ledger_overbooked": scalar(
            connection,
            "select count(*) from slotwarden.usage_ledger"
            " where units > 0 and used_units > max_units",
        ),
    }
    if size <= _DRIFT_UP_TO:
        found["drift"] = scalar(connection, "select count(*) from slotwarden.usage_drift")
    if any(found.values()):
        raise Wrong(f"at size {size}: {found}")
    return found
