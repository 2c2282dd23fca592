"""Starting and stopping the embedded PostgreSQL."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import psycopg2
from sqlalchemy.engine import URL

from slotwarden.embedded import cluster
from slotwarden.embedded.account import Account, server_account
from slotwarden.embedded.binaries import (
    BIN_VARIABLE,
    binaries_for,
    find_binaries,
    major_version,
)
from slotwarden.embedded.errors import EmbeddedError, EmbeddedUnavailable
from slotwarden.embedded.launch import Plan, is_supervised, launch, leave, reap
from slotwarden.embedded.locks import locked_folder, open_lock, try_lock, wait_for_lock
from slotwarden.embedded.places import Place, cannot_enter, kept_place, temporary_place

_DEFAULT_PORT = 5432
_START_SECONDS = 120
_STOP_SECONDS = 90
_PAUSE_SECONDS = 0.02
_LOG_TAIL_LINES = 20


class EmbeddedServer:
    """A PostgreSQL server of one's own, reachable over a Unix socket only.

    The server ends when the process that started it ends, however that ends. As root it runs as
    ``nobody``. The socket lies in a folder that no other user can enter, so no password is asked.

    Parameters
    ----------
    data_dir : Path, optional
        Where the data lie and stay. If not said, a temporary folder, deleted by `stop`.
    bin_dir : Path, optional
        The folder of the PostgreSQL binaries; chosen by `find_binaries` if not said.
    port : int, optional
        Names the socket (``.s.PGSQL.<port>``); nothing listens on TCP.
    settings : Mapping[str, str], optional
        Server settings, as in ``postgresql.conf``.
    durable : bool
        False trades the data's safety in a crash of the machine for speed, for tests: no fsync,
        and temporary data in memory where there is room.

    Attributes
    ----------
    user : str
        The superuser.
    port : int
        As given, or as found when another process had started the server.
    bin_dir, data_dir, socket_dir, log_file : Path
        Known once the server runs.

    Notes
    -----
    The process must not replace itself (``os.exec*``) while it uses the server: that counts as
    its end. Run other programs as children.
    """

    bin_dir: Path
    data_dir: Path
    socket_dir: Path
    log_file: Path

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        bin_dir: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        self.user = cluster.SUPERUSER
        self.port = port or _DEFAULT_PORT
        self._wanted_data_dir = data_dir
        # They are run in another working folder.
        self._wanted_bin_dir = bin_dir and bin_dir.absolute()
        self._settings = dict(settings or {})
        self._durable = durable
        self._place: Place | None = None
        self._users = -1
        self._starter = -1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when it is not in use here."""
        if self._place is None:
            return None
        found = cluster.read_postmaster(self.data_dir)
        return None if found is None else found.pid

    def url(self, database: str = "postgres") -> str:
        """Return the URL of `database` on this server, as SQLAlchemy, libpq and psql read it."""
        made = URL.create(
            "postgresql",
            username=self.user,
            database=database,
            query={"host": str(self.socket_dir), "port": str(self.port)},
        )
        return made.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        EmbeddedUnavailable
            No binaries, or none that the server's account can run.
        EmbeddedError
            It did not start; the message ends with the last lines of the server's log.
        """
        if self._place is not None:
            raise EmbeddedError("This server is in use already.")
        account = server_account()
        place = self._find_place(account)
        self._place = place
        self._starter = os.getpid()
        try:
            self.data_dir = (self._wanted_data_dir or place.root / "data").absolute()
            self.log_file = place.log_file
            self._prepare_parent(account)
            self.bin_dir = binaries_for(account, self._choose_binaries(account))
            with locked_folder(self.data_dir.parent, _START_SECONDS):
                self._join_or_launch(account, place)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(f"The server cannot be started: {error}") from error
            raise

    def stop(self) -> None:
        """Stop using the server. Returns when it is gone, or at once when others still use it.

        May be called again. In a forked child the server stays the parent's, and is left alone.
        """
        place, self._place = self._place, None
        if place is None:
            return
        ours = self._starter == os.getpid()
        if self._users >= 0:
            if ours:
                # A lock belongs to the open file, which a fork shares.
                leave(self._users, place)
            os.close(self._users)
            self._users = -1
        if self._process is not None:
            reap(self._process)
            self._process = None
        if ours and not place.kept:
            shutil.rmtree(place.root, ignore_errors=True)

    def _find_place(self, account: Account) -> Place:
        return temporary_place(account, in_memory=not self._durable)

    def _prepare_parent(self, account: Account) -> None:
        parent = self.data_dir.parent
        parent.mkdir(parents=True, exist_ok=True)
        if not account.can_enter(parent):
            raise cannot_enter(account, parent)

    def _choose_binaries(self, account: Account) -> Path:
        kept = cluster.kept_major(self.data_dir, account)
        chosen = self._wanted_bin_dir or find_binaries()
        if kept is None or major_version(chosen) == kept:
            return chosen
        if self._wanted_bin_dir is None:
            with contextlib.suppress(EmbeddedUnavailable):
                return find_binaries(kept)
        raise EmbeddedError(
            f"{self.data_dir} was made by PostgreSQL {kept}, but {chosen} holds PostgreSQL "
            f"{major_version(chosen)}. Name the binaries of PostgreSQL {kept} in {BIN_VARIABLE}; "
            f"to change over, dump the data with them (pg_dump) and restore into a new folder."
        )

    def _join_or_launch(self, account: Account, place: Place) -> None:
        """Become a user of the server, and start it if there is none. Holds the start lock."""
        self._users = open_lock(place.users_lock)
        stopping = f"The server in {place.root} is being stopped and does not end."
        wait_for_lock(self._users, fcntl.LOCK_SH, _STOP_SECONDS, stopping)
        while True:
            launched = self._launch_if_alone(account, place)
            log_tail = self._await_answer(place)
            if log_tail is None:
                return
            # A server of somebody else's may end just now, and then it is for us to start one.
            if launched:
                raise EmbeddedError(f"PostgreSQL did not start. Its log ends:\n{log_tail}")

    def _launch_if_alone(self, account: Account, place: Place) -> bool:
        guard = open_lock(place.supervisor_lock)
        try:
            if not try_lock(guard, fcntl.LOCK_EX):
                return False
            plan = Plan(
                place=place,
                account=account,
                bin_dir=self.bin_dir,
                data_dir=self.data_dir,
                port=self.port,
                settings=self._settings,
                durable=self._durable,
            )
            self._process = launch(plan, guard)
            return True
        finally:
            # The supervisor has a copy, and with it the lock.
            os.close(guard)

    def _await_answer(self, place: Place) -> str | None:
        """Wait until the server answers. Return the end of its log if it ends instead."""
        # Open all the time: the supervisor of a temporary place deletes it when it fails.
        with place.log_file.open("rb") as log:
            deadline = time.monotonic() + _START_SECONDS
            while is_supervised(place):
                found = cluster.read_postmaster(self.data_dir)
                if found is not None and found.ready and _answers(found):
                    self.socket_dir, self.port = found.socket_dir, found.port
                    return None
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"PostgreSQL did not answer within {_START_SECONDS} s. "
                        f"Its log ends:\n{_tail(log)}"
                    )
                time.sleep(_PAUSE_SECONDS)
            return _tail(log)


class _SharedServer(EmbeddedServer):
    """The user's lasting server."""

    def _find_place(self, account: Account) -> Place:
        return kept_place(account)


@contextmanager
def shared_server() -> Iterator[EmbeddedServer]:
    """Use the server that is kept for this user, together with every other process that does.

    The first to come starts it, the last to leave stops it, and the data stay. A process that is
    killed counts as gone. The data lie in ``SLOTWARDEN_HOME``, else in the platform's folder for
    a user's data (``~/.local/share/slotwarden``; for root ``/var/lib/slotwarden``).

    Yields
    ------
    EmbeddedServer
        Running. Do not stop it yourself.

    Raises
    ------
    EmbeddedUnavailable, EmbeddedError
        As `EmbeddedServer.start`.
    """
    with _SharedServer() as server:
        yield server


def _answers(found: cluster.Postmaster) -> bool:
    try:
        connection = psycopg2.connect(
            host=str(found.socket_dir),
            # PGHOSTADDR would lead elsewhere.
            hostaddr="",
            port=found.port,
            user=cluster.SUPERUSER,
            dbname="postgres",
            connect_timeout=5,
        )
    except psycopg2.OperationalError:
        return False
    connection.close()
    return True


def _tail(log: BinaryIO) -> str:
    lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:])
