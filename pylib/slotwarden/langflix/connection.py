"""Where a manager's calls go: a database of its own, or a caller's transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine, RowMapping
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import NullPool

from slotwarden.database import create_engine, quote_identifier, transactional
from slotwarden.errors import translated_errors
from slotwarden.exceptions import InvalidArgument
from slotwarden.scheduler import Scheduler

from .config import Change
from .failures import ScheduleConfigError

Joined = Session | scoped_session[Session] | Connection
"""What has a transaction of the caller's."""

_INSUFFICIENT_PRIVILEGE = "42501"


class Database:
    """The database of a manager.

    Parameters
    ----------
    engine : Engine, optional
        Calls commit by themselves.
    session : Session, scoped_session or Connection, optional
        Calls join its transaction. Without both: the database named by
        ``DATABASE_URL``, of which no connection is kept between calls.
    schema : str, optional
        The workspace; None is ``SLOTWARDEN_SCHEMA``, else ``slotwarden``.

    Raises
    ------
    InvalidArgument (SWARG)
        No database is named, or two are. Nothing is connected to yet.
    """

    def __init__(self, engine: Engine | None, session: Joined | None, schema: str | None) -> None:
        if engine is not None and session is not None:
            raise InvalidArgument("give an engine or a session, not both")
        if engine is None and session is None:
            url = os.environ.get("DATABASE_URL")
            if not url:
                raise InvalidArgument(
                    "no database is named: DATABASE_URL is not set",
                    hint="Set it, or give an engine or a session.",
                )
            engine = create_engine(url, poolclass=NullPool)
        self.schema = schema or os.environ.get("SLOTWARDEN_SCHEMA") or "slotwarden"
        self._engine = engine
        self._session = session
        self.scheduler = Scheduler(engine or session, schema=self.schema)  # type: ignore[arg-type]

    @property
    def has_transaction(self) -> bool:
        """Whether calls are part of a transaction that the caller ends."""
        return self._session is not None and not _is_autocommit(self._connection())

    def _connection(self) -> Connection:
        if self._session is None:
            raise TypeError("calls through an engine have no connection of their own")
        if isinstance(self._session, Connection):
            return self._session
        with translated_errors(schema=self.schema, commits=False):
            return self._session.connection()

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """Keep a caller's transaction going when the block is refused something.

        What the block did is rolled back to a savepoint, its locks included.
        """
        if not self.has_transaction:
            yield
            return
        # Also for the savepoint itself, which may be the first to find the connection lost.
        with (
            translated_errors(schema=self.schema, commits=False),
            self._connection().begin_nested(),
        ):
            yield

    def rows(self, query: str, values: Mapping[str, object]) -> Sequence[RowMapping]:
        """Run a query; ``{schema}`` in it stands for the workspace."""
        statement = text(query.format(schema=quote_identifier(self.schema).replace(":", r"\:")))
        with translated_errors(schema=self.schema, commits=False):
            if self._engine is None:
                return self._connection().execute(statement, dict(values)).mappings().all()
            with self._engine.connect() as connection:
                return connection.execute(statement, dict(values)).mappings().all()

    def apply(self, changes: Sequence[Change]) -> None:
        """Carry out changes of the settings, all or none.

        Raises
        ------
        ScheduleConfigError
            The role may not, or calls are part of a caller's transaction,
            whose locks would then keep everybody from booking.
        """
        if not changes:
            return
        differences = "; ".join(change.description for change in changes)
        if self._engine is None:
            raise ScheduleConfigError(
                f"the configuration is not the database's: {differences}",
                hint="Apply it once outside of a transaction:"
                " YouTubeScheduleManager(config, engine=...).apply_config()",
            )
        try:
            with (
                translated_errors(schema=self.schema),
                transactional(self._engine).begin() as begun,
            ):
                scheduler = Scheduler(begun, schema=self.schema)
                for change in changes:
                    change.apply(scheduler)
        except DBAPIError as error:
            if _sqlstate(error) != _INSUFFICIENT_PRIVILEGE:
                raise
            raise ScheduleConfigError(
                "the configuration is not the database's, and this role may not change that:"
                f" {differences}",
                hint="Apply it as an administrator (slotwarden_admin), or give no configuration:"
                " then the database's settings hold.",
            ) from error


def _is_autocommit(connection: Connection) -> bool:
    driver_connection: Any = connection.connection.dbapi_connection
    return driver_connection is None or bool(driver_connection.autocommit)


def _sqlstate(error: DBAPIError) -> str | None:
    report = error.orig
    return getattr(report, "pgcode", None) or getattr(report, "sqlstate", None)
