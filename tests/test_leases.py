"""Whose token may end an upload, and what a new attempt costs."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from life import (
    DAY,
    FINAL,
    NEXT,
    ONE_DAY,
    TODAY,
    claim,
    complete,
    fail,
    ledger,
    prepared,
    refusal,
    refused_on,
    retry,
    run_clock,
    start,
)
from support import (
    APP,
    OWNER,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
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


def test_each_start_has_a_token_of_its_own(db: PgConnection) -> None:
    first = start(db, reserve(db, DAY, "final", "10:00"), p_lease="90 seconds")
    second = start(db, reserve(db, DAY, "final", "11:00"), p_lease="1 day")
    assert first.lease_token != second.lease_token
    assert first.lease_expires_at - first.upload_time == dt.timedelta(seconds=90)
    assert second.lease_expires_at - second.upload_time == ONE_DAY


def test_saying_the_same_again_changes_nothing(db: PgConnection) -> None:
    started = start(db, reserve(db, DAY, "final", "10:00"))
    done = complete(db, started, p_youtube_video_id="yt")
    assert complete(db, started, p_youtube_video_id="yt") == done
    other = refused_on(
        db, "complete_upload", started, p_token=started.lease_token, p_youtube_video_id="other"
    )
    assert other.sqlstate == "SWSTA"
    assert refused_on(db, "fail_upload", started, p_token=started.lease_token).sqlstate == "SWSTA"

    started = start(db, reserve(db, DAY, "final", "11:00"))
    failed = fail(db, started, p_error_message="x" * 3000)
    assert failed.error_message == "x" * 2500
    assert fail(db, started, p_error_message="y") == failed
    again = refused_on(db, "complete_upload", started, p_token=started.lease_token)
    assert again.sqlstate == "SWSTA"
    assert_consistent(db)


@pytest.mark.parametrize("function", ["complete_upload", "fail_upload"])
def test_a_token_that_is_not_the_attempts(db: PgConnection, function: str) -> None:
    started = start(db, reserve(db, DAY, "final", "10:00"))
    foreign = refused_on(db, function, started, p_token=str(uuid.uuid4()))
    assert foreign.sqlstate == "SWSTA"
    assert foreign.facts == {
        "reservation_id": started.reservation_id,
        "status": "uploading",
        "attempt": 1,
    }
    missing = refused_on(db, function, started, p_token=None)
    assert (missing.sqlstate, missing.facts["parameter"]) == ("SWARG", "p_token")
    for reservation_id, sqlstate in ((None, "SWARG"), (4711, "SWNFD")):
        outcome = attempt_call(
            db, function, p_reservation_id=reservation_id, p_token=started.lease_token
        )
        assert outcome.sqlstate == sqlstate


def test_a_video_id_that_cannot_be(db: PgConnection) -> None:
    started = start(db, reserve(db, DAY, "final", "10:00"))
    for video_id in ("", "x" * 201):
        outcome = refused_on(
            db,
            "complete_upload",
            started,
            p_token=started.lease_token,
            p_youtube_video_id=video_id,
        )
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", "p_youtube_video_id")


def test_a_lease_that_cannot_be(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    outcomes = [refusal(db, "claim_due_uploads", p_lease=None)]
    for lease in ("0", "-1 minute", "367 days"):
        outcomes.append(refused_on(db, "start_upload", booked, p_lease=lease))
        outcomes.append(refusal(db, "claim_due_uploads", p_lease=lease))
    for outcome in outcomes:
        assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", "p_lease")


def expired(connection: PgConnection) -> tuple[Any, Any]:
    """Return a reservation as its worker has it, and as it was claimed by another later."""
    run_clock(connection, f"{DAY} 10:00Z")
    mine = start(
        connection, reserve(connection, DAY, "final", "12:00", video="v"), p_lease="10 minutes"
    )
    run_clock(connection, f"{DAY} 10:11Z")
    return mine, claim(connection, p_lease="20 minutes")[0]


def test_a_worker_that_lost_its_lease_cannot_finish(db: PgConnection) -> None:
    mine, theirs = expired(db)
    assert theirs.reservation_id == mine.reservation_id
    assert (theirs.attempt, theirs.version) == (2, 3)
    assert theirs.lease_token != mine.lease_token
    assert theirs.lease_expires_at - theirs.upload_time == dt.timedelta(minutes=20)
    # A new attempt calls the API again, and takes no second place among the finals.
    assert used(db, DAY) == {"final": 1, "api_units": 3200}
    assert ("api_units", str(DAY), 1600, 2) in ledger(db, mine)
    for function in ("complete_upload", "fail_upload"):
        assert refused_on(db, function, mine, p_token=mine.lease_token).sqlstate == "SWSTA"
    done = complete(db, theirs)
    assert done.upload_status == "completed"
    for function in ("complete_upload", "fail_upload"):
        assert refused_on(db, function, mine, p_token=mine.lease_token).sqlstate == "SWSTA"
    assert_consistent(db)


def test_a_lease_that_ran_out_is_still_good_until_somebody_claims(db: PgConnection) -> None:
    mine = start(db, reserve(db, DAY, "final", "10:00"), p_lease="10 minutes")
    run_clock(db, f"{DAY} 10:00Z")
    assert complete(db, mine).upload_status == "completed"
    assert claim(db, p_count=10) == []


def test_a_lease_that_a_table_owner_ends_is_over(connect: Connect, db: PgConnection) -> None:
    mine = start(db, reserve(db, DAY, "final", "10:00"), p_lease="1 day")
    assert claim(db) == []
    query(
        session(connect, role=OWNER),
        "update slotwarden.reservation set lease_expires_at = slotwarden.clock_now()",
    )
    assert claim(db)[0].lease_token != mine.lease_token
    assert used(db, TODAY) == {"api_units": 3200}
    assert_consistent(db)


def test_an_attempt_that_does_not_fit_into_today_is_not_begun(db: PgConnection) -> None:
    run_clock(db, f"{DAY} 10:00Z")
    mine = start(db, reserve(db, DAY, "final", "12:00"), p_lease="10 minutes")
    run_clock(db, f"{DAY} 10:11Z")
    call(db, "override_day", p_limit="api_units", p_day=DAY, p_max=3199)
    assert claim(db) == []
    assert complete(db, mine).attempt == 1


def test_a_failed_attempt_after_a_reclaim_keeps_what_both_have_spent(db: PgConnection) -> None:
    _, theirs = expired(db)
    failed = fail(db, theirs, p_error_message="quota")
    assert (failed.error_message, failed.lease_expires_at) == ("quota", None)
    assert used(db, DAY) == {"api_units": 3200}
    retried = retry(db, failed, NEXT, "10:00")
    assert (retried.attempt, retried.upload_status, retried.lease_token) == (3, "scheduled", None)
    assert (used(db, DAY), used(db, NEXT)) == ({"api_units": 3200}, FINAL)
    run_clock(db, f"{NEXT} 09:00Z")
    assert start(db, retried).error_message is None
    assert_consistent(db)


def test_two_workers_end_one_upload_at_once(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "fail_upload", "complete_upload")
    started = start(db, reserve(db, DAY, "final", "10:00"))
    first = session(connect, role=APP, autocommit=False)
    complete(first, started)
    waiting = background(
        session(connect, role=APP),
        "fail_upload",
        p_reservation_id=started.reservation_id,
        p_token=started.lease_token,
    )
    wait_until_blocked(waiting.pid)
    first.commit()
    assert waiting.outcome.sqlstate == "SWSTA"
    assert_consistent(db)


def test_a_failure_that_is_told_twice_at_once_is_one(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "fail_upload")
    started = start(db, reserve(db, DAY, "final", "10:00"))
    first = session(connect, role=APP, autocommit=False)
    failed = fail(first, started)
    again = background(
        session(connect, role=APP),
        "fail_upload",
        p_reservation_id=started.reservation_id,
        p_token=started.lease_token,
    )
    wait_until_blocked(again.pid)
    first.commit()
    assert again.outcome.row == failed
    assert_consistent(db)


def test_a_lease_whose_months_and_days_cancel_each_other_is_none(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    assert refused_on(db, "start_upload", booked, p_lease="-1 year 361 days").sqlstate == "SWARG"
    lead = refusal(db, "set_channel", p_channel="default", p_upload_lead="-1 year 361 days")
    assert lead.sqlstate == "SWARG"
