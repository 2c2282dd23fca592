"""Sessions of the tests' own, calls of slotwarden through them, and what came of each."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import psycopg2
import psycopg2.extensions
import pytest
from psycopg2.extras import NamedTupleCursor

from conftest import Copies

PgConnection: TypeAlias = psycopg2.extensions.connection

OWNER = "slotwarden_owner"
APP = "slotwarden_app"
READER = "slotwarden_reader"
ADMIN = "slotwarden_admin"


class Connect(Protocol):
    """Open a psycopg2 connection, closed after the test (the fixture ``connect``)."""

    def __call__(self, dsn: str | None = None, **options: Any) -> PgConnection: ...


def session(
    connect: Connect,
    *,
    role: str | None = None,
    autocommit: bool = True,
    isolation: str | None = None,
    dsn: str | None = None,
    settings: dict[str, str] | None = None,
) -> PgConnection:
    """Return a new connection, as `role`, outside of any transaction."""
    given = dict(settings or {})
    if role is not None:
        given["role"] = role
    if isolation is not None:
        given["default_transaction_isolation"] = isolation.replace(" ", "\\ ")
    options = " ".join(f"-c {name}={value}" for name, value in given.items())
    connection = connect(dsn, options=options, cursor_factory=NamedTupleCursor)
    connection.autocommit = autocommit
    return connection


@contextmanager
def own_database(copies: Copies) -> Iterator[PgConnection]:
    """Open a session on a new database, for a module whose tests change nothing in it."""
    with (
        copies() as url,
        closing(psycopg2.connect(url, cursor_factory=NamedTupleCursor)) as connection,
    ):
        connection.autocommit = True
        yield connection


def query(connection: PgConnection, sql: str, *parameters: Any) -> list[Any]:
    """Run one statement and return its rows, with named columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


def scalar(connection: PgConnection, sql: str, *parameters: Any) -> Any:
    """Run one statement and return the first column of its first row."""
    return query(connection, sql, *parameters)[0][0]


def coming_day(connection: PgConnection, days: int = 30) -> dt.date:
    """Return a day to come, by the server's calendar."""
    day: dt.date = scalar(connection, "select current_date + %s", days)
    return day


_BOOKING_PARAMETERS = {
    "day": "p_date",
    "kind": "p_type",
    "at": "p_time",
    "instant": "p_publish_time",
    "video": "p_video",
    "channel": "p_channel",
    "key": "p_request_key",
}


def call_sql(function: str, **named: Any) -> tuple[str, list[Any]]:
    """Return a call of a function of slotwarden in named notation, and its parameters."""
    names = [f"{_BOOKING_PARAMETERS.get(name, name)} => %s" for name in named]
    return f"select * from slotwarden.{function}({', '.join(names)})", list(named.values())


def call(connection: PgConnection, function: str, **named: Any) -> list[Any]:
    """Call a function of slotwarden in named notation and return its rows."""
    sql, parameters = call_sql(function, **named)
    return query(connection, sql, *parameters)


_BOOKED_COLUMNS = {
    "channel_id": "'default'",
    "video_type": "'final'",
    "scheduled_publish_time": "(current_date + 40) + time '20:00' at time zone 'UTC'",
}


def insert_sql(**columns: str) -> str:
    """Return a direct insert of a booking forty days ahead, with SQL expressions for columns."""
    values = {**_BOOKED_COLUMNS, **columns}
    return (
        f"insert into slotwarden.reservation ({', '.join(values)})"
        f" values ({', '.join(values.values())})"
    )


def attempt_call(connection: PgConnection, function: str, **named: Any) -> Outcome:
    """Call a function of slotwarden in named notation and return what came of it."""
    sql, parameters = call_sql(function, **named)
    return attempt(connection, sql, *parameters)


def reserve(connection: PgConnection, day: dt.date, kind: str, at: str, **named: Any) -> Any:
    """Call ``reserve_slot`` and return the reservation."""
    return call(connection, "reserve_slot", day=day, kind=kind, at=at, **named)[0]


@dataclass(frozen=True)
class Outcome:
    """What came of a call: rows, or an SQLSTATE with what was said about it."""

    sqlstate: str | None
    rows: Sequence[Any] = ()
    message: str = ""
    constraint: str | None = None
    detail: str | None = None
    hint: str | None = None

    @property
    def row(self) -> Any:
        assert self.sqlstate is None, f"{self.sqlstate}: {self.message}"
        return self.rows[0]

    @property
    def facts(self) -> dict[str, Any]:
        """DETAIL, which is a JSON object."""
        assert self.detail is not None, f"{self.sqlstate}: {self.message}"
        facts: dict[str, Any] = json.loads(self.detail)
        return facts


def _failed(error: psycopg2.Error) -> Outcome:
    said = error.diag
    return Outcome(
        # A connection that was cut has no SQLSTATE of its own.
        error.pgcode or "08006",
        message=said.message_primary or str(error),
        constraint=said.constraint_name,
        detail=said.message_detail,
        hint=said.message_hint,
    )


def attempt(connection: PgConnection, sql: str, *parameters: Any) -> Outcome:
    """Run one statement and return what came of it, error or not."""
    try:
        return Outcome(None, query(connection, sql, *parameters))
    except psycopg2.Error as error:
        return _failed(error)


@dataclass
class Refused:
    """What ``raises_sqlstate`` caught."""

    outcome: Outcome = field(default_factory=lambda: Outcome(None))

    @property
    def facts(self) -> dict[str, Any]:
        return self.outcome.facts


@contextmanager
def raises_sqlstate(code: str, constraint: str | None = None) -> Iterator[Refused]:
    """Expect an error of that SQLSTATE (and of that constraint)."""
    refused = Refused()
    with pytest.raises(psycopg2.Error) as caught:
        yield refused
    refused.outcome = _failed(caught.value)
    said = f"{refused.outcome.message} {refused.outcome.constraint}"
    assert refused.outcome.sqlstate == code, said
    if constraint is not None:
        assert refused.outcome.constraint == constraint, said
