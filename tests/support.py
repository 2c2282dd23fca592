"""What the tests of the SQL share: sessions, calls that wait, the clock, and the audit.

A race is driven: somebody holds the lock that all have to pass, everybody is seen waiting for it
in ``pg_blocking_pids``, and only then is it let go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from audit import assert_consistent, snapshot, used
from sessions import (
    ADMIN,
    APP,
    OWNER,
    READER,
    Connect,
    Outcome,
    PgConnection,
    Refused,
    attempt,
    attempt_call,
    call,
    call_sql,
    coming_day,
    insert_sql,
    own_database,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
)

__all__ = [
    "ADMIN",
    "APP",
    "OWNER",
    "PATIENT",
    "READER",
    "Background",
    "Connect",
    "Outcome",
    "PgConnection",
    "Refused",
    "WaitUntilBlocked",
    "assert_consistent",
    "attempt",
    "attempt_call",
    "background",
    "be_patient",
    "bound_wait",
    "call",
    "call_sql",
    "coming_day",
    "insert_sql",
    "own_database",
    "query",
    "raises_sqlstate",
    "reserve",
    "run_concurrently",
    "scalar",
    "session",
    "set_clock",
    "snapshot",
    "used",
]

WaitUntilBlocked = Callable[[int], list[int]]

# Long enough never to be met: for races that are not about the time they wait.
PATIENT = "60s"
_JOIN_SECONDS = 60.0


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
