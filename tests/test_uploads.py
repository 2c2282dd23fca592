"""The life of a reservation: its changes, what each charges, and whose token may end an upload."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from typing import Any

import pytest

from life import (
    DAY,
    FINAL,
    NEXT,
    ONE_DAY,
    TODAY,
    Entry,
    complete,
    fail,
    ledger,
    move,
    on,
    prepared,
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
    attempt,
    attempt_call,
    background,
    be_patient,
    call,
    reserve,
    session,
    snapshot,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


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


def test_what_a_table_owner_cannot_set(connect: Connect, db: PgConnection) -> None:
    call(db, "create_channel", channel="other")
    owner = session(connect, role=OWNER)
    booked = brought_to(owner, "scheduled")
    before = snapshot(owner)
    for change in (
        "attempt = attempt + 1",
        "attempt = 7",
        "channel_id = 'other'",
        "local_date = local_date + 1",
        "time_zone = 'Asia/Seoul'",
        "upload_time = upload_time + interval '1 hour'",
        "created_by = 'nobody'",
        "created_at = created_at - interval '1 hour'",
        "reservation_id = 4711",
    ):
        outcome = attempt(owner, f"update slotwarden.reservation set {change}")
        assert outcome.sqlstate == "SWSTA", change
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
