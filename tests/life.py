"""What the tests of a booking's whole life share: a clock of their own, and short ways to call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeAlias

from support import Connect, PgConnection, attempt_call, call, query, session, snapshot

# A Wednesday, four days before the clocks go forward in New York.
NOW = "2031-03-05 12:00Z"
DAY = dt.date(2031, 3, 6)
ONE_DAY = dt.timedelta(days=1)
NEXT = DAY + ONE_DAY
# In California the quota day of NOW is March 5, as it is in UTC.
TODAY = DAY - ONE_DAY

# What a final takes.
FINAL = {"final": 1, "api_units": 1600}

# Posting times first, then the full hours.
ORDER = ["10:00", "14:00", "18:00"] + [
    f"{hour:02d}:00" for hour in (9, 11, 12, 13, 15, 16, 17, 19, 20, 21)
]

PLENTY = 1_000_000_000

# Of the ledger: limit, day, units, attempt.
Entry: TypeAlias = tuple[str, str, int, int | None]


def run_clock(connection: PgConnection, instant: str) -> None:
    """Let slotwarden's clock go on from an instant, for all sessions; called again, move it."""
    query(
        connection,
        """
        -- With a key: the functions that may not scan a table read it as well.
        create table if not exists slotwarden.moved_clock (
          the_only boolean primary key, at timestamptz not null, since timestamptz not null
        );
        grant select on slotwarden.moved_clock to public;
        create or replace function slotwarden.clock_now() returns timestamptz
          language sql volatile
          as 'select at + (clock_timestamp() - since) from slotwarden.moved_clock where the_only';
        delete from slotwarden.moved_clock;
        insert into slotwarden.moved_clock values (true, %s, clock_timestamp())
        """,
        instant,
    )


def prepared(connect: Connect, *, limited: bool = True, now: str = NOW) -> PgConnection:
    """Return a superuser's session, on a workspace where it is `now`."""
    db = session(connect)
    run_clock(db, now)
    if not limited:
        for limit in ("final", "short", "api_units"):
            call(db, "set_daily_limit", p_limit=limit, p_max=PLENTY)
    return db


def times(*texts: str) -> list[dt.time]:
    return [dt.time.fromisoformat(each) for each in texts]


def text(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")


def slot(reservation: Any) -> str:
    """Return the publish time, in UTC."""
    return text(reservation.scheduled_publish_time)


def on(connection: PgConnection, function: str, reservation: Any, **named: Any) -> Any:
    """Call a function on a reservation and return what it returns."""
    return call(connection, function, p_reservation_id=reservation.reservation_id, **named)[0]


def move(connection: PgConnection, reservation: Any, day: dt.date, at: str, **named: Any) -> Any:
    return on(connection, "reschedule_reservation", reservation, day=day, at=at, **named)


def refusal(connection: PgConnection, function: str, **named: Any) -> Any:
    """Return what came of a call; if it was refused, nothing has changed."""
    before = snapshot(connection)
    outcome = attempt_call(connection, function, **named)
    if outcome.sqlstate is not None:
        assert snapshot(connection) == before
    return outcome


def refused_on(connection: PgConnection, function: str, reservation: Any, **named: Any) -> Any:
    return refusal(connection, function, p_reservation_id=reservation.reservation_id, **named)


def ledger(connection: PgConnection, reservation: Any) -> list[Entry]:
    """Return the entries of a reservation."""
    rows: Sequence[Any] = query(
        connection,
        "select limit_id, day::text, units, attempt from slotwarden.usage_ledger"
        " where reservation_id = %s order by limit_id, day, version",
        reservation.reservation_id,
    )
    return [tuple(row) for row in rows]


def slots_of(days: int, first: dt.date = DAY) -> list[str]:
    """Return the slots of some days in the order in which they are to be booked."""
    return [f"{first + dt.timedelta(day)} {time}" for day in range(days) for time in ORDER]


def take(connection: PgConnection, kind: str = "final", **named: Any) -> Any:
    named.setdefault("p_from", DAY)
    return call(connection, "reserve_next_slot", kind=kind, **named)[0]


def start(connection: PgConnection, reservation: Any, **named: Any) -> Any:
    return on(connection, "start_upload", reservation, **named)


def claim(connection: PgConnection, **named: Any) -> list[Any]:
    return call(connection, "claim_due_uploads", **named)


def complete(connection: PgConnection, started: Any, **named: Any) -> Any:
    return on(connection, "complete_upload", started, p_token=started.lease_token, **named)


def fail(connection: PgConnection, started: Any, **named: Any) -> Any:
    return on(connection, "fail_upload", started, p_token=started.lease_token, **named)


def retry(connection: PgConnection, failed: Any, day: dt.date, at: str, **named: Any) -> Any:
    return on(connection, "retry_upload", failed, day=day, at=at, **named)
