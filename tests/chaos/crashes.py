"""Backends killed with ``kill -9``: the server takes itself down, and recovers."""

from __future__ import annotations

import os
import random
import signal
from contextlib import closing

import psycopg2

from histories.calls import Registry

from .load import Address, Load, Survivor, pause
from .server import Server, wait_for
from .singles import book
from .stage import Report, Stage, carried_out, conclude, empty

CRASHES = 50
_CALLS_BETWEEN = 40
_KILLED = "was terminated by signal 9"
_CONTROL_ROUNDS = 5
_QUIET = "-c client_min_messages=error"


def _kill_a_backend(server: Server, draw: random.Random) -> None:
    """Kill a backend of a client, one that is at work if there is any."""
    busy = server.query(
        "select pid, state from pg_stat_activity"
        " where backend_type = 'client backend' and pid <> pg_backend_pid() and datname = 'chaos'"
    )
    active = [pid for pid, state in busy if state != "idle"]
    os.kill(draw.choice(active or [pid for pid, _ in busy]), signal.SIGKILL)


def crashed_backends(stage: Stage) -> Report:
    """50 crashes under load; then the same without synchronous commit, which must lose."""
    report = Report()
    draw = random.Random(1)  # noqa: S311
    with stage.server() as server:
        address = Address(server.url())
        world = empty(server.url())
        with Load(address, world, seed=1) as load:
            for crash in range(1, CRASHES + 1):
                load.go_on(_CALLS_BETWEEN)
                pause(0.02, draw)
                _kill_a_backend(server, draw)
                wait_for(lambda n=crash: server.count_in_log(_KILLED) >= n, "it did not crash")
                server.wait_until_ready()
            load.go_on(_CALLS_BETWEEN)
        report.exact("crashes in the log", server.count_in_log(_KILLED), CRASHES)
        report.count(
            "recoveries in the log",
            server.count_in_log("automatic recovery in progress"),
            least=CRASHES,
        )
        report.count("unknown, carried out", carried_out(server.url(), load.ops))
        history = conclude(server.url(), "crashes", world, load.ops)
        report.judge(history)
        report.count("unknown outcomes", sum(o.outcome == "unknown" for o in load.ops), least=1)
    _control(stage, report)
    return report


def _control(stage: Stage, report: Report) -> None:
    """Crash a server that acknowledges before it writes: the oracle has to see the loss."""
    lost_in = 0
    settings = {"synchronous_commit": "off", "wal_writer_delay": "10s",
                "wal_writer_flush_after": "100MB"}  # fmt: skip
    with stage.server(settings) as server:
        for number in range(_CONTROL_ROUNDS):
            world = empty(server.url())
            server.query("checkpoint")
            client = Survivor(0, Address(server.url()), world, Registry())
            with closing(client):
                for booking in range(20):
                    book(client, f"control-{number}-{booking}", booking)
                with closing(psycopg2.connect(server.url(), options=_QUIET)) as victim:
                    os.kill(victim.info.backend_pid, signal.SIGKILL)
                    wait_for(lambda n=number: server.count_in_log(_KILLED) > n, "it did not crash")
                server.wait_until_ready()
            found = report.note(conclude(server.url(), "control", world, client.ops))
            lost_in += any(violation.check == "lost" for violation in found)
    report.exact("control without synchronous commit: rounds that lose", lost_in, _CONTROL_ROUNDS)
