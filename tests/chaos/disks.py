"""Disks that are full: that of the WAL, and that of the tables."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from .load import Address, Load
from .server import Server, wait_for
from .stage import Report, Skipped, Stage, carried_out, conclude, empty

ROUNDS = 5
_SIZE = "192m"
_CALLS_BETWEEN = 100
_REFUSED_CALLS = 100
_FULL = "No space left on device"
_PANIC = "PANIC:"
# No file of the WAL is kept for later, so that each new one needs room.
_NO_RESERVE = {"wal_recycle": "off", "min_wal_size": "2MB", "max_wal_size": "10GB"}
_TABLES = ("reservation", "usage_ledger", "request", "limit_day")


class Disk:
    """A small file system that somebody else can fill."""

    def __init__(self, mounted: Path) -> None:
        self.path = mounted / "used"
        self._ballast = mounted / "ballast"

    def fill(self) -> None:
        """Take whatever room is left."""
        block = bytes(1 << 16)
        with self._ballast.open("ab", buffering=0) as ballast:
            while block:
                try:
                    ballast.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    block = block[: len(block) // 2]

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def _disk(stage: Stage) -> Iterator[Disk]:
    """Mount a file system in memory for the time of a ``with`` block."""
    if os.geteuid() or not sys.platform.startswith("linux"):
        raise Skipped("only root can mount a small file system, and on Linux")
    place = stage.folder()
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0711", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        disk = Disk(place)
        disk.path.mkdir(mode=0o700)
        os.chown(disk.path, stage.account.uid, stage.account.gid)
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def _bring_back(server: Server) -> None:
    """Start the server if it has given up, and wait until it has recovered."""

    def back() -> bool:
        if not server.running:
            server.start(wait=False)
        return server.answers()

    wait_for(back, "the server does not recover")


def _neighbour(server: Server) -> bool:
    """Write to the WAL, as another application on the server does; bookings alone are too small."""
    with contextlib.suppress(psycopg2.Error):
        server.query("select pg_logical_emit_message(false, 'neighbour', repeat('x', 100000))")
    return True


def full_wal(stage: Stage) -> Report:
    """Fill the disk of the WAL under load: the server goes down, and recovers with room."""
    report = Report()
    with _disk(stage) as disk, stage.server(_NO_RESERVE, started=False) as server:
        wal = server.data / "pg_wal"
        subprocess.run(["cp", "-a", f"{wal}/.", str(disk.path)], check=True)
        subprocess.run(["rm", "-r", str(wal)], check=True)
        wal.symlink_to(disk.path)
        server.start()
        world = empty(server.url())
        with Load(Address(server.url()), world, seed=5) as load:
            for _ in range(ROUNDS):
                load.go_on(_CALLS_BETWEEN)
                before = server.count_in_log(_PANIC)
                disk.fill()
                wait_for(
                    lambda seen=before: _neighbour(server) and server.count_in_log(_PANIC) > seen,
                    "no disk was full",
                )
                disk.free()
                _bring_back(server)
            load.go_on(_CALLS_BETWEEN)
        report.count("PANICs in the log", server.count_in_log(_PANIC), least=ROUNDS)
        report.count("with no space left", server.count_in_log(_FULL), least=ROUNDS)
        report.count("unknown, carried out", carried_out(server.url(), load.ops))
        unknown = sum(op.outcome == "unknown" for op in load.ops)
        report.count("unknown outcomes", unknown, least=1)
        report.judge(conclude(server.url(), "WAL on a full disk", world, load.ops))
    return report


def full_tables(stage: Stage) -> Report:
    """Fill the disk of the tables under load: calls fail, and nothing else happens."""
    report = Report()
    with _disk(stage) as disk, stage.server() as server:
        world = empty(server.url())
        server.query(f"create tablespace small location '{disk.path}'")
        for table in _TABLES:
            server.query(f"alter table slotwarden.{table} set tablespace small")
        for (index,) in server.query(
            "select indexrelid::regclass::text from pg_index"
            " where indrelid = any (%s::regclass[])", [f"slotwarden.{each}" for each in _TABLES],
        ):  # fmt: skip
            server.query(f"alter index {index} set tablespace small")
        load = Load(Address(server.url()), world, seed=6, harmless=frozenset({"53100"}))
        with load:
            for _ in range(ROUNDS):
                load.go_on(_CALLS_BETWEEN)
                disk.fill()
                enough = len(load.seen) + _REFUSED_CALLS
                wait_for(lambda many=enough: len(load.seen) >= many, "no disk was full")
                disk.free()
            load.go_on(_CALLS_BETWEEN)
        report.count("calls ended with 53100", len(load.seen), least=ROUNDS * _REFUSED_CALLS)
        report.exact("crashes", server.count_in_log(_PANIC), 0)
        report.judge(conclude(server.url(), "tables on a full disk", world, load.ops))
        # A tablespace must be empty before its disk goes.
        server.stop()
    return report
