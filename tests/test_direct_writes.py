"""The owner of the tables writes into them: charged as the functions charge, or refused.

Everything here runs as the owner, who is no superuser and has every right on the tables. After each
statement the audit holds, whether the statement was let through or not.
"""

from __future__ import annotations

import datetime as dt

import pytest

from support import (
    OWNER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    snapshot,
    used,
)

STATUSES = ("scheduled", "uploading", "completed", "failed", "cancelled")
LEGAL = {
    ("scheduled", "uploading"),
    ("scheduled", "cancelled"),
    ("uploading", "completed"),
    ("uploading", "failed"),
    *((status, status) for status in STATUSES),
}
# What a reservation of each status holds of its posting limit, and of the API units.
HOLDS = {
    "scheduled": (1, 1600),
    "uploading": (1, 1600),
    "completed": (1, 1600),
    "failed": (0, 1600),
    "cancelled": (0, 0),
}


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect, role=OWNER)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db)


def _insert(
    db: PgConnection, day: dt.date, status: str = "scheduled", at: str = "20:00", attempt: int = 1
) -> int:
    inserted: int = scalar(
        db,
        "insert into slotwarden.reservation"
        " (channel_id, video_type, scheduled_publish_time, upload_status, attempt)"
        " values ('default', 'final', %s, %s, %s) returning reservation_id",
        f"{day} {at}Z",
        status,
        attempt,
    )
    return inserted


def _held(db: PgConnection) -> tuple[int, int]:
    units = dict(
        query(db, "select limit_id, sum(units) from slotwarden.usage_ledger group by limit_id")
    )
    return units.get("final", 0), units.get("api_units", 0)


@pytest.mark.parametrize("status", STATUSES)
def test_an_insert_charges_what_its_status_holds(
    db: PgConnection, day: dt.date, status: str
) -> None:
    _insert(db, day, status)
    assert _held(db) == HOLDS[status]
    assert_consistent(db)


@pytest.mark.parametrize("old", STATUSES)
def test_a_change_of_status_is_charged_or_refused(db: PgConnection, day: dt.date, old: str) -> None:
    _insert(db, day, old)
    for new in STATUSES:
        query(db, "begin")
        outcome = attempt(db, "update slotwarden.reservation set upload_status = %s", new)
        if (old, new) in LEGAL:
            assert outcome.sqlstate is None, (old, new, outcome)
            assert _held(db) == HOLDS[new]
            assert_consistent(db)
        else:
            assert outcome.sqlstate == "SWSTA", (old, new, outcome)
            assert outcome.facts["status"] == old
        query(db, "rollback")
    assert _held(db) == HOLDS[old]
    assert_consistent(db)


@pytest.mark.parametrize(
    ("old", "change", "held"),
    [
        pytest.param("uploading", ("uploading", 1), (1, 3200), id="claimed again"),
        pytest.param("failed", ("scheduled", 1), (1, 3200), id="retried"),
        pytest.param("failed", ("scheduled", 0), None, id="retried without a new attempt"),
        pytest.param("failed", ("scheduled", 2), None, id="retried, an attempt left out"),
        pytest.param("uploading", ("uploading", 2), None, id="claimed, an attempt left out"),
        pytest.param("uploading", ("uploading", -1), None, id="claimed, an attempt back"),
        pytest.param("scheduled", ("scheduled", 1), None, id="a new attempt without an upload"),
        pytest.param("scheduled", ("uploading", 1), None, id="started as a second attempt"),
        pytest.param("completed", ("completed", 1), None, id="completed again"),
        pytest.param("cancelled", ("scheduled", 1), None, id="cancelled, and retried"),
        pytest.param("completed", ("scheduled", 1), None, id="completed, and retried"),
    ],
)
def test_a_new_attempt_is_charged_or_refused(
    db: PgConnection,
    day: dt.date,
    old: str,
    change: tuple[str, int],
    held: tuple[int, int] | None,
) -> None:
    _insert(db, day, old)
    outcome = attempt(
        db,
        "update slotwarden.reservation set upload_status = %s, attempt = attempt + %s",
        *change,
    )
    assert outcome.sqlstate == (None if held else "SWSTA"), outcome
    assert _held(db) == (held or HOLDS[old])
    assert_consistent(db)


def test_units_of_an_earlier_attempt_stay_spent(db: PgConnection, day: dt.date) -> None:
    for status, step in (
        ("scheduled", 0),
        ("uploading", 0),
        ("uploading", 1),
        ("failed", 0),
        ("scheduled", 1),
        ("cancelled", 0),
    ):
        if status == "scheduled" and step == 0:
            _insert(db, day)
        else:
            query(
                db,
                "update slotwarden.reservation set upload_status = %s, attempt = attempt + %s",
                status,
                step,
            )
        assert_consistent(db)
    assert _held(db) == (0, 3200)


def test_a_start_moves_upload_units_to_the_day_of_the_start(db: PgConnection, day: dt.date) -> None:
    _insert(db, day)
    assert used(db, day) == {"final": 1, "api_units": 1600}
    query(db, "update slotwarden.reservation set upload_status = 'uploading'")
    today = scalar(db, "select (clock_timestamp() at time zone 'America/Los_Angeles')::date")
    assert used(db, day) == {"final": 1}
    assert used(db, today) == {"api_units": 1600}
    assert_consistent(db)


def test_a_start_on_a_day_without_units_is_refused_and_stays_scheduled(
    db: PgConnection, day: dt.date
) -> None:
    booked = _insert(db, day)
    today = scalar(db, "select (clock_timestamp() at time zone 'America/Los_Angeles')::date")
    call(db, "override_day", p_limit="api_units", p_day=today, p_max=1599)
    with raises_sqlstate("23514", "usage_ledger_within_maximum"):
        query(db, "update slotwarden.reservation set upload_status = 'uploading'")
    assert used(db, day) == {"final": 1, "api_units": 1600}
    assert (
        scalar(
            db,
            "select upload_status from slotwarden.reservation where reservation_id = %s",
            booked,
        )
        == "scheduled"
    )
    assert_consistent(db)


@pytest.mark.parametrize("days", [0, 2])
def test_a_move_gives_back_and_takes_as_one_change(
    db: PgConnection, day: dt.date, days: int
) -> None:
    moved_to = day + dt.timedelta(days=days)
    for at in ("18:00", "20:00"):
        _insert(db, day, at=at)
    query(
        db,
        "update slotwarden.reservation set scheduled_publish_time = %s"
        " where scheduled_publish_time = %s",
        f"{moved_to} 19:00Z",
        f"{day} 20:00Z",
    )
    if days == 0:
        # The day is full: a move within it passes all the same, and writes no entry.
        assert used(db, day) == {"final": 2, "api_units": 3200}
        assert scalar(db, "select count(*) from slotwarden.usage_ledger") == 4
    else:
        assert used(db, day) == used(db, moved_to) == {"final": 1, "api_units": 1600}
    assert scalar(db, "select max(local_date) from slotwarden.reservation") == moved_to
    assert_consistent(db)


def test_a_change_of_type_moves_the_posting_limit_only(db: PgConnection, day: dt.date) -> None:
    _insert(db, day)
    query(db, "update slotwarden.reservation set video_type = 'short'")
    assert used(db, day) == {"short": 1, "api_units": 1600}
    assert_consistent(db)


def test_a_move_to_a_full_day_is_refused(db: PgConnection, day: dt.date) -> None:
    for at in ("10:00", "11:00"):
        _insert(db, day, at=at)
    _insert(db, day + dt.timedelta(days=1), at="12:00")
    before = snapshot(db)
    with raises_sqlstate("23514", "usage_ledger_within_maximum"):
        query(
            db,
            "update slotwarden.reservation set scheduled_publish_time = %s where local_date > %s",
            f"{day} 12:00Z",
            day,
        )
    assert snapshot(db) == before
    assert_consistent(db)


@pytest.mark.parametrize("status", ["uploading", "completed", "failed", "cancelled"])
@pytest.mark.parametrize("column", ["scheduled_publish_time", "video_type"])
def test_what_is_not_scheduled_is_not_moved(
    db: PgConnection, day: dt.date, status: str, column: str
) -> None:
    _insert(db, day, status)
    moved = {"video_type": "'short'"}.get(column, f"{column} + interval '1 hour'")
    with raises_sqlstate("SWSTA"):
        query(db, f"update slotwarden.reservation set {column} = {moved}")
    assert_consistent(db)


@pytest.mark.parametrize("status", STATUSES)
def test_a_delete_gives_back_unless_the_upload_was_started(
    db: PgConnection, day: dt.date, status: str
) -> None:
    _insert(db, day, status)
    outcome = attempt(db, "delete from slotwarden.reservation")
    if status in ("scheduled", "cancelled"):
        assert outcome.sqlstate is None
        assert _held(db) == (0, 0)
    else:
        assert outcome.sqlstate == "SWSTA"
        assert _held(db) == HOLDS[status]
    assert_consistent(db)


def test_a_retried_reservation_is_not_deleted_with_its_spent_units(
    db: PgConnection, day: dt.date
) -> None:
    _insert(db, day)
    for change in ("'uploading'", "'failed'", "'scheduled', attempt = 2"):
        query(db, f"update slotwarden.reservation set upload_status = {change}")
    with raises_sqlstate("SWSTA"):
        query(db, "delete from slotwarden.reservation")
    assert_consistent(db)


def test_a_key_outlives_its_deleted_reservation(db: PgConnection, day: dt.date) -> None:
    reserve(db, day, "final", "10:00", key="k")
    query(db, "delete from slotwarden.reservation")
    with raises_sqlstate("SWNFD"):
        reserve(db, day, "final", "10:00", key="k")
    assert_consistent(db)
