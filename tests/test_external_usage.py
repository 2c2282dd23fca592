"""Units that something else than a booking has used."""

from __future__ import annotations

from typing import Any

import pytest

from life import DAY, NEXT, ONE_DAY, prepared, refusal, run_clock
from slotwarden import QuotaExhausted, Scheduler
from support import (
    APP,
    OWNER,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    attempt,
    attempt_call,
    background,
    be_patient,
    call,
    query,
    reserve,
    session,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def record(connection: PgConnection, limit: str, units: int, **named: Any) -> Any:
    return call(connection, "record_usage", p_limit=limit, p_units=units, **named)[0]


def test_what_is_recorded_counts_like_a_booking(connect: Connect, db: PgConnection) -> None:
    recorded = record(session(connect, role=APP), "api_units", 8000, p_day=DAY, p_note="search")
    assert (recorded.limit_id, recorded.day, recorded.units) == ("api_units", DAY, 8000)
    assert (recorded.note, recorded.created_by) == ("search", APP)
    reserve(db, DAY, "final", "10:00")
    refused = attempt_call(db, "reserve_slot", day=DAY, kind="final", at="11:00")
    assert (refused.sqlstate, refused.facts["used"]) == ("SWLIM", 9600)
    assert used(db, DAY) == {"final": 1, "api_units": 9600}
    assert_consistent(db)


def test_today_is_the_limits_own(db: PgConnection) -> None:
    run_clock(db, f"{DAY} 07:00Z")
    # In California it is still the day before; in Seoul, for the other limit, the same day.
    assert record(db, "api_units", 1).day == DAY - ONE_DAY
    assert record(db, "final", 1).day == DAY
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    run_clock(db, f"{DAY} 16:00Z")
    assert record(db, "final", 1).day == NEXT
    call(db, "set_daily_limit", p_limit="lonely", p_max=1, p_counted_at="publish")
    assert record(db, "lonely", 1).day == DAY
    assert_consistent(db)


def test_units_that_a_booking_was_charged_already_are_noted_only(db: PgConnection) -> None:
    assert record(db, "api_units", 0, p_day=DAY, p_note="booked").units == 0
    assert used(db, DAY) == {}
    call(db, "override_day", p_limit="api_units", p_day=DAY, p_max=0)
    assert record(db, "api_units", 0, p_day=DAY).units == 0


def test_what_would_pass_the_maximum_is_not_recorded(
    connect: Connect, db: PgConnection, database_url: str
) -> None:
    record(db, "api_units", 10_000, p_day=DAY)
    refused = refusal(db, "record_usage", p_limit="api_units", p_units=1, p_day=DAY)
    assert refused.sqlstate == "SWLIM"
    assert refused.facts == {
        "limit": "api_units",
        "counted_at": "upload",
        "day": str(DAY),
        "used": 10_000,
        "max": 10_000,
        "units": 1,
        "version": 1,
    }
    with Scheduler(database_url) as scheduler, pytest.raises(QuotaExhausted):
        scheduler.record_usage("api_units", 1, DAY)
    assert query(session(connect), "select day from slotwarden.external_usage") == [(DAY,)]


def test_arguments_that_cannot_be(db: PgConnection) -> None:
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("p_limit", {"p_limit": "nothing"}),
        ("p_limit", {"p_limit": None}),
        ("p_units", {"p_units": None}),
        ("p_units", {"p_units": -1}),
        ("p_units", {"p_units": 1_000_000_001}),
        ("p_day", {"p_day": "infinity"}),
        ("p_day", {"p_day": "0001-01-01"}),
        ("p_note", {"p_note": "x" * 2001}),
    ]
    for parameter, named in mistakes:
        outcome = refusal(db, "record_usage", **{"p_limit": "final", "p_units": 1, **named})
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", parameter)
    assert query(db, "select day from slotwarden.external_usage") == []


@pytest.mark.parametrize(
    "statement",
    ["update {} set units = 0", "delete from {}", "truncate {}"],
)
def test_what_is_spent_stays_spent(connect: Connect, db: PgConnection, statement: str) -> None:
    record(db, "final", 1, p_day=DAY)
    owner = session(connect, role=OWNER)
    outcome = attempt(owner, statement.format("slotwarden.external_usage"))
    assert outcome.sqlstate == "SWSTA"
    assert used(db, DAY) == {"final": 1}
    # Written by hand it counts as well, up to the maximum.
    insert = "insert into slotwarden.external_usage (limit_id, day, units) values ('final', %s, 1)"
    query(owner, insert, DAY)
    refused = attempt(owner, insert, DAY)
    assert (refused.sqlstate, refused.constraint) == ("23514", "usage_ledger_within_maximum")
    assert used(db, DAY) == {"final": 2}
    assert_consistent(db)


def test_the_last_units_are_given_once(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "record_usage")
    record(db, "api_units", 8000, p_day=DAY)
    booking = session(connect, role=APP, autocommit=False)
    reserve(booking, DAY, "final", "10:00")
    waiting = background(
        session(connect, role=APP), "record_usage", p_limit="api_units", p_units=500, p_day=DAY
    )
    wait_until_blocked(waiting.pid)
    booking.commit()
    assert waiting.outcome.sqlstate == "SWLIM"
    assert waiting.outcome.facts["used"] == 9600
    assert_consistent(db)
