"""``make mutants``: brings each bug into a database of its own and sees it caught."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from slotwarden.embedded import EmbeddedServer

from .mutants import MUTANTS, Mutant
from .run import database, run_once, show
from .workspace import Workspace


@dataclass(frozen=True)
class Catch:
    """How a mutant was caught; no checks: it was not."""

    mutant: Mutant
    checks: Counter[str]
    shape: str
    runs: int
    seconds: float


def hunt(
    server: EmbeddedServer, console: Console, mutant: Mutant, asked: argparse.Namespace
) -> Catch:
    """Run histories against one mutant until a check speaks up."""
    began = time.monotonic()
    with database(server, "mutant") as url:
        workspace = Workspace(url, asked.clients)
        try:
            workspace.install()
            mutant.apply(workspace.connection)
            runs = 0
            for seed in range(1, asked.seeds + 1):
                for shape in mutant.shapes:
                    runs += 1
                    result, history = run_once(workspace, shape, seed, asked.calls)
                    if result.violations:
                        if asked.show:
                            show(console, history, result.violations)
                        checks = Counter(violation.check for violation in result.violations)
                        return Catch(mutant, checks, shape, runs, time.monotonic() - began)
        finally:
            workspace.close()
    return Catch(mutant, Counter(), "", runs, time.monotonic() - began)


def rehearse(server: EmbeddedServer, mutants: Sequence[Mutant]) -> None:
    """See that every patch applies, before any time is spent on the first."""
    with database(server, "mutant") as url:
        workspace = Workspace(url, 0)
        try:
            workspace.install()
            workspace.connection.autocommit = False
            for mutant in mutants:
                mutant.apply(workspace.connection)
                workspace.connection.rollback()
        finally:
            workspace.close()


def main(arguments: Sequence[str]) -> int:
    """Hunt all mutants; return 1 if one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories mutants", description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--calls", type=int, default=150, help="of each client")
    parser.add_argument("--seeds", type=int, default=3, help="at most, of each shape")
    parser.add_argument("--only", help="mutants whose name contains this")
    parser.add_argument("--show", action="store_true", help="show what was found")
    asked = parser.parse_args(arguments)
    console = Console(width=120)
    table = Table("mutant", "caught by (violations)", "shape", "runs", "seconds")
    chosen = [m for m in MUTANTS if asked.only is None or asked.only in m.name]
    survivors = []
    with EmbeddedServer(durable=False) as server:
        rehearse(server, chosen)
        for mutant in chosen:
            catch = hunt(server, console, mutant, asked)
            console.print(f"{mutant.name}: {catch.seconds:.0f} s", highlight=False)
            told = ", ".join(f"{name} {n}" for name, n in catch.checks.most_common())
            table.add_row(
                mutant.name,
                told or "[red]SURVIVED[/red]",
                catch.shape,
                str(catch.runs),
                f"{catch.seconds:.0f}",
            )
            if not catch.checks:
                survivors.append(mutant.name)
    console.print(table)
    console.print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    return 1 if survivors else 0
