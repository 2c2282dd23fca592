"""Runs the cases, one after the other, and ends with a table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from histories.run import show
from slotwarden.embedded import find_binaries
from slotwarden.embedded.binaries import BIN_VARIABLE

from .clock import moved_clock
from .crashes import crashed_backends
from .deadlocks import deadlocks
from .disks import full_tables, full_wal
from .pooler import pooler_restarts
from .stage import Report, Skipped, Stage
from .standbys import asynchronous_standby, synchronous_standby
from .victims import killed_committing, killed_idle, killed_waiting
from .wrapper import idle_transactions, lost_reply, no_connections, statement_timeouts

Case = Callable[[Stage], Report]

CASES: Mapping[str, Case] = {
    "killed-idle": killed_idle,
    "killed-waiting": killed_waiting,
    "killed-committing": killed_committing,
    "crash": crashed_backends,
    "lost-reply": lost_reply,
    "connections": no_connections,
    "statement-timeout": statement_timeouts,
    "idle-transaction": idle_transactions,
    "deadlock": deadlocks,
    "pooler": pooler_restarts,
    "standby-sync": synchronous_standby,
    "standby-async": asynchronous_standby,
    "disk-full-wal": full_wal,
    "disk-full-tables": full_tables,
    "clock": moved_clock,
}
_HEAD = ("case", "what came about", "calls", "succeeded", "unknown", "violations", "seconds")


@dataclass(frozen=True)
class Result:
    """What became of one case on one version."""

    case: str
    major: int
    report: Report | None
    seconds: float
    trouble: str = ""
    skipped: str = ""

    @property
    def good(self) -> bool:
        if self.report is None:
            return bool(self.skipped)
        return not (self.report.violations or self.report.failures)

    def row(self) -> list[str]:
        """Return the result as a row of the table."""
        if self.report is None:
            return [self.case, self.trouble or f"skipped: {self.skipped}", "", "", "", "", ""]
        found = self.report
        told = [f"{name} {number:,}" for name, number in found.counts.items()]
        return [
            self.case,
            "; ".join([*told, *(f"NOT AS IT SHOULD BE: {each}" for each in found.failures)]),
            f"{found.calls:,}",
            f"{found.succeeded:,}",
            f"{found.unknown:,}",
            str(len(found.violations)),
            f"{self.seconds:.0f}",
        ]


def _places(asked: Sequence[str]) -> list[Path]:
    """Return the PostgreSQL to run against: those asked for, else the packaged and the system's."""
    if asked:
        return [find_binaries(int(each)) if each.isdigit() else Path(each) for each in asked]
    places = [find_binaries()]
    if not os.environ.get(BIN_VARIABLE):
        for version in range(15, 19):
            system = Path(f"/usr/lib/postgresql/{version}/bin")
            if (system / "initdb").exists():
                places.append(system)
    return places


def _run_case(console: Console, stage: Stage, name: str) -> Result:
    began = time.monotonic()
    console.print(f"PostgreSQL {stage.major}: {name} ...", highlight=False)
    try:
        report = CASES[name](stage)
    except Skipped as reason:
        return Result(name, stage.major, None, 0, skipped=str(reason))
    except Exception as error:  # noqa: BLE001
        console.print_exception()
        trouble = f"{type(error).__name__}: {error}"
        return Result(name, stage.major, None, 0, trouble=trouble[:300])
    for history in {id(history): history for history, _ in report.violations}.values():
        show(console, history, [v for of, v in report.violations if of is history])
    return Result(name, stage.major, report, time.monotonic() - began)


def _markdown(results: Sequence[Result]) -> str:
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(result.row()) + " |" for result in results]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Run cases; return 1 if one shows a violation, or has not hit what it aims at."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; all if not said")
    parser.add_argument(
        "--pg", action="append", default=[], help="major version, or folder of binaries"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables there as well")
    asked = parser.parse_args(arguments)
    # So that servers are stopped, and what is mounted is unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unknown = [name for name in asked.case if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    console = Console(width=150)
    results: list[Result] = []
    for place in _places(asked.pg):
        stage = Stage(place)
        try:
            mine = [_run_case(console, stage, name) for name in asked.case or CASES]
        finally:
            stage.close()
        results += mine
        table = Table(*_HEAD, title=f"PostgreSQL {stage.major}", show_lines=True)
        for result in mine:
            table.add_row(*result.row())
        console.print(table, markup=False)
        if asked.markdown:
            with asked.markdown.open("a") as kept:
                kept.write(f"PostgreSQL {stage.major}\n\n{_markdown(mine)}\n")
    bad = [f"{result.case} on {result.major}" for result in results if not result.good]
    done = sum(result.report is not None for result in results)
    console.print(
        f"{done} cases run, {len(results) - done} skipped or broken; bad: {bad or 'none'}"
    )
    return 1 if bad else 0
