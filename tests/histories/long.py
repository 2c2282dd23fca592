"""``make histories-long``: many clients for long, seed by seed; what is done is not done again."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from slotwarden import migrations
from slotwarden.embedded import EmbeddedServer

from .plan import SHAPES
from .run import database, run_once, show
from .workspace import Workspace

_PROJECT = Path(__file__).parents[2]
_RECORD = _PROJECT / "docs/histories-long.jsonl"
_REVISIONS = _PROJECT / "alembic/versions/sql"
_COLUMNS = (
    "seed",
    "shape",
    "clients",
    "calls",
    "successes",
    "refusals",
    "unknown",
    "entries",
    "seconds",
    "check_seconds",
    "violations",
)


def _installed_sql() -> str:
    """Return what tells one state of the SQL from another: seeds of two states prove neither."""
    digest = hashlib.sha256()
    for path in sorted(_REVISIONS.glob("*.up.sql")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _done(record: Path, sql: str, clients: int, calls_each: int) -> Iterator[dict[str, Any]]:
    if not record.exists():
        return
    for line in record.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if (row["sql"], row["clients"], row["calls_each"]) == (sql, clients, calls_each):
            yield row


def _run(console: Console, sql: str, seed: int, clients: int, calls_each: int) -> dict[str, Any]:
    shape = list(SHAPES)[seed % len(SHAPES)]
    with EmbeddedServer(durable=False) as server, database(server, "histories") as url:
        workspace = Workspace(url, clients)
        try:
            workspace.install()
            result, history = run_once(workspace, shape, seed, calls_each)
        finally:
            workspace.close()
    if result.violations:
        show(console, history, result.violations)
    return {
        "revision": migrations.head(),
        "sql": sql,
        "seed": seed,
        "shape": shape,
        "clients": clients,
        "calls_each": calls_each,
        "calls": result.calls,
        "successes": result.successes,
        "refusals": result.refusals,
        "unknown": result.unknown,
        "entries": result.entries,
        "seconds": round(result.seconds, 1),
        "check_seconds": round(result.check_seconds, 1),
        "violations": len(result.violations),
        "counts": result.counts,
    }


def main(arguments: Sequence[str]) -> int:
    """Run the seeds that are not done yet; return 1 if any seed has shown a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories long", description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--calls", type=int, default=5000, help="of each client")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--record", type=Path, default=_RECORD, help="a line for each seed done")
    asked = parser.parse_args(arguments)
    console = Console(width=120)
    sql = _installed_sql()
    rows = {row["seed"]: row for row in _done(asked.record, sql, asked.clients, asked.calls)}
    for seed in range(1, asked.seeds + 1):
        if seed in rows:
            continue
        rows[seed] = _run(console, sql, seed, asked.clients, asked.calls)
        with asked.record.open("a", encoding="utf-8") as record:
            record.write(json.dumps(rows[seed]) + "\n")
        console.print(f"seed {seed} of {asked.seeds}: {rows[seed]['violations']} violations")
    table = Table(*_COLUMNS, title=f"revision {migrations.head()}, SQL {sql}")
    for seed in sorted(rows):
        table.add_row(*(str(rows[seed][name]) for name in _COLUMNS))
    console.print(table)
    few = [seed for seed, row in rows.items() if not row["counts"]]
    if few:
        console.print(f"[red]too few successes to count: seeds {few}[/red]")
    return 1 if few or any(row["violations"] for row in rows.values()) else 0
