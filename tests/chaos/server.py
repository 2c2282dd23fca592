"""PostgreSQL servers that a case starts, kills, copies and promotes as it needs.

The embedded server looks after itself too well for that: it has a supervisor, and knows neither
standbys nor a clock of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from slotwarden.embedded import cluster
from slotwarden.embedded.account import Account
from slotwarden.embedded.places import private_directory
from slotwarden.embedded.supervisor import _die_with_parent

PORT = 5432
DATABASE = "chaos"
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.02


class NotInTime(Exception):
    """Something that a case waits for has not come about."""


def wait_for(condition: Any, what: str, seconds: float = _PATIENCE_SECONDS) -> Any:
    """Return what a condition gives as soon as that is true.

    Raises
    ------
    NotInTime
        It was not within the time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"{what} (waited {seconds:.0f} s)")
        time.sleep(_PAUSE_SECONDS)


class Server:
    """A server on data of its own, in a folder of its own.

    Everything is as safe as by default: fsync, synchronous commit, full page writes.
    """

    def __init__(
        self,
        bin_dir: Path,
        root: Path,
        account: Account,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.bin_dir = bin_dir
        self.data = root / "data"
        self.sockets = root / "s"
        # Lies with the data, so that a server that is killed leaves nothing behind elsewhere.
        self.settings = {"dynamic_shared_memory_type": "mmap", **(settings or {})}
        self.log_file = root / "log"
        self._account = account
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        root.mkdir(exist_ok=True)
        root.chmod(0o711)
        private_directory(self.sockets, account)

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{cluster.SUPERUSER}@/{database}?host={self.sockets}&port={PORT}"

    def run(self, *command: str) -> None:
        """Run one of PostgreSQL's programs as the server's account."""
        done = subprocess.run(
            [str(self.bin_dir / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=cluster.environment(),
            check=False,
            **self._account.popen_identity(),
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")

    def make_data(self, major: int) -> None:
        """Fill the data folder with an empty cluster; its WAL comes in small files."""
        private_directory(self.data, self._account)
        made = cluster.initdb_command(self.bin_dir, major, self.data, durable=False)
        self.run("initdb", *made[1:], "--wal-segsize=1")

    def copy_data(self, source: Path) -> None:
        """Take the data of a server that is not running."""
        subprocess.run(["cp", "-a", str(source), str(self.data)], check=True)

    def copy_from(self, primary: Server) -> None:
        """Become a standby of a running server: take a base backup of it."""
        subprocess.run(["rm", "-rf", str(self.data)], check=True)
        private_directory(self.data, self._account)
        self.run(
            "pg_basebackup", f"--pgdata={self.data}", f"--host={primary.sockets}",
            f"--port={PORT}", f"--username={cluster.SUPERUSER}", "--checkpoint=fast",
            "--wal-method=stream", "--no-sync", "--write-recovery-conf",
        )  # fmt: skip
        self.settings["primary_conninfo"] = (
            f"host={primary.sockets} port={PORT} user={cluster.SUPERUSER} application_name=twin"
        )

    def start(self, *, wait: bool = True) -> None:
        """Start the server; by the main thread only, with whom it ends."""
        command = cluster.postgres_command(
            self.bin_dir, self.data, self.sockets, PORT, self.settings, durable=True
        )
        with self.log_file.open("ab") as log:
            # A number of a dead server's would be taken for a running one.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**cluster.environment(), **self._environment},
                start_new_session=True,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509
                **self._account.popen_identity(),
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the server answers queries."""

        def answers() -> bool:
            if not self.running:
                raise RuntimeError(f"PostgreSQL has ended:\n{self.log()[-2000:]}")
            return self.answers()

        wait_for(answers, "the server does not answer")

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def process_named(self, title: str) -> psutil.Process:
        """Return the server's process that has a word in its title."""

        def find() -> psutil.Process | None:
            for child in self.process.children():
                try:
                    if title in " ".join(child.cmdline()):
                        return child
                except psutil.NoSuchProcess:
                    continue
            return None

        found: psutil.Process = wait_for(find, f"there is no {title}")
        return found

    def kill(self) -> None:
        """Kill the server with all its processes, as a machine that goes down does."""
        assert self._process is not None
        family = [self.process, *self.process.children(recursive=True)]
        # None of them may notice what has become of another.
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for each in family:
                try:
                    each.send_signal(signum)
                except psutil.NoSuchProcess:
                    continue
        self._process.wait(_PATIENCE_SECONDS)
        psutil.wait_procs(family, _PATIENCE_SECONDS)

    def stop(self) -> None:
        """Stop the server if it runs."""
        if self._process is None:
            return
        for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            os.kill(self._process.pid, signum)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                continue
        self._process = None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def count_in_log(self, words: str) -> int:
        return self.log().count(words)

    def query(self, sql: str, *parameters: Any, database: str = DATABASE) -> list[Any]:
        """Run one statement on a connection of its own and return its rows."""
        with closing(psycopg2.connect(self.url(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return list(cursor.fetchall()) if cursor.description else []

    def configure(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        self.query(f"alter system set {name} = '{value}'")
        self.query("select pg_reload_conf()")
        wait_for(
            lambda: self.query(
                "select coalesce(setting::text, '') from pg_file_settings"
                " where name = %s and applied and setting = %s", name, value,
            ),
            f"{name} was not applied",
        )  # fmt: skip
