"""What the tests of the SQL share: sessions, calls that wait, and the audit.

A race is driven: somebody holds the lock that all have to pass, everybody is seen waiting for it
in ``pg_blocking_pids``, and only then is it let go.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import psycopg2
import psycopg2.extensions
import pytest
from psycopg2.extras import NamedTupleCursor

PgConnection: TypeAlias = psycopg2.extensions.connection
WaitUntilBlocked = Callable[[int], list[int]]

OWNER = "slotwarden_owner"
APP = "slotwarden_app"
READER = "slotwarden_reader"
ADMIN = "slotwarden_admin"

# Long enough never to be met: for races that are not about the time they wait.
PATIENT = "60s"
_JOIN_SECONDS = 60.0


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


class Background:
    """One statement in a thread of its own."""

    def __init__(self, connection: PgConnection, sql: str, *parameters: Any) -> None:
        self.pid: int = connection.info.backend_pid
        self._outcome: Outcome | None = None

        def run() -> None:
            self._outcome = attempt(connection, sql, *parameters)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def outcome(self) -> Outcome:
        """What came of it; waits for the end."""
        self._thread.join(_JOIN_SECONDS)
        assert self._outcome is not None, f"backend {self.pid} has not answered"
        return self._outcome


def background(connection: PgConnection, function: str, **named: Any) -> Background:
    """Call a function of slotwarden in a thread of its own."""
    sql, parameters = call_sql(function, **named)
    return Background(connection, sql, *parameters)


def run_concurrently(
    calls: Iterable[tuple[PgConnection, str, Sequence[Any]]],
    wait_until_blocked: WaitUntilBlocked,
    let_go: Callable[[], None],
) -> list[Outcome]:
    """Start all calls, see each one waiting, call `let_go`, and return what came of them."""
    started = [Background(connection, sql, *parameters) for connection, sql, parameters in calls]
    for each in started:
        wait_until_blocked(each.pid)
    let_go()
    return [each.outcome for each in started]


def be_patient(connection: PgConnection, *functions: str) -> None:
    """Let calls wait as long as a race needs on a busy machine."""
    bound_wait(connection, PATIENT, *functions)


def bound_wait(connection: PgConnection, timeout: str, *functions: str) -> None:
    """Set the lock budget of functions, as a DBA would."""
    for function in functions:
        signature = scalar(connection, "select %s::regproc::regprocedure", f"slotwarden.{function}")
        query(connection, f"alter function {signature} set lock_timeout = '{timeout}'")


def set_clock(connection: PgConnection, instant: str) -> None:
    """Stop slotwarden's clock at an instant, for all sessions; called again, move it."""
    query(
        connection,
        """
        create table if not exists slotwarden.stopped_clock (at timestamptz not null);
        grant select on slotwarden.stopped_clock to public;
        create or replace function slotwarden.clock_now() returns timestamptz
          language sql volatile as 'select at from slotwarden.stopped_clock';
        delete from slotwarden.stopped_clock;
        insert into slotwarden.stopped_clock values (%s)
        """,
        instant,
    )


_LEDGER_FAULTS = """
select limit_id, day, version from (
  select
    limit_id, day, version, units, used_units, max_units,
    row_number() over w as expected_version,
    sum(units) over w as expected_used
  from slotwarden.usage_ledger
  window w as (partition by limit_id, day order by version)
) as entry
where version <> expected_version
  or used_units <> expected_used
  or units > 0 and used_units > max_units
"""

_SHARED_SLOTS = """
select channel_id, scheduled_publish_time
from slotwarden.reservation
where upload_status in ('scheduled', 'uploading', 'completed')
group by channel_id, scheduled_publish_time
having count(*) > 1
"""


def assert_consistent(connection: PgConnection) -> None:
    """Audit the workspace from its rows, without any of its functions.

    Nothing has drifted; each usage's versions are 1..n and its balances the running sums; no entry
    takes more than the maximum allows; no slot has two live bookings.
    """
    assert query(connection, "select * from slotwarden.usage_drift") == []
    assert query(connection, _LEDGER_FAULTS) == []
    assert query(connection, _SHARED_SLOTS) == []


def used(connection: PgConnection, day: dt.date) -> dict[str, int]:
    """Return the units used of each limit on a day, summed from the ledger."""
    rows = query(
        connection,
        "select limit_id, sum(units)::integer as units from slotwarden.usage_ledger"
        " where day = %s group by limit_id having sum(units) <> 0",
        day,
    )
    return {row.limit_id: row.units for row in rows}


def snapshot(connection: PgConnection) -> list[list[Any]]:
    """Return the rows that a booking could change, to see that nothing did."""
    return [
        query(connection, f"select * from slotwarden.{table} order by 1, 2, 3")
        for table in ("reservation", "usage_ledger", "request")
    ]
