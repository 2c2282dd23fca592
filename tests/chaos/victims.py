"""Clients that are killed: real processes with a connection each, ended by ``SIGKILL``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from histories.calls import statement_of
from histories.history import Op, World

from .server import Server, wait_for
from .singles import booking, end
from .stage import Report, Stage, conclude, empty

ROUNDS = 20
_GATE = 4_721_002
_VICTIM = """
import json, sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
print(connection.info.backend_pid, flush=True)
for line in sys.stdin:
    cursor.execute(json.loads(line))
    print("done", flush=True)
"""
# A check at COMMIT that waits as long as somebody keeps the gate shut.
_CHECK_AT_COMMIT = f"""
create function public.pass_gate() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock({_GATE});
  return null;
end;
$$;
create constraint trigger pass_gate after insert on slotwarden.reservation
  deferrable initially deferred for each row execute function public.pass_gate();
"""


class Victim:
    """A client in a process of its own."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.backend = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def send(self, sql: str) -> None:
        """Let it execute a statement, without waiting for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()

    def execute(self, sql: str) -> None:
        """Let it execute a statement, and wait for the end."""
        self.send(sql)
        if self._line() != "done\n":
            raise RuntimeError(f"the client could not execute {sql}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


@contextmanager
def _victim(server: Server) -> Iterator[Victim]:
    victim = Victim(server.url())
    try:
        yield victim
    finally:
        victim.kill()


def _sql(connection: Any, op: Op) -> str:
    sql, parameters = statement_of(op)
    made: bytes = connection.cursor().mogrify(sql, parameters)
    return made.decode()


class _Scene:
    """A server with its observer, and the calls so far."""

    def __init__(self, server: Server, world: World, observer: Any) -> None:
        self.server = server
        self.world = world
        self.observer = observer
        self.ops: list[Op] = []

    def ask(self, sql: str, *parameters: Any) -> Any:
        with self.observer.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchone()[0] if cursor.description else None

    def waits(self, backend: int, event: str) -> None:
        """Wait until a backend waits for that."""
        wait_for(
            lambda: self.ask(
                "select count(*) from pg_stat_activity where pid = %s and wait_event = %s",
                backend, event,
            ),
            f"backend {backend} does not wait for {event}",
        )  # fmt: skip

    def gone(self, backend: int) -> None:
        """Wait until a backend has ended."""
        wait_for(
            lambda: not self.ask("select count(*) from pg_stat_activity where pid = %s", backend),
            f"backend {backend} goes on without its client",
        )

    def booked(self, op: Op) -> bool:
        found = self.ask("select count(*) from slotwarden.request where request_key = %s", op.key)
        return bool(found)

    def call(self, key: str, number: int) -> tuple[Op, str]:
        op = booking(key, number)
        self.ops.append(op)
        return op, _sql(self.observer, op)


@contextmanager
def _scene(stage: Stage, report: Report, name: str, **settings: str) -> Iterator[_Scene]:
    with stage.server(settings) as server:
        world = empty(server.url())
        with closing(psycopg2.connect(server.url())) as observer:
            observer.autocommit = True
            scene = _Scene(server, world, observer)
            yield scene
            report.judge(conclude(server.url(), name, world, scene.ops))


def killed_idle(stage: Stage) -> Report:
    """Kill clients that wait for nothing: after a booking, and in an open transaction."""
    report = Report()
    kept = freed = 0
    with _scene(stage, report, "killed idle") as scene:
        for number in range(ROUNDS):
            with _victim(scene.server) as victim:
                op, sql = scene.call(f"acknowledged-{number}", number)
                victim.execute(sql)
                end(op, "unknown")
            scene.gone(victim.backend)
            kept += scene.booked(op)
            with _victim(scene.server) as victim:
                op, sql = scene.call(f"uncommitted-{number}", 500 + number)
                victim.execute("begin")
                victim.execute(sql)
                end(op, "rolled_back")
            scene.gone(victim.backend)
            freed += not scene.booked(op)
        held = scene.ask(
            "select count(*) from pg_locks where relation = 'slotwarden.limit_day'::regclass"
        )
    report.exact("killed after a booking, which is there", kept, ROUNDS)
    report.exact("killed in an open transaction, of which nothing is left", freed, ROUNDS)
    report.exact("locks left behind", held, 0)
    return report


def killed_waiting(stage: Stage) -> Report:
    """Kill clients whose call waits for a lock, without and with a watch over clients."""
    report = Report()
    for interval, expected in (("0", ROUNDS), ("50ms", 0)):
        booked = 0
        with (
            _scene(
                stage, report, "killed waiting", client_connection_check_interval=interval
            ) as scene,
            closing(psycopg2.connect(scene.server.url())) as holder,
        ):
            for number in range(ROUNDS):
                held = booking(f"holder-{number}", number)
                holder.cursor().execute(_sql(holder, held))
                scene.ops.append(held)
                with _victim(scene.server) as victim:
                    op, sql = scene.call(f"waiting-{number}", 500 + number)
                    victim.send(sql)
                    wait_for(
                        lambda pid=victim.backend: scene.ask("select pg_blocking_pids(%s)", pid),
                        "it does not wait",
                    )
                end(op, "unknown")
                if interval != "0":
                    scene.gone(victim.backend)
                holder.commit()
                end(held, "unknown")
                scene.gone(victim.backend)
                booked += scene.booked(op)
        watched = "unwatched" if interval == "0" else "watched"
        report.exact(f"{watched}: bookings of {ROUNDS} dead clients", booked, expected)
    return report


def killed_committing(stage: Stage) -> Report:
    """Kill clients during COMMIT: before the commit is written, and after."""
    report = Report()
    for interval, expected in (("0", ROUNDS), ("50ms", 0)):
        watched = "unwatched" if interval == "0" else "watched"
        with _scene(
            stage, report, "killed in COMMIT", client_connection_check_interval=interval
        ) as scene:
            scene.ask(_CHECK_AT_COMMIT)
            before = _in_commit(scene, "before", _shut, _open, gone=interval != "0")
            scene.ask("drop trigger pass_gate on slotwarden.reservation")
            after = _in_commit(scene, "after", _no_standby, _no_wait, gone=False)
        report.exact(f"{watched}, before it is written: booked", before, expected)
        report.exact(f"{watched}, after it is written: booked", after, ROUNDS)
    return report


def _shut(scene: _Scene) -> str:
    scene.ask(f"select pg_advisory_lock({_GATE})")
    return "advisory"


def _open(scene: _Scene) -> None:
    scene.ask(f"select pg_advisory_unlock({_GATE})")


def _no_standby(scene: _Scene) -> str:
    scene.server.configure("synchronous_standby_names", "nobody")
    return "SyncRep"


def _no_wait(scene: _Scene) -> None:
    scene.server.query("alter system reset synchronous_standby_names")
    scene.server.query("select pg_reload_conf()")


def _in_commit(
    scene: _Scene,
    name: str,
    stall: Callable[[_Scene], str],
    go_on: Callable[[_Scene], None],
    *,
    gone: bool,
) -> int:
    """Kill clients whose COMMIT has been stalled, and return how many bookings there are."""
    booked = 0
    for number in range(ROUNDS):
        event = stall(scene)
        with _victim(scene.server) as victim:
            op, sql = scene.call(f"{name}-{number}", number if name == "before" else 500 + number)
            victim.execute("begin")
            victim.execute(sql)
            victim.send("commit")
            scene.waits(victim.backend, event)
        end(op, "unknown")
        if gone:
            scene.gone(victim.backend)
        go_on(scene)
        scene.gone(victim.backend)
        booked += scene.booked(op)
    return booked
