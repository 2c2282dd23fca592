"""One statement on a connection of an engine's pool, committed by itself.

What SQLAlchemy does around a statement (a transaction, a context, metadata of
each result) costs several times what the driver needs. So the driver is asked
directly, on a connection of the pool; how it fails stays as SQLAlchemy has it.
"""

from __future__ import annotations

import logging
import select
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import Pool, PoolProxiedConnection

from .exceptions import DatabaseUnavailable, InvalidArgument

C = TypeVar("C", Connection, PoolProxiedConnection)

Rows = Sequence[Sequence[Any]]
"""Rows of a result, with their values in the order of its columns."""

_MOST_DISCARDED = 100


class UnreadableAnswer(Exception):
    """A statement was carried out, but what it answered could not be read; ``reason`` says why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


def is_watched(engine: Engine) -> bool:
    """Whether the application listens to an engine's events, or logs its statements.

    Then a statement has to go through SQLAlchemy: it would not learn of what
    `execute_pooled` does.
    """
    return (
        # True from the first listener on. Should SQLAlchemy come without: assume one.
        getattr(engine, "_has_events", True)
        or getattr(engine.dialect, "_has_events", True)
        or engine.logger.isEnabledFor(logging.INFO)
    )


def execute_pooled(engine: Engine, statement: str, values: dict[str, Any]) -> Rows:
    """Execute and commit a statement, whose parameters are written ``%(name)s``.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        As SQLAlchemy has it; its ``statement`` is None if nothing was sent.
    InvalidArgument
        As `require_readable_dates`; nothing was sent.
    UnreadableAnswer
        It was committed.
    """
    driver_error = engine.dialect.loaded_dbapi.Error
    pool = engine.pool
    try:
        connection = live_connection(pool.connect)
    except driver_error as error:
        raise _wrapped(error, engine) from error
    driver_connection = driver_of(connection)
    autocommit = True
    sent = None
    answered = False
    try:
        require_readable_dates(driver_connection)
        # SQLAlchemy's own isolation level AUTOCOMMIT may send a SET, which is
        # a round trip and changes the session, each time.
        autocommit = driver_connection.autocommit
        if not autocommit:
            driver_connection.autocommit = True
        sent = statement
        cursor = driver_connection.cursor()
        cursor.execute(statement, values)
        answered = True
        rows = cursor.fetchall()
        cursor.close()
    except driver_error as error:
        wrapped = _wrapped(error, engine, driver_connection, sent, values)
        if wrapped.connection_invalidated:
            _drop(connection, engine, pool, error)
        if answered:
            wrapped.__cause__ = error
            raise UnreadableAnswer(wrapped) from wrapped
        raise wrapped from error
    except Exception as error:
        if answered:
            raise UnreadableAnswer(error) from error
        raise
    except BaseException as error:
        # Interrupted: the next answer might be the one that was not waited for.
        connection.invalidate(error)
        raise
    finally:
        _give_back(connection, driver_error, autocommit=autocommit)
    return rows


@contextmanager
def autocommitting(connection: Connection) -> Iterator[None]:
    """Let the one statement commit by itself, with nothing sent before or after it.

    SQLAlchemy's own isolation level AUTOCOMMIT sends a SET, which is a round
    trip and changes the session, each time that a pooled connection is used.
    """
    driver_connection = driver_of(connection)
    before = driver_connection.autocommit
    if not before:
        driver_connection.autocommit = True
    try:
        yield
    finally:
        if not before and not driver_connection.closed:
            _end_autocommit(connection, driver_connection, connection.dialect.loaded_dbapi.Error)


def _give_back(
    connection: PoolProxiedConnection, driver_error: type[Exception], *, autocommit: bool
) -> None:
    if not connection.is_valid:
        return
    if not autocommit:
        _end_autocommit(connection, driver_of(connection), driver_error)
    connection.close()


def _end_autocommit(
    connection: Connection | PoolProxiedConnection,
    driver_connection: DBAPIConnection,
    driver_error: type[Exception],
) -> None:
    try:
        driver_connection.autocommit = False
    except driver_error as error:
        # The statement has its outcome, which this must not hide.
        connection.invalidate(error)


def _drop(connection: PoolProxiedConnection, engine: Engine, pool: Pool, error: Exception) -> None:
    """Give up a lost connection, and with it those that lie in its pool."""
    connection.invalidate(error)
    # As SQLAlchemy does it: they are of the same server. The first to notice is enough.
    if engine.pool is pool:
        engine.dispose()


def _wrapped(
    error: Exception,
    engine: Engine,
    driver_connection: DBAPIConnection | None = None,
    statement: str | None = None,
    values: dict[str, Any] | None = None,
) -> DBAPIError:
    """Build what SQLAlchemy would have raised for a driver's error."""
    dialect = engine.dialect
    wrapped = DBAPIError.instance(
        statement,
        None if statement is None else values,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=engine.hide_parameters,
        connection_invalidated=dialect.is_disconnect(
            error,  # type: ignore[arg-type]
            driver_connection,
            None,
        ),
        dialect=dialect,
    )
    assert isinstance(wrapped, DBAPIError)  # noqa: S101
    return wrapped


def live_connection(connect: Callable[[], C]) -> C:
    """Take a connection that the server has not closed while it lay in the pool.

    Sent over a dead connection, a booking would have an unknown outcome though
    nobody received it. Looking costs no round trip.
    """
    for _ in range(_MOST_DISCARDED):
        connection = connect()
        driver_connection = driver_of(connection)
        # A server that waits for a statement sends nothing, so anything there to
        # read is its farewell. (Or a notification: then a connection is opened
        # for nothing.)
        if not driver_connection.closed and not _is_readable(driver_connection.fileno()):
            return connection
        connection.invalidate()
        connection.close()
    return connect()


def require_readable_dates(driver_connection: DBAPIConnection) -> None:
    """Refuse a session whose dates a driver may fail to read, when it is too late.

    The server reports the setting by itself, so looking costs no round trip. A
    pooler that keeps it back, as one whose connection is closed, refuses nothing.

    Raises
    ------
    InvalidArgument
        Its DateStyle is not ISO.
    """
    if driver_connection.closed:
        return
    if hasattr(driver_connection, "get_parameter_status"):
        style = driver_connection.get_parameter_status("DateStyle")
    else:
        reported = driver_connection.pgconn.parameter_status(b"DateStyle")
        style = reported and reported.decode()
    if style and not style.startswith("ISO"):
        raise InvalidArgument(
            f"the session's DateStyle is {style}, of which drivers do not read all dates",
            hint="Connect with ?options=-cdatestyle%3DISO, or let the role or the database"
            " have that setting.",
        )


def driver_of(connection: Connection | PoolProxiedConnection) -> DBAPIConnection:
    """Give the driver's connection.

    Raises
    ------
    DatabaseUnavailable
        There is none any more.
    """
    proxy = connection.connection if isinstance(connection, Connection) else connection
    driver_connection = proxy.dbapi_connection
    if driver_connection is None:
        raise DatabaseUnavailable("the connection was lost before")
    return driver_connection


if hasattr(select, "poll"):

    def _is_readable(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

else:

    def _is_readable(descriptor: int) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(0))
