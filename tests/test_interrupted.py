"""What is broken off or taken back leaves slot, usage and ledger as they were."""

from __future__ import annotations

import pytest

from support import (
    APP,
    Background,
    Connect,
    WaitUntilBlocked,
    assert_consistent,
    attempt,
    be_patient,
    call_sql,
    coming_day,
    query,
    reserve,
    scalar,
    session,
    snapshot,
)

# psycopg2 tells of a backend that was shut down by its SQLSTATE or as a lost connection.
_END_OF_WAIT = {
    "cancelled": {"57014"},
    "terminated": {"57P01", "08006"},
    "statement_timeout": {"57014"},
}


@pytest.mark.parametrize("end", list(_END_OF_WAIT))
def test_a_wait_that_is_broken_off_leaves_everything_as_it_was(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, end: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    reserve(db, day, "short", "09:00", key="before")
    before = snapshot(db)
    holder = session(connect, autocommit=False)
    reserve(holder, day, "final", "10:00")
    settings = {"statement_timeout": "1s"} if end == "statement_timeout" else {}
    sql, parameters = call_sql("reserve_slot", day=day, kind="final", at="11:00", key="k")
    waiting = Background(session(connect, role=APP, settings=settings), sql, *parameters)
    wait_until_blocked(waiting.pid)
    if end == "cancelled":
        query(db, "select pg_cancel_backend(%s)", waiting.pid)
    elif end == "terminated":
        query(db, "select pg_terminate_backend(%s)", waiting.pid)
    assert waiting.outcome.sqlstate in _END_OF_WAIT[end]
    holder.rollback()
    assert snapshot(db) == before
    assert reserve(db, day, "final", "11:00", key="k").version == 1
    assert_consistent(db)


@pytest.mark.parametrize("end", ["rollback", "backend killed", "error later on"])
def test_a_booking_that_is_not_committed_leaves_everything_as_it_was(
    connect: Connect, end: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    reserve(db, day, "short", "09:00", key="before")
    before = snapshot(db)
    lost = session(connect, autocommit=False)
    reserve(lost, day, "final", "10:00", key="k")
    if end == "backend killed":
        # The second argument waits until the backend has gone, and its locks with it.
        assert scalar(db, "select pg_terminate_backend(%s, 10000)", lost.info.backend_pid)
    elif end == "error later on":
        assert attempt(lost, "select 1 / 0").sqlstate == "22012"
        lost.commit()
    else:
        lost.rollback()
    assert snapshot(db) == before
    assert reserve(db, day, "final", "10:00", key="k").version == 1
    assert_consistent(db)
