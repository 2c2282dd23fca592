"""Rounds that pgbench runs: statements that cost their client next to nothing."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import NEXT, READS, Cell
from benchmarks.statistic import median, percentile
from benchmarks.wishes import Plan, calls_of_next
from benchmarks.workspace import insert_sql
from slotwarden.embedded import EmbeddedServer
from slotwarden.embedded.cluster import environment

# What a connection may take for its first call, when two hundred make theirs at once.
_FIRST_CALL_SECONDS = 0.03
# What a client does in a second, for rounds that are shorter.
_SHORT_CALLS = 60


@dataclass(frozen=True)
class Measured:
    """What a round of a cell gave.

    Attributes
    ----------
    calls : int
        Finished, the connections' first ones included.
    booked : int
        Those that were to leave a booking.
    throughput : float
        Calls a second, once every connection had made its first.
    p50, p95, p99, cold : float
        Milliseconds; `cold` is the median of the connections' first calls, which the others
        leave out.
    extra : dict
        What only this shape tells.
    """

    calls: int
    booked: int
    throughput: float
    p50: float
    p95: float
    p99: float
    cold: float
    extra: dict[str, float] = field(default_factory=dict)


def summary(
    first: list[float],
    later: list[float],
    seconds: float,
    booked: int,
    extra: dict[str, float] | None = None,
) -> Measured:
    """Return the figures of latencies, in seconds."""
    return Measured(
        calls=len(first) + len(later),
        booked=booked,
        throughput=len(later) / seconds if seconds > 0 else 0.0,
        p50=median(later) * 1000,
        p95=percentile(later, 95) * 1000,
        p99=percentile(later, 99) * 1000,
        cold=median(first) * 1000,
        extra=extra or {},
    )


def statement(connection: PgConnection, cell: Cell, plan: Plan, n: str = ":n") -> str:
    """Return what one call of a cell is, with `n` for the number of the wish."""
    if cell.shape == "calendar":
        return (
            "select * from slotwarden.calendar("
            f"current_date - 300 + ({n}::bigint % 250)::integer, 31, 'c' || ({n}::bigint % 1000))"
        )
    if cell.shape == "history":
        return (
            "select * from slotwarden.usage_history("
            f"current_date - 400, current_date - 36, 'c' || ({n}::bigint % 1000))"
        )
    if cell.shape in NEXT:
        return (
            f"select slotwarden.reserve_next_slot('short', {plan.window_day_sql(n)},"
            f" p_channel => {plan.window_channel_sql(n)})"
        )
    channel, day, time = plan.channel_sql(n), plan.day_sql(n), plan.time_sql(n)
    if cell.contender == "bare":
        return insert_sql(connection, "bare", channel, f"({day} + {time}) at time zone 'UTC'")
    # A refusal that is raised would make pgbench give up.
    function = "try_reserve_slot" if cell.shape == "full" else "reserve_slot"
    return f"select slotwarden.{function}({day}, 'short', {time}, p_channel => {channel})"


def run(
    program: Path,
    server: EmbeddedServer,
    database: str,
    connection: PgConnection,
    cell: Cell,
    plan: Plan,
    seconds: float,
) -> Measured:
    """Let pgbench run a cell for some seconds after the connections' first calls.

    Raises
    ------
    RuntimeError
        pgbench failed, or gave up on a client.
    """
    sql = statement(connection, cell, plan)
    if cell.shape in NEXT:
        length = ["-t", str(calls_of_next(cell.clients, seconds))]
    elif seconds < 1:
        # pgbench knows whole seconds only.
        length = ["-t", str(max(2, round(_SHORT_CALLS * seconds)))]
    else:
        length = ["-T", str(round(seconds + 0.2 + cell.clients * _FIRST_CALL_SECONDS))]
    with tempfile.TemporaryDirectory(prefix="slotwarden-pgbench-") as folder:
        script = Path(folder) / "script.sql"
        script.write_text(
            f"\\set n :k * {cell.clients} + :client_id\n\\set k :k + 1\n{sql};\n", encoding="utf-8"
        )
        command = [
            str(program), "-n", "-M", "prepared", "-f", str(script), "-D", "k=0",
            "-c", str(cell.clients), "-j", str(min(cell.clients, os.cpu_count() or 1)),
            "-h", str(server.socket_dir), "-p", str(server.port), "-U", server.user,
            "--log", f"--log-prefix={folder}/log", *length, database,
        ]  # fmt: skip
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment(),
            cwd=folder,
            check=False,
            timeout=600,
        )
        if done.returncode != 0 or "aborted" in done.stderr:
            raise RuntimeError(f"pgbench failed at {cell.name}:\n{done.stderr[-2000:]}")
        logs = "".join(path.read_text() for path in Path(folder).glob("log.*"))
    return _read(logs, cell)


def _read(logs: str, cell: Cell) -> Measured:
    """Read lines of client, transaction, microseconds, script, and time of the end."""
    ends: list[tuple[float, float]] = []
    first: dict[int, tuple[float, float]] = {}
    for line in logs.splitlines():
        client, _, took, _, second, micro = line.split()[:6]
        call = (int(second) + int(micro) / 1e6, int(took) / 1e6)
        number = int(client)
        # A client's lines are in the order of its calls.
        if number in first:
            ends.append(call)
        else:
            first[number] = call
    begin = max((end for end, _ in first.values()), default=0.0)
    measured = [took for end, took in ends if end - took >= begin]
    last = max((end for end, _ in ends), default=begin)
    calls = len(first) + len(ends)
    writes = cell.shape not in READS and cell.shape != "full"
    figures = summary([took for _, took in first.values()], measured, last - begin, 0)
    return Measured(
        calls, calls if writes else 0, figures.throughput, figures.p50, figures.p95, figures.p99,
        figures.cold,
    )  # fmt: skip
