"""The life of a reservation: its changes, what each charges, and whose token may end an upload."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from typing import Any

import pytest

from life import (
    DAY,
    NEXT,
    ONE_DAY,
    Entry,
    ledger,
    move,
    on,
    prepared,
    refusal,
    refused_on,
    run_clock,
)
from support import (
    APP,
    OWNER,
    Connect,
    Outcome,
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
    snapshot,
    used,
)

# In California the quota day of NOW is March 5, as it is in UTC.
TODAY = DAY - ONE_DAY
FINAL = {"final": 1, "api_units": 1600}


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


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


def brought_to(connection: PgConnection, status: str) -> Any:
    """Return a reservation of March 6, 10:00, in that status."""
    booked = reserve(connection, DAY, "final", "10:00", video="v")
    if status == "scheduled":
        return booked
    if status == "cancelled":
        return on(connection, "cancel_reservation", booked)
    started = start(connection, booked, p_lease="10 minutes")
    if status == "uploading":
        return started
    return complete(connection, started) if status == "completed" else fail(connection, started)


CHANGES: dict[str, dict[str, Any]] = {
    "reschedule_reservation": {"day": NEXT, "at": "11:00"},
    "cancel_reservation": {},
    "start_upload": {},
    "complete_upload": {"p_token": None},
    "fail_upload": {"p_token": None},
    "retry_upload": {"day": NEXT, "at": "11:00"},
}

# What each change leads to; everything else is refused. Repeated, some change nothing.
LIFE = {
    "scheduled": {
        "reschedule_reservation": "scheduled",
        "cancel_reservation": "cancelled",
        "start_upload": "uploading",
    },
    "uploading": {"complete_upload": "completed", "fail_upload": "failed"},
    "completed": {"complete_upload": "completed"},
    "failed": {"fail_upload": "failed", "retry_upload": "scheduled"},
    "cancelled": {"cancel_reservation": "cancelled"},
}


@pytest.mark.parametrize("status", LIFE)
def test_the_life_of_a_reservation(connect: Connect, db: PgConnection, status: str) -> None:
    app = session(connect, role=APP, autocommit=False)
    booked = brought_to(app, status)
    app.commit()
    assert booked.upload_status == status
    for function, named in CHANGES.items():
        given = dict(named)
        if "p_token" in given:
            given["p_token"] = booked.lease_token or str(uuid.uuid4())
        outcome = attempt_call(app, function, p_reservation_id=booked.reservation_id, **given)
        expected = LIFE[status].get(function)
        if expected is None:
            assert outcome.sqlstate == "SWSTA", function
            assert outcome.facts["reservation_id"] == booked.reservation_id
            assert outcome.facts["status"] == status
        else:
            assert outcome.row.upload_status == expected, function
            changed = expected != status or function == "reschedule_reservation"
            assert outcome.row.version == booked.version + changed
        app.rollback()
    assert_consistent(db)


ALLOWED = {
    ("scheduled", "uploading"),
    ("scheduled", "cancelled"),
    ("uploading", "completed"),
    ("uploading", "failed"),
    ("failed", "scheduled"),
}


@pytest.mark.parametrize("status", LIFE)
def test_the_same_life_for_direct_writes(connect: Connect, status: str) -> None:
    prepared(connect)
    owner = session(connect, role=OWNER, autocommit=False)
    booked = brought_to(owner, status)
    owner.commit()
    for wanted in LIFE:
        if wanted == status:
            continue
        attempts = {"attempt": booked.attempt + 1} if status == "failed" else {}
        outcome = attempt(
            owner,
            "update slotwarden.reservation set upload_status = %s, attempt = %s",
            wanted,
            attempts.get("attempt", booked.attempt),
        )
        expected = None if (status, wanted) in ALLOWED else "SWSTA"
        assert outcome.sqlstate == expected, wanted
        if expected is None:
            assert_consistent(owner)
        owner.rollback()


@pytest.mark.parametrize(
    "change",
    [
        "attempt = attempt + 1",
        "attempt = 7",
        "channel_id = 'other'",
        "local_date = local_date + 1",
        "time_zone = 'Asia/Seoul'",
        "upload_time = upload_time + interval '1 hour'",
        "created_by = 'nobody'",
        "created_at = created_at - interval '1 hour'",
        "reservation_id = 4711",
    ],
)
def test_what_a_table_owner_cannot_set(connect: Connect, db: PgConnection, change: str) -> None:
    call(db, "create_channel", channel="other")
    owner = session(connect, role=OWNER)
    booked = brought_to(owner, "scheduled")
    before = snapshot(owner)
    outcome = attempt(owner, f"update slotwarden.reservation set {change}")
    assert outcome.sqlstate == "SWSTA"
    assert outcome.facts["reservation_id"] == booked.reservation_id
    assert snapshot(owner) == before


def test_what_each_change_charges(db: PgConnection) -> None:
    seen: Counter[Entry] = Counter()

    def charged() -> list[Entry]:
        """Return the entries that are new."""
        entries = Counter(ledger(db, booked)) - seen
        seen.update(entries)
        return sorted(entries.elements(), key=str)

    booked = reserve(db, DAY, "final", "10:00")
    assert charged() == [("api_units", str(DAY), 1600, 1), ("final", str(DAY), 1, None)]
    moved = move(db, booked, NEXT, "10:00")
    assert charged() == [
        ("api_units", str(DAY), -1600, 1),
        ("api_units", str(NEXT), 1600, 1),
        ("final", str(DAY), -1, None),
        ("final", str(NEXT), 1, None),
    ]
    # The upload runs today, so its units move to today; the slot stays where it is.
    started = start(db, moved)
    assert charged() == [("api_units", str(TODAY), 1600, 1), ("api_units", str(NEXT), -1600, 1)]
    failed = fail(db, started)
    assert charged() == [("final", str(NEXT), -1, None)]
    retried = retry(db, failed, DAY, "12:00")
    assert charged() == [("api_units", str(DAY), 1600, 2), ("final", str(DAY), 1, None)]
    cancelled = on(db, "cancel_reservation", retried)
    assert charged() == [("api_units", str(DAY), -1600, 2), ("final", str(DAY), -1, None)]
    # Asking again changes nothing.
    assert on(db, "cancel_reservation", booked) == cancelled
    assert charged() == []
    assert used(db, TODAY) == {"api_units": 1600}
    assert (used(db, DAY), used(db, NEXT)) == ({}, {})
    assert_consistent(db)


def test_an_upload_on_its_own_day_moves_nothing_and_completing_keeps_all(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    run_clock(db, f"{DAY} 09:50Z")
    before = ledger(db, booked)
    started = start(db, booked)
    assert (started.attempt, started.version, started.lease_expires_at) == (1, 2, None)
    assert abs(started.upload_time - dt.datetime(2031, 3, 6, 9, 50, tzinfo=dt.UTC)) < ONE_DAY / 1440
    done = complete(db, started, p_youtube_video_id="yt")
    assert (done.upload_status, done.youtube_video_id, done.version) == ("completed", "yt", 3)
    assert ledger(db, booked) == before
    assert used(db, DAY) == FINAL
    assert_consistent(db)


def test_an_upload_that_does_not_fit_into_today_is_refused_and_stays(db: PgConnection) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    call(db, "override_day", p_limit="api_units", p_day=TODAY, p_max=1599)
    refused = refused_on(db, "start_upload", booked)
    assert refused.sqlstate == "SWLIM"
    assert refused.facts == {
        "limit": "api_units",
        "counted_at": "upload",
        "day": str(TODAY),
        "used": 0,
        "max": 1599,
        "units": 1600,
        "version": 1,
    }
    # On its own day its units are there already, whatever else is.
    run_clock(db, f"{DAY} 09:50Z")
    call(db, "override_day", p_limit="api_units", p_day=DAY, p_max=0)
    assert start(db, booked).upload_status == "uploading"
    assert_consistent(db)


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


@pytest.mark.parametrize("video_id", ["", "x" * 201])
def test_a_video_id_that_cannot_be(db: PgConnection, video_id: str) -> None:
    started = start(db, reserve(db, DAY, "final", "10:00"))
    outcome = refused_on(
        db,
        "complete_upload",
        started,
        p_token=started.lease_token,
        p_youtube_video_id=video_id,
    )
    assert (outcome.sqlstate, outcome.facts["parameter"]) == ("SWARG", "p_youtube_video_id")


@pytest.mark.parametrize("lease", ["0", "-1 minute", "367 days"])
def test_a_lease_that_cannot_be(db: PgConnection, lease: str) -> None:
    booked = reserve(db, DAY, "final", "10:00")
    for outcome in (
        refused_on(db, "start_upload", booked, p_lease=lease),
        refusal(db, "claim_due_uploads", p_lease=lease),
        refusal(db, "claim_due_uploads", p_lease=None),
    ):
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


def failed_one(connection: PgConnection) -> Any:
    return brought_to(connection, "failed")


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


@pytest.mark.parametrize("meanwhile", ["cancelled", "started", "moved within", "moved across"])
def test_a_reservation_that_changes_while_its_start_waits(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked, meanwhile: str
) -> None:
    be_patient(db, "start_upload")
    booked = reserve(db, DAY, "final", "20:00")
    first = session(connect, role=APP, autocommit=False)
    match meanwhile:
        case "cancelled":
            on(first, "cancel_reservation", booked)
        case "started":
            start(first, booked)
        case "moved within":
            move(first, booked, DAY, "21:00")
        case "moved across":
            move(first, booked, NEXT, "21:00")
    waiting = background(
        session(connect, role=APP), "start_upload", p_reservation_id=booked.reservation_id
    )
    wait_until_blocked(waiting.pid)
    first.commit()
    expected = {"cancelled": ("SWSTA",), "started": ("SWSTA", "40001"), "moved across": ("40001",)}
    assert waiting.outcome.sqlstate in expected.get(meanwhile, (None,))
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
