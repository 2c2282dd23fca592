"""How a call reaches the database: one statement, on whose connection, how often."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn, TypeVar

from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import StaticPool

from .arguments import Check, as_integer, check_arguments, checks_of
from .database import DRIVERS, create_engine, quote_identifier
from .errors import translate_error
from .exceptions import InvalidArgument, OutcomeUnknown, TransactionConflict
from .pooled import (
    Rows,
    UnreadableAnswer,
    autocommitting,
    driver_of,
    execute_pooled,
    is_watched,
    live_connection,
    require_readable_dates,
)

T = TypeVar("T")

Target = Engine | Connection | Session | scoped_session[Session] | URL | str
"""What a scheduler can work through."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5
# By then the longest is reached; of thousands, no float would be left.
_DOUBLINGS = 10

# The caller's own may ask for a cursor on the server, which there is in transactions only; or
# for percent signs as they stand.
_AT_ONCE = {"stream_results": False, "yield_per": None, "no_parameters": False}

_UNKNOWN_WITH_KEY = "Repeat the call with the same request_key; that settles it."
_UNKNOWN_WITHOUT_KEY = (
    "See whether it was carried out before repeating it; a request_key makes that safe."
)
_UNREADABLE = "Look at what is booked; the cause says what could not be read."


class Executor:
    """Calls functions of one workspace, through an engine or inside a caller's transaction.

    Through an engine a call is one statement that commits by itself, and so
    one round trip; conflicts are repeated. Inside a transaction it is one
    statement and nothing else: no commit, no rollback, no repetition.
    """

    def __init__(self, target: Target, *, schema: str, retries: int) -> None:
        if as_integer("retries", retries) < 0:
            raise InvalidArgument("retries must be 0 or more", detail={"parameter": "retries"})
        self.schema = schema
        self.retries = retries
        self._owned: Engine | None = None
        if isinstance(target, str | URL):
            target = self._owned = create_engine(target)
        if isinstance(target, Engine | Connection):
            _require_supported(target)
        elif not isinstance(target, Session | scoped_session):
            raise TypeError(
                "slotwarden works through an Engine, a Connection, a Session or a URL,"
                f" not {type(target).__name__}"
            )
        self._target = target
        # A percent sign would begin a parameter.
        self._prefix = quote_identifier(schema).replace("%", "%%") + "."
        self._prepared: dict[str, _Prepared] = {}

    def close(self) -> None:
        """Close the connections of an engine made from a URL; leave a caller's alone."""
        if self._owned is not None:
            self._owned.dispose()

    def call(
        self,
        function: str,
        columns: Sequence[str],
        arguments: Mapping[str, object],
        made: Callable[[Sequence[Any]], T],
        *,
        changes: bool,
    ) -> list[T]:
        """Call a function of the workspace and give what is made of its rows.

        Parameters
        ----------
        function : str
            Its name, without the schema.
        columns : sequence of str
            What to select; always the same for a function. A column that the
            installed schema lacks fails before anything takes effect.
        arguments : mapping
            Values by parameter name without ``p_``; always the same names for
            a function.
        made : callable
            Makes one result of the values of ``columns``, in their order. Here,
            so that a caller learns that a call has committed even if that fails.
        changes : bool
            Whether it may change anything; if not, losing the connection
            leaves nothing in doubt.
        """
        prepared = self._prepared.get(function)
        if prepared is None:
            prepared = self._prepared[function] = self._prepare(function, columns, arguments)
        values = check_arguments(prepared.checks, arguments)
        try:
            return self._carried_out(prepared.statement, values, made, changes=changes)
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                f"a text does not fit the connection's encoding, {error.encoding}",
                hint="Connect with client_encoding=utf8.",
            ) from error
        except OutcomeUnknown as lost:
            # Only here is it known what was asked, and with which key.
            key = values.get("p_request_key")
            raise OutcomeUnknown(
                lost.message,
                detail={"function": function, "request_key": key},
                hint=lost.hint or (_UNKNOWN_WITHOUT_KEY if key is None else _UNKNOWN_WITH_KEY),
                sqlstate=lost.sqlstate,
            ) from lost.__cause__

    def require_transaction(self, function: str) -> None:
        """Refuse a function that is called for its locks where they would go with the call.

        Raises
        ------
        InvalidArgument
            Each call commits by itself.
        """
        if isinstance(self._target, Engine) or self._connection_of(self._target)[1]:
            raise InvalidArgument(
                f"{function} needs a transaction to last until, and here each call commits"
                " by itself",
                hint="Work through a Connection or a Session, with a transaction of your own.",
            )

    def _prepare(
        self, function: str, columns: Iterable[str], parameters: Iterable[str]
    ) -> _Prepared:
        checks = checks_of(function, parameters)
        named = ", ".join(f"{check.parameter} => %({check.parameter})s" for check in checks)
        selected = ", ".join(columns)
        # All names are this package's own, the schema is quoted; values are bound.
        statement = f"select {selected} from {self._prefix}{function}({named}) as result"  # noqa: S608
        return _Prepared(statement, checks)

    def _carried_out(
        self,
        statement: str,
        values: dict[str, Any],
        made: Callable[[Sequence[Any]], T],
        *,
        changes: bool,
    ) -> list[T]:
        commits = changes
        try:
            if isinstance(self._target, Engine):
                rows = self._repeated(self._target, statement, values, changes=changes)
            else:
                connection, autocommit = self._connection_of(self._target)
                commits = changes and autocommit
                with self._translated(commits=commits):
                    rows = _executed(connection, statement, values)
            return _all_made(made, rows)
        except UnreadableAnswer as unreadable:
            reason = unreadable.reason
        if not commits:
            raise reason
        raise OutcomeUnknown(
            f"the call was carried out, but its answer could not be read: {reason}",
            hint=_UNREADABLE,
        ) from reason

    def _connection_of(
        self, target: Connection | Session | scoped_session[Session]
    ) -> tuple[Connection, bool]:
        """Give the caller's connection, and whether each statement on it commits by itself."""
        with self._translated(commits=False):
            if isinstance(target, Connection):
                connection = target
            else:
                connection = target.connection()
                _require_supported(connection)
            # The caller may have put the connection into autocommit.
            return connection, bool(driver_of(connection).autocommit)

    def _repeated(
        self, engine: Engine, statement: str, values: dict[str, Any], *, changes: bool
    ) -> Rows:
        for attempt in range(self.retries):
            try:
                return self._autocommitted(engine, statement, values, changes=changes)
            except TransactionConflict:
                # Random, so that those who collided do not meet again.
                longest = min(_FIRST_PAUSE * 2 ** min(attempt, _DOUBLINGS), _LONGEST_PAUSE)
                time.sleep(random.uniform(0, longest))  # noqa: S311
        return self._autocommitted(engine, statement, values, changes=changes)

    def _autocommitted(
        self, engine: Engine, statement: str, values: dict[str, Any], *, changes: bool
    ) -> Rows:
        if is_watched(engine):
            with self._translated(commits=False):
                connection = live_connection(engine.connect)
            with connection, autocommitting(connection), self._translated(commits=changes):
                return _executed(connection, statement, values)
        try:
            return execute_pooled(engine, statement, values)
        except DBAPIError as error:
            self._raise_translated(error, commits=changes and error.statement is not None)

    def _raise_translated(self, error: DBAPIError, *, commits: bool) -> NoReturn:
        translated = translate_error(error, schema=self.schema, commits=commits)
        if translated is None:
            raise error
        raise translated from error

    @contextmanager
    def _translated(self, *, commits: bool) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            self._raise_translated(error, commits=commits)


class _Prepared(NamedTuple):
    """What is the same in all calls of a function."""

    statement: str
    checks: Sequence[Check]


def _executed(connection: Connection, statement: str, values: dict[str, Any]) -> Rows:
    """Execute a statement by SQLAlchemy's way.

    Raises
    ------
    InvalidArgument
        As `require_readable_dates`; nothing was sent.
    UnreadableAnswer
        It was carried out.
    """
    require_readable_dates(driver_of(connection))
    result = connection.exec_driver_sql(statement, values, execution_options=_AT_ONCE)
    try:
        return result.all()
    except Exception as error:
        raise UnreadableAnswer(error) from error


def _all_made(made: Callable[[Sequence[Any]], T], rows: Rows) -> list[T]:
    try:
        return [made(row) for row in rows]
    except Exception as error:
        raise UnreadableAnswer(error) from error


def _require_supported(target: Engine | Connection) -> None:
    if target.dialect.name != "postgresql" or target.dialect.driver not in DRIVERS:
        raise InvalidArgument(
            f"slotwarden cannot work through {target.dialect.name}+{target.dialect.driver}",
            hint="Make the engine with slotwarden.create_engine, or with a"
            " postgresql+psycopg2:// URL.",
        )
    if isinstance(target, Engine) and isinstance(target.pool, StaticPool):
        # What one thread commits, another would roll back, unnoticed by both.
        raise InvalidArgument(
            "slotwarden cannot work through an engine whose threads share one connection",
            hint="Make the engine without poolclass=StaticPool, or pass a connection of it.",
        )
