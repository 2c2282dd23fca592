"""Runs histories, checks them, and says what it found."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from rich.console import Console
from rich.table import Table

from slotwarden.embedded import EmbeddedServer

from .checker import check, excerpt
from .history import History, Violation
from .plan import SHAPES
from .workspace import Workspace

FEWEST_SUCCESSES = 1000
_MOST_SHOWN = 3


@dataclass(frozen=True)
class Result:
    """What became of one run."""

    shape: str
    seed: int
    calls: int
    successes: int
    refusals: int
    unknown: int
    entries: int
    seconds: float
    check_seconds: float
    violations: tuple[Violation, ...]
    codes: Counter[str]

    @property
    def counts(self) -> bool:
        """Whether enough succeeded for the run to show anything."""
        return self.successes >= FEWEST_SUCCESSES


@contextmanager
def database(server: EmbeddedServer, name: str) -> Iterator[str]:
    """Make a database for the time of a ``with`` block, and yield its URL."""
    admin = psycopg2.connect(server.url())
    admin.autocommit = True
    cursor = admin.cursor()
    cursor.execute(f"create database {name}")
    # A deadlock costs a second otherwise, and a mutant makes many.
    cursor.execute(f"alter database {name} set deadlock_timeout = '50ms'")
    try:
        yield server.url(name)
    finally:
        cursor.execute(f"drop database {name} with (force)")
        admin.close()


def run_once(workspace: Workspace, shape: str, seed: int, calls: int) -> tuple[Result, History]:
    """Run one history and check it."""
    began = time.monotonic()
    history = workspace.run(seed, SHAPES[shape], calls)
    ran = time.monotonic()
    violations = check(history)
    outcomes = Counter(op.outcome for op in history.ops)
    return Result(
        shape=shape,
        seed=seed,
        calls=len(history.ops),
        successes=outcomes["ok"],
        refusals=outcomes["refused"] + outcomes["rolled_back"],
        unknown=outcomes["unknown"],
        entries=len(history.ledger),
        seconds=ran - began,
        check_seconds=time.monotonic() - ran,
        violations=tuple(violations),
        codes=Counter(op.code for op in history.ops if op.outcome == "refused" and op.code),
    ), history


def show(console: Console, history: History, violations: Sequence[Violation]) -> None:
    """Print violations, each with the part of the history that it is about."""
    kinds = Counter(violation.check for violation in violations)
    console.print(f"[red]{history.name}: {sum(kinds.values())} violations[/red] {dict(kinds)}")
    shown: Counter[str] = Counter()
    for violation in violations:
        shown[violation.check] += 1
        if shown[violation.check] > 1 or len(shown) > _MOST_SHOWN:
            continue
        console.print(f"[bold]{violation.check}[/bold]: {violation.message}", highlight=False)
        if violation.op is not None:
            console.print(f"  in {violation.op.told()}", highlight=False, markup=False)
        for line in excerpt(history, violation):
            console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)


def table_of(results: Sequence[Result]) -> Table:
    """Return a row for each shape."""
    table = Table("shape", "runs", "calls", "succeeded", "refused", "unknown", "entries",
                  "seconds", "checked in", "violations")  # fmt: skip
    for shape in dict.fromkeys(result.shape for result in results):
        of_shape = [result for result in results if result.shape == shape]
        table.add_row(
            shape,
            f"{sum(r.counts for r in of_shape)} of {len(of_shape)}",
            *(
                f"{sum(getattr(r, name) for r in of_shape):,}"
                for name in ("calls", "successes", "refusals", "unknown", "entries")
            ),
            f"{sum(r.seconds for r in of_shape):.0f}",
            f"{sum(r.check_seconds for r in of_shape):.1f}",
            str(sum(len(r.violations) for r in of_shape)),
        )
    return table


def main(arguments: Sequence[str]) -> int:
    """Run histories; return 1 if one of them shows a violation, or does not count."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--calls", type=int, default=300, help="of each client")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--shape", action="append", choices=list(SHAPES))
    asked = parser.parse_args(arguments)
    console = Console(width=120)
    results: list[Result] = []
    began = time.monotonic()
    with EmbeddedServer(durable=False) as server, database(server, "histories") as url:
        workspace = Workspace(url, asked.clients)
        try:
            workspace.install()
            for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
                for shape in asked.shape or SHAPES:
                    result, history = run_once(workspace, shape, seed, asked.calls)
                    results.append(result)
                    if result.violations:
                        show(console, history, result.violations)
        finally:
            workspace.close()
    console.print(table_of(results))
    codes: Counter[str] = sum((result.codes for result in results), Counter())
    console.print("refused: " + ", ".join(f"{code} {n:,}" for code, n in codes.most_common()))
    console.print(
        f"{sum(r.calls for r in results):,} calls, seeds {asked.first_seed} to "
        f"{asked.first_seed + asked.seeds - 1}, in {time.monotonic() - began:.0f} s: "
        f"{sum(len(r.violations) for r in results)} violations"
    )
    few = [r for r in results if not r.counts]
    for result in few:
        console.print(
            f"[red]{result.shape}, seed {result.seed}: only {result.successes} successes, "
            f"{FEWEST_SUCCESSES} are needed to count[/red]"
        )
    return 1 if few or any(r.violations for r in results) else 0
