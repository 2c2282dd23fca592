"""One PostgreSQL for the whole run, and a fresh database with slotwarden in it for each test.

``SLOTWARDEN_TEST_PG`` chooses the PostgreSQL: a major version of the packaged binaries (``16``),
or a folder of binaries. Under pytest-xdist the controlling process starts the server, and all
workers use it.
"""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg2
import pytest
from psycopg2.extensions import connection as PgConnection  # noqa: N812
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Engine, create_engine, make_url

from embedded_support import User, alive, wait_until
from slotwarden.embedded import EmbeddedServer, find_binaries
from slotwarden.embedded.account import server_account
from slotwarden.embedded.places import temporary_directory

_TEMPLATE = "slotwarden_template"
_TEMPLATE_LOCK = 4_721_001
_BLOCKED_TRIES = 1000
_BLOCKED_PAUSE_SECONDS = 0.01
# Settings that lead to another database than the test's own, or change what is printed.
_FOREIGN = (
    "SLOTWARDEN_DATABASE_URL",
    "SLOTWARDEN_SCHEMA",
    "SLOTWARDEN_WEB_TOKEN",
    "LANGFLIX_DATABASE_URL",
    "FORCE_COLOR",
    "NO_COLOR",
    "LANGUAGE",
)


@dataclass(frozen=True)
class ServerAddress:
    """Where the run's server listens."""

    host: str
    port: int
    user: str
    log_file: str

    def url(self, database: str) -> str:
        """Return a URL that psycopg2, libpq and SQLAlchemy all read."""
        return f"postgresql://{self.user}@/{database}?host={self.host}&port={self.port}"

    def janitor(self, database: str, **options: Any) -> DatabaseJanitor:
        """Return what makes and drops `database`."""
        return DatabaseJanitor(
            user=self.user, host=self.host, port=self.port, dbname=database, **options
        )


# Makes a database with slotwarden for the time of a ``with`` block, and gives its URL.
Copies: TypeAlias = Callable[[], AbstractContextManager[str]]


class Connect(Protocol):
    """Open a psycopg2 connection, closed after the test."""

    def __call__(self, dsn: str | None = None, **options: Any) -> PgConnection: ...


_server = pytest.StashKey[EmbeddedServer]()
_session_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    # pytest-xdist sets it, and tables would be folded to it.
    os.environ.pop("COLUMNS", None)
    # Many processes are started: what one has compiled, the next need not compile again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A shell starts background jobs deaf to Ctrl-C, and so would be the processes under test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        return
    for name in list(os.environ):
        if name.startswith("PG") or name in _FOREIGN:
            del os.environ[name]
    # psql's own words, in the language of the pages; the encoding stays the caller's.
    os.environ["LANG"] = os.environ.pop("LC_ALL", "") or os.environ.get("LANG", "")
    os.environ["LC_MESSAGES"] = "C"
    home = temporary_directory(server_account(), in_memory=True)
    config.stash[_session_home] = home
    # No test may touch the user's own lasting server.
    os.environ["SLOTWARDEN_HOME"] = str(home)
    wanted = os.environ.get("SLOTWARDEN_TEST_PG")
    if wanted:
        chosen = find_binaries(int(wanted)) if wanted.isdigit() else Path(wanted)
        os.environ["SLOTWARDEN_PG_BIN"] = str(chosen)


def pytest_collection_finish() -> None:
    # All that was collected stays to the end: the garbage collector need not look at it.
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _server in config.stash:
        config.stash[_server].stop()
    if _session_home in config.stash:
        shutil.rmtree(config.stash[_session_home])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the server is."""
    node.workerinput["server_address"] = asdict(_start_once(node.config))


def _start_once(config: pytest.Config) -> ServerAddress:
    if _server not in config.stash:
        # Room for two hundred callers at once, beside the other worker's.
        server = EmbeddedServer(durable=False, settings={"max_connections": "400"})
        server.start()
        config.stash[_server] = server
    server = config.stash[_server]
    return ServerAddress(
        str(server.socket_dir), server.port, server.user, log_file=str(server.log_file)
    )


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> ServerAddress:
    """The run's server."""
    worker_input = getattr(request.config, "workerinput", None)
    if worker_input is not None:
        return ServerAddress(**worker_input["server_address"])
    return _start_once(request.config)


@pytest.fixture(scope="session")
def template(server: ServerAddress) -> str:
    """The database that each test's own is a copy of; made by whoever needs it first."""
    # Closed also when it fails, or the other worker would wait for ever.
    with closing(psycopg2.connect(server.url("postgres"))) as lock:
        cursor = lock.cursor()
        cursor.execute("select pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        cursor.execute("select from pg_database where datname = %s", [_TEMPLATE])
        if cursor.rowcount == 0:
            _make_template(server)
    return _TEMPLATE


def _make_template(server: ServerAddress) -> None:
    janitor = server.janitor(_TEMPLATE, as_template=True)
    janitor.init()
    try:
        janitor.load(_install)
    except BaseException:
        janitor.drop()
        raise


def _install(*, host: str, port: int, user: str, dbname: str, **_: Any) -> None:
    # Imported late, so that tests without slotwarden's schema do not depend on it.
    from slotwarden import migrations  # noqa: PLC0415

    migrations.upgrade(ServerAddress(host, port, user, log_file="").url(dbname))


_numbers = itertools.count()


def _fresh_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="session")
def copies(server: ServerAddress, template: str) -> Iterator[Copies]:
    """Copies of the template, as many as are asked for."""
    with closing(psycopg2.connect(server.url("postgres"))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()

        @contextmanager
        def copy() -> Iterator[str]:
            name = _fresh_name()
            # The other strategy logs each page, which takes twice as long.
            cursor.execute(f"create database {name} template {template} strategy file_copy")
            try:
                yield server.url(name)
            finally:
                cursor.execute(f"drop database {name} with (force)")

        yield copy


@pytest.fixture
def database_url(copies: Copies) -> Iterator[str]:
    """The URL of a database of the test's own, with slotwarden installed."""
    with copies() as url:
        yield url


@pytest.fixture
def empty_database_url(server: ServerAddress) -> Iterator[str]:
    """The URL of a database of the test's own, without slotwarden."""
    name = _fresh_name()
    with server.janitor(name):
        yield server.url(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    made = create_engine(make_url(database_url).set(drivername="postgresql+psycopg2"))
    yield made
    made.dispose()


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Open psycopg2 connections: ``connect()`` to `database_url`, ``connect(dsn)`` elsewhere."""
    opened: list[PgConnection] = []

    def open_one(dsn: str | None = None, **options: Any) -> PgConnection:
        # Only now: a test on an empty database needs no clone.
        target = dsn or request.getfixturevalue("database_url")
        connection = psycopg2.connect(target, **options)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def wait_until_blocked(server: ServerAddress) -> Iterator[Callable[[int], list[int]]]:
    """Wait until a backend waits for a lock, and return the backends that it waits for.

    ``wait_until_blocked(connection.info.backend_pid)``
    """
    monitor = psycopg2.connect(server.url("postgres"))
    monitor.autocommit = True

    def wait(backend_pid: int) -> list[int]:
        with monitor.cursor() as cursor:
            for _ in range(_BLOCKED_TRIES):
                cursor.execute("select pg_blocking_pids(%s)", [backend_pid])
                blockers: list[int] = cursor.fetchone()[0]
                if blockers:
                    return blockers
                time.sleep(_BLOCKED_PAUSE_SECONDS)
            cursor.execute(
                "select state, wait_event_type, wait_event, query"
                " from pg_stat_activity where pid = %s",
                [backend_pid],
            )
            found = cursor.fetchone()
        tried = _BLOCKED_TRIES * _BLOCKED_PAUSE_SECONDS
        pytest.fail(f"backend {backend_pid} was not blocked within {tried:.0f} s: {found}")

    yield wait
    monitor.close()


@pytest.fixture
def embedded_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a lasting server of the test's own, named in ``SLOTWARDEN_HOME``."""
    home = temporary_directory(server_account(), in_memory=True)
    monkeypatch.setenv("SLOTWARDEN_HOME", str(home))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder that the server's account can enter; pytest's own are for one user only."""
    made = temporary_directory(server_account(), in_memory=True)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def use_server() -> Iterator[Callable[..., User]]:
    """Start processes that use a server; whatever is left of them is ended after the test."""
    started: list[User] = []

    def start(kind: str, **popen: Any) -> User:
        started.append(User(kind, **popen))
        return started[-1]

    yield start
    for user in started:
        user.kill()
        for pipe in (user.process.stdin, user.process.stdout):
            assert pipe is not None
            pipe.close()
    pids = {user.said["pid"] for user in started if user.said}
    wait_until(lambda: not any(map(alive, pids)), "a server outlived its users")
