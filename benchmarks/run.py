"""One run: databases, rounds, facts, and the file that holds all of it."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import cells as choice
from benchmarks.cells import Cell, size_name
from benchmarks.checking import check_size
from benchmarks.facts import explained, stored, wrapper_cpu
from benchmarks.loading import load
from benchmarks.measuring import Bench, measure_rounds, room_of
from benchmarks.redis_server import redis_server
from benchmarks.server import (
    LOADING,
    MEASURED,
    data_folder,
    describe,
    find_pgbench,
    rows,
    serving,
    session,
)
from benchmarks.workers import Workers
from benchmarks.workspace import make_database
from slotwarden.embedded import EmbeddedUnavailable

_WRAPPER_CALLS = 600
_SMOKE_CALLS = 20


def choose(options: argparse.Namespace) -> list[Cell]:
    """Return the cells of a run.

    Raises
    ------
    ValueError
        The options leave none.
    """
    if options.smoke:
        cells = choice.smoke_cells()
    else:
        cells = choice.every_cell() if options.full else choice.goal_cells()
    return choice.chosen(cells, options.cells, options.sizes)


def run(options: argparse.Namespace, console: Console) -> Path:
    """Measure, and write the results; return their file.

    Raises
    ------
    EmbeddedUnavailable
        There is no PostgreSQL to start, or no pgbench.
    Wrong, RuntimeError
        A contender did not do what it was to do.
    """
    cells = choose(options)
    rounds = options.rounds or (1 if options.smoke else 5)
    seconds = options.seconds or (0.1 if options.smoke else 10.0 if options.full else 2.0)
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ExitStack() as stack:
        data = stack.enter_context(data_folder((options.data or options.out).absolute())) / "data"
        progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
            )
        )
        redis_socket, no_redis = stack.enter_context(redis_server())
        skipped = {} if redis_socket else {"redis": no_redis}
        cells = [cell for cell in cells if cell.contender not in skipped]
        databases, held = _make_databases(data, cells, progress)
        loaded = time.monotonic() - began
        results = {
            **_measure(data, cells, databases, rounds, seconds, redis_socket, progress, options),
            "version": 1,
            "stored": held,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "rounds": rounds,
            "seconds": seconds,
            "kind": "smoke" if options.smoke else "full" if options.full else "goals",
            "skipped": skipped,
            "loading_seconds": loaded,
            "total_seconds": time.monotonic() - began,
        }
    target: Path = options.out / "results.json"
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return target


def _make_databases(
    data: Path, cells: list[Cell], progress: Progress
) -> tuple[dict[int, str], dict[str, Any]]:
    """Return the databases by size, and what a booking takes in those that hold some."""
    sizes = sorted({cell.size for cell in cells})
    task = progress.add_task("making databases", total=len(sizes))
    databases = {size: f"size_{size}" for size in sizes}
    found: dict[str, Any] = {}
    with serving(data, LOADING) as server:
        for size, name in databases.items():
            progress.update(task, description=f"making a database of {size_name(size)}")
            url = make_database(server, name)
            if size:
                contenders = {cell.contender for cell in cells if cell.size == size}
                load(url, size, contenders, lambda text: progress.update(task, description=text))
                with session(url) as connection:
                    found[size_name(size)] = stored(connection, size)
            progress.advance(task)
        with session(server.url()) as connection:
            rows(connection, "checkpoint")
    # The server did not care; from here on the disk has everything.
    os.sync()
    progress.remove_task(task)
    return databases, found


def _measure(
    data: Path,
    cells: list[Cell],
    databases: dict[int, str],
    rounds: int,
    seconds: float,
    redis_socket: str | None,
    progress: Progress,
    options: argparse.Namespace,
) -> dict[str, Any]:
    with serving(data, MEASURED) as server, Workers(redis_socket) as workers:
        program = find_pgbench(server.bin_dir)
        if program is None:
            raise EmbeddedUnavailable(
                "There is no pgbench: not beside the server's binaries, not in "
                "/usr/lib/postgresql/*/bin, not on PATH. Debian: apt install postgresql-contrib"
            )
        bench = Bench(server, program, workers, databases, seconds)
        bench.room = room_of(bench.url(cells[0].size))
        with session(server.url()) as connection:
            machine = describe(connection, server, program)
        task = progress.add_task("", total=rounds * len(cells))

        def step(text: str) -> None:
            progress.update(task, description=text, advance=int(bool(progress.tasks[-1].fields)))
            progress.update(task, begun=True)

        measured = measure_rounds(bench, cells, rounds, step)
        progress.update(task, completed=rounds * len(cells))
        least = min(databases)
        checked: dict[str, Any] = {}
        for size in databases:
            with session(bench.url(size)) as connection:
                checked[size_name(size)] = check_size(connection, size)
        return {
            "machine": machine,
            "cells": measured,
            "checked": checked,
            "explain": explained(bench, least),
            "wrapper": wrapper_cpu(bench, least, _SMOKE_CALLS if options.smoke else _WRAPPER_CALLS),
        }
