"""A new slot for an upload that failed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from life import (
    DAY,
    FINAL,
    NEXT,
    TODAY,
    fail,
    on,
    prepared,
    refused_on,
    retry,
    start,
)
from support import (
    Connect,
    Outcome,
    PgConnection,
    assert_consistent,
    call,
    reserve,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def failed_one(connection: PgConnection) -> Any:
    started = start(connection, reserve(connection, DAY, "final", "10:00", video="v"))
    return fail(connection, started)


def test_a_failed_upload_frees_its_slot_and_its_place(db: PgConnection) -> None:
    reserve(db, DAY, "final", "11:00")
    failed_one(db)
    assert used(db, DAY) == FINAL
    reserve(db, DAY, "final", "10:00", video="v")
    assert used(db, TODAY) == {"api_units": 1600}
    assert_consistent(db)


def refused_retry(
    connection: PgConnection, failed: Any, day: dt.date, at: str, **named: Any
) -> Outcome:
    outcome: Outcome = refused_on(connection, "retry_upload", failed, day=day, at=at, **named)
    return outcome


def test_what_speaks_against_a_retry(db: PgConnection) -> None:
    call(db, "set_channel", p_channel="default", p_time_zone="America/New_York")
    failed = failed_one(db)
    again = reserve(db, DAY, "final", "10:00", video="v")
    duplicate = refused_retry(db, failed, NEXT, "10:00")
    assert (duplicate.sqlstate, duplicate.facts["reservation_id"]) == (
        "SWDUP",
        again.reservation_id,
    )
    on(db, "cancel_reservation", again)
    rival = reserve(db, DAY, "final", "10:00", video="w")
    taken = refused_retry(db, failed, DAY, "10:00")
    assert (taken.sqlstate, taken.facts["reservation_id"]) == ("SWTKN", rival.reservation_id)
    assert refused_retry(db, failed, TODAY, "06:00").sqlstate == "SWPST"
    assert refused_retry(db, failed, dt.date(2031, 3, 9), "02:30").sqlstate == "SWGAP"
    stale = refused_retry(db, failed, NEXT, "10:00", p_expected_version=failed.version - 1)
    assert stale.sqlstate == "SWVER"
    reserve(db, DAY, "final", "11:00")
    full = refused_retry(db, failed, DAY, "12:00")
    assert (full.sqlstate, full.facts["limit"]) == ("SWLIM", "final")
    call(db, "override_day", p_limit="api_units", p_day=NEXT, p_max=1599)
    spent = refused_retry(db, failed, NEXT, "12:00")
    assert (spent.sqlstate, spent.facts["limit"]) == ("SWLIM", "api_units")
    call(db, "add_blackout", p_from=f"{NEXT} 00:00Z", p_to=f"{NEXT} 23:00Z", p_reason="holiday")
    assert refused_retry(db, failed, NEXT, "12:00").sqlstate == "SWBLK"
    assert_consistent(db)


def test_a_retry_that_is_repeated_books_nothing_twice(db: PgConnection) -> None:
    failed = failed_one(db)
    named = {"p_expected_version": failed.version, "key": "k"}
    retried = retry(db, failed, DAY, "10:00", **named)
    assert (retried.attempt, retried.version) == (2, failed.version + 1)
    assert retry(db, failed, DAY, "10:00", **named) == retried
    assert refused_retry(db, failed, DAY, "11:00", **named).sqlstate == "SWKEY"
    moved = refused_on(db, "reschedule_reservation", failed, day=DAY, at="10:00", key="k")
    assert moved.sqlstate == "SWKEY"
    assert used(db, DAY) == FINAL
    assert used(db, TODAY) == {"api_units": 1600}
    assert_consistent(db)
