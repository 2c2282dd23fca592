"""The server's clock is moved forwards and back, by libfaketime."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.util
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from histories.calls import Registry, statement_of
from histories.history import Op
from histories.plan import DEFAULT
from histories.workload import _now

from .load import Address, Load, Survivor
from .server import Server, wait_for
from .singles import slot
from .stage import Report, Skipped, Stage, conclude, empty

ROUNDS = 10
JUMPS = 20
_CALLS_BETWEEN = 40
_LEASE = dt.timedelta(minutes=10)
_HOUR = 3600
_NEAR_SECONDS = 60
# What these say is what has been done on purpose: entries are dated by the server's clock.
_ABOUT_THE_CLOCK = frozenset({"clock", "lease"})
# PostgreSQL's own timeouts go by that clock too.
_OUT_OF_TIME = frozenset({"55P03", "57014"})


class Clock:
    """The clock of a server to come."""

    def __init__(self, stage: Stage) -> None:
        found = importlib.util.find_spec("libfaketime")
        if found is None or found.origin is None or not sys.platform.startswith("linux"):
            raise Skipped("there is no libfaketime (pip install libfaketime, on Linux)")
        library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
        folder = stage.folder()
        folder.mkdir()
        folder.chmod(0o755)
        # Where the server's account can read it.
        copy = folder / "libfaketime.so.1"
        shutil.copy(library, copy)
        copy.chmod(0o755)
        self._file = folder / "offset"
        self.environment = {
            "LD_PRELOAD": str(copy),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.moves = 0
        self.set(0)

    def set(self, seconds: int) -> None:
        """Put the clock so many seconds before or after the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.chmod(0o644)
        new.replace(self._file)
        self.moves += 1

    def see(self, server: Server, seconds: int) -> int:
        """Move the clock, and return 1 if the server then has that time."""
        self.set(seconds)

        def told() -> list[Any]:
            with contextlib.suppress(psycopg2.Error):
                return server.query("select clock_timestamp()")
            return []

        # A backend may just have aborted.
        ((there,),) = wait_for(told, "the server does not tell the time")
        off = (there - _now()).total_seconds() - seconds
        return int(abs(off) < _NEAR_SECONDS)


def _call(client: Survivor, function: str, **arguments: Any) -> Op:
    op = client._op(function, arguments)
    client.ops.append(op)
    client._call(op, *statement_of(op))
    return op


def _claim(client: Survivor) -> Op:
    return _call(client, "claim_due_uploads", p_count=1, p_lease=_LEASE, p_channel=None)


def moved_clock(stage: Stage) -> Report:
    """Let leases run out by the clock alone, then let it jump under load."""
    report = Report()
    clock = Clock(stage)
    with stage.server(environment=clock.environment) as server:
        world = empty(server.url())
        with closing(Survivor(0, Address(server.url()), world, Registry())) as client:
            for number in range(ROUNDS):
                _lease(report, clock, server, client, number)
        for name in _EXPECTED:
            report.exact(name, 0, 0) if report.counts.get(name) == ROUNDS else (
                report.failures.append(f"{name}: {report.counts.get(name)}, not {ROUNDS}")
            )
        history = conclude(server.url(), "leases", world, client.ops)
        report.judge(history, passed_over=_ABOUT_THE_CLOCK)
        world = empty(server.url())
        load = Load(Address(server.url()), world, seed=7, harmless=_OUT_OF_TIME)
        with load:
            right = 0
            for jump in range(JUMPS):
                load.go_on(_CALLS_BETWEEN)
                right += clock.see(server, (_HOUR, 0, -_HOUR, 0)[jump % 4])
            load.go_on(_CALLS_BETWEEN)
        report.count("calls out of time at a jump", len(load.seen))
        # libfaketime reads its file in PostgreSQL's signal handlers too, and may abort there.
        report.count("backends that aborted", server.count_in_log("terminated by signal 6"))
        report.exact("jumps under load, seen by the server", right, JUMPS)
        server.wait_until_ready()
        history = conclude(server.url(), "jumps", world, load.ops)
        back = sum(
            later.at < earlier.at
            for earlier, later in zip(history.ledger, history.ledger[1:], strict=False)
            if (later.limit_id, later.day) == (earlier.limit_id, earlier.day)
        )
        report.count("entries dated before the one before them", back, least=1)
        report.judge(history, passed_over=_ABOUT_THE_CLOCK)
    return report


_EXPECTED = (
    "an hour on: the lease has run out, and another claims",
    "its old token is refused",
    "an hour back: the new lease goes on, nobody can claim",
    "and its worker completes",
)


def _lease(report: Report, clock: Clock, server: Server, client: Survivor, number: int) -> None:
    asked = slot(number) | {"p_channel": DEFAULT}
    booked = _call(client, "reserve_slot", **asked).states[0]
    first = _claim(client).states[0]
    moved = clock.see(server, _HOUR)
    second = _claim(client).states
    taken = moved and [s.attempt for s in second] == [2] and second[0].reservation_id == (
        booked.reservation_id
    )  # fmt: skip
    done = {"p_reservation_id": booked.reservation_id, "p_youtube_video_id": f"yt-{number}"}
    late = _call(client, "complete_upload", **done, p_token=first.lease_token)
    moved = clock.see(server, 0)
    none = moved and not _claim(client).states
    completed = _call(client, "complete_upload", **done, p_token=second[0].lease_token)
    came = (taken, late.code == "SWSTA", none, completed.outcome == "ok")
    for name, right in zip(_EXPECTED, came, strict=True):
        report.count(name, bool(right))
