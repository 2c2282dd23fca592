"""PgBouncer in transaction mode: killed and started anew under load; nothing stays in a session."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from slotwarden import Scheduler, SlotTaken
from slotwarden.embedded.cluster import SUPERUSER
from slotwarden.embedded.places import private_directory
from slotwarden.embedded.supervisor import _die_with_parent

from .load import Address, Load, pause
from .server import DATABASE, PORT, Server, wait_for
from .singles import booking, end, slot, through
from .stage import Report, Skipped, Stage, carried_out, conclude, empty

RESTARTS = 20
_CALLS_BETWEEN = 40
_LOOKS = 20
# Settings but those that PgBouncer itself sets to each client's own; statements, channels, locks.
_LEFT_IN_SESSION = """
select array(
  select name || '=' || setting from pg_settings where source = 'session'
    and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone',
      'standard_conforming_strings')
  union all select 'prepared ' || name from pg_prepared_statements
  union all select 'listens ' || channel from pg_listening_channels() as channel
  union all select 'lock ' || locktype from pg_locks
    where pid = pg_backend_pid() and locktype = 'advisory'
  union all select 'temporary ' || relname from pg_class where relpersistence = 't'
)
"""


class Pooler:
    """A PgBouncer between clients and a server."""

    def __init__(self, stage: Stage, server: Server, size: int) -> None:
        program = shutil.which(
            "pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
        )
        if program is None:
            raise Skipped("there is no pgbouncer (Debian: apt install pgbouncer)")
        self._program = program
        self._account = stage.account
        self._folder = stage.folder()
        self._folder.mkdir()
        self._folder.chmod(0o711)
        self._sockets = self._folder / "p"
        private_directory(self._sockets, stage.account)
        self._settings = self._folder / "pgbouncer.ini"
        self._settings.write_text(
            "[databases]\n"
            f"{DATABASE} = host={server.sockets} port={PORT} user={SUPERUSER} dbname={DATABASE}\n"
            "[pgbouncer]\n"
            f"unix_socket_dir = {self._sockets}\nlisten_port = 6432\n"
            "auth_type = any\npool_mode = transaction\n"
            f"default_pool_size = {size}\nmax_client_conn = 100\n"
            "ignore_startup_parameters = options,extra_float_digits\n"
            "server_login_retry = 0.1\n"
        )
        self._settings.chmod(0o644)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://{SUPERUSER}@/{DATABASE}?host={self._sockets}&port=6432"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_die_with_parent(),  # noqa: PLW1509
                **self._account.popen_identity(),
            )
        wait_for(self._answers, f"pgbouncer does not answer: {self.log()[-1000:]}")

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _pooler(stage: Stage, server: Server, size: int) -> Iterator[Pooler]:
    with closing(Pooler(stage, server, size)) as pooler:
        pooler.start()
        yield pooler


def pooler_restarts(stage: Stage) -> Report:
    """Kill and restart the pooler under load; see what a client leaves to the next."""
    report = Report()
    draw = random.Random(3)  # noqa: S311
    with stage.server() as server:
        with _pooler(stage, server, 4) as pooler:
            world = empty(server.url())
            with Load(Address(pooler.url), world, seed=3) as load:
                for _ in range(RESTARTS):
                    load.go_on(_CALLS_BETWEEN)
                    pause(0.02, draw)
                    pooler.kill()
                    pooler.start()
                load.go_on(_CALLS_BETWEEN)
                backends = server.query(
                    "select count(*) from pg_stat_activity where datname = %s"
                    " and pid <> pg_backend_pid()", DATABASE,
                )  # fmt: skip
            report.exact("restarts", RESTARTS, RESTARTS)
            report.count("clients", len(load.clients))
            report.count("server connections", backends[0][0], least=1)
            report.count("times that a client connected anew", load.reconnects, least=RESTARTS)
            report.count("unknown, carried out", carried_out(server.url(), load.ops))
            history = conclude(server.url(), "pooler", world, load.ops)
            report.count("unknown outcomes", sum(o.outcome == "unknown" for o in load.ops), least=1)
            report.judge(history)
        with _pooler(stage, server, 1) as pooler:
            _leaks(server, pooler, report)
    return report


def _look(connection: Any) -> tuple[int, list[str]]:
    """Return the backend behind a client's connection, and what is left in its session."""
    with connection.cursor() as cursor:
        cursor.execute(f"select pg_backend_pid(), ({_LEFT_IN_SESSION.strip()})")
        pid, left = cursor.fetchone()
        return pid, left


def _leaks(server: Server, pooler: Pooler, report: Report) -> None:
    """Book through one server connection, and look at it as another client."""
    world = empty(server.url())
    with closing(psycopg2.connect(pooler.url)) as other:
        other.autocommit = True
        backend, before = _look(other)
        same, leaks, ops = 0, 0, []
        with Scheduler(pooler.url) as scheduler:
            for number in range(_LOOKS):
                op = booking(f"leak-{number}", number)
                through(scheduler, op)
                ops.append(end(op, "unknown"))
                _refused(scheduler, number)
                pid, left = _look(other)
                same += pid == backend
                leaks += left != before
        report.exact("looks at the same session by another client", same, _LOOKS)
        report.exact("of which found something left", leaks, 0)
        with closing(psycopg2.connect(pooler.url)) as careless:
            careless.autocommit = True
            careless.cursor().execute("set lock_timeout = '1ms'")
            report.exact("control: a SET of a client's own is found", _look(other)[1] != before, 1)
        report.judge(conclude(server.url(), "session state", world, ops))


def _refused(scheduler: Scheduler, number: int) -> None:
    """Ask for a slot that is taken: a call that fails may leave no more than one that does not."""
    asked = slot(number)
    try:
        scheduler.reserve_slot(
            asked["p_date"], asked["p_type"], asked["p_time"], channel=asked["p_channel"]
        )
    except SlotTaken:
        return
    raise RuntimeError("the slot should have been taken")
