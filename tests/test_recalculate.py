"""Drift is seen and repaired, and bookings are charged anew when somebody asks for it.

Damage is done as a superuser who switches the triggers off: nobody else can.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from support import (
    APP,
    Background,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    call_sql,
    coming_day,
    insert_sql,
    query,
    raises_sqlstate,
    reserve,
    run_concurrently,
    scalar,
    session,
    snapshot,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db, 40)


def _damage(db: PgConnection, *statements: str) -> None:
    query(db, "set session_replication_role = replica")
    for statement in statements:
        query(db, statement)
    query(db, "set session_replication_role = origin")


def _recalculate(db: PgConnection, **named: Any) -> list[tuple[Any, ...]]:
    """Run recalculate_usage, dry first: what that says must be what is done, and change nothing."""
    span = {"p_from": "2000-01-01", "p_to": "2999-12-31", **named}
    before = snapshot(db)
    said = call(db, "recalculate_usage", p_dry_run=True, **span)
    assert snapshot(db) == before
    done = call(db, "recalculate_usage", **span)
    assert said == done
    return [
        (row.limit_id, row.action, row.units_before, row.units_after)
        for row in sorted(done, key=lambda row: (row.limit_id, row.day))
    ]


# Each damage to one booking at 20:00 and what repairs it.
BEHIND_THE_TRIGGERS = insert_sql(
    scheduled_publish_time="(current_date + 40) + time '21:00' at time zone 'UTC'",
    upload_time="(current_date + 40) + time '21:00' at time zone 'UTC'",
    local_date="current_date + 40",
    time_zone="'UTC'",
    held_units="1601",
)
CANCELLED_BEHIND_THE_TRIGGERS = (
    "update slotwarden.reservation set upload_status = 'cancelled', held_units = 0"
)
RELEASED = [("api_units", "release", 1600, 0), ("final", "release", 1, 0)]
CHARGED = [("api_units", "charge", 0, 1600), ("final", "charge", 0, 1)]
DAMAGES = {
    "a booking that was not charged": ([BEHIND_THE_TRIGGERS], CHARGED),
    "a cancellation that gave nothing back": (
        [CANCELLED_BEHIND_THE_TRIGGERS],
        RELEASED,
    ),
    "a failure that gave nothing back": (
        ["update slotwarden.reservation set upload_status = 'failed'"],
        RELEASED[1:],
    ),
    "a deleted booking": (
        ["delete from slotwarden.reservation"],
        [("api_units", "recount", 1600, 0), ("final", "recount", 1, 0)],
    ),
    "a move that was not charged": (
        [
            """
            update slotwarden.reservation set
              local_date = local_date + 10,
              scheduled_publish_time = scheduled_publish_time + interval '10 days',
              upload_time = upload_time + interval '10 days'
            """
        ],
        [RELEASED[0], CHARGED[0], RELEASED[1], CHARGED[1]],
    ),
    "a false balance": (
        ["update slotwarden.usage_ledger set used_units = 0 where limit_id = 'final'"],
        [("final", "recount", 0, 1)],
    ),
    "a maximum of which the ledger does not know": (
        ["update slotwarden.limit_day set max_units = 7 where limit_id = 'final'"],
        [("final", "recount", 1, 1)],
    ),
    "a lost lock": (
        ["delete from slotwarden.limit_day where limit_id = 'final'"],
        [("final", "recount", 1, 1)],
    ),
    "a lost ledger": (["delete from slotwarden.usage_ledger"], CHARGED),
    "a ledger that lost the entries of one limit": (
        ["delete from slotwarden.usage_ledger where limit_id = 'final'"],
        CHARGED[1:],
    ),
    "more given back than was taken": (
        [
            """
            insert into slotwarden.usage_ledger
            select limit_id, day, 2, reservation_id, attempt, -2, 0, max_units, 'cancel', at, by
            from slotwarden.usage_ledger where limit_id = 'final'
            """
        ],
        None,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_drift_is_seen_and_repaired(db: PgConnection, day: dt.date, damage: str) -> None:
    statements, repairs = DAMAGES[damage]
    reserve(db, day, "final", "20:00")
    _damage(db, *statements)
    assert query(db, "select * from slotwarden.usage_drift") != []
    done = _recalculate(db)
    if repairs is not None:
        assert done == repairs
    assert query(db, "select * from slotwarden.usage_drift") == []
    assert _recalculate(db) == []


def test_a_gap_in_the_ledger_is_seen_and_stays(db: PgConnection, day: dt.date) -> None:
    for at in ("20:00", "21:00"):
        reserve(db, day, "final", at)
    call(db, "override_day", p_limit="final", p_day=day, p_max=3)
    _damage(db, "delete from slotwarden.usage_ledger where units = 0")
    _damage(
        db,
        "update slotwarden.usage_ledger set version = 3 where limit_id = 'final' and version = 2",
    )
    seen = query(db, "select kind from slotwarden.usage_drift where kind = 'gap'")
    assert len(seen) == 1
    _recalculate(db)
    assert [row.kind for row in query(db, "select * from slotwarden.usage_drift")] == ["gap"]


def test_a_repair_never_passes_a_maximum(db: PgConnection, day: dt.date) -> None:
    for at in ("19:00", "20:00"):
        reserve(db, day, "final", at)
    _damage(db, BEHIND_THE_TRIGGERS)
    assert [row[1] for row in _recalculate(db)] == ["refused", "refused"]
    assert used(db, day) == {"final": 2, "api_units": 3200}
    assert {row.kind for row in query(db, "select * from slotwarden.usage_drift")} == {"held"}
    call(db, "set_daily_limit", p_limit="final", p_max=3)
    assert _recalculate(db) == CHARGED
    assert_consistent(db)


def test_nothing_is_done_outside_of_the_span(db: PgConnection, day: dt.date) -> None:
    reserve(db, day, "final", "20:00")
    _damage(db, CANCELLED_BEHIND_THE_TRIGGERS)
    assert _recalculate(db, p_to=day - dt.timedelta(days=1)) == []
    assert _recalculate(db, p_from=day + dt.timedelta(days=1)) == []
    assert _recalculate(db, p_from=day, p_to=day) == RELEASED


def test_bookings_keep_what_they_were_charged_until_somebody_asks(
    db: PgConnection, day: dt.date
) -> None:
    reserve(db, day, "final", "20:00")
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    call(db, "set_charge", kind="final", p_limit="short", p_units=1)
    assert _recalculate(db) == []
    assert used(db, day) == {"final": 1, "api_units": 1600}
    assert _recalculate(db, p_recharge=True) == [
        ("api_units", "release", 1600, 100),
        ("short", "charge", 0, 1),
    ]
    assert used(db, day) == {"final": 1, "short": 1, "api_units": 100}
    assert _recalculate(db, p_recharge=True) == []
    assert_consistent(db)


def test_charging_anew_follows_the_channels_new_zone(db: PgConnection, day: dt.date) -> None:
    booked = reserve(db, day, "final", "20:00")
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    assert _recalculate(db, p_recharge=True) == [
        ("final", "release", 1, 0),
        ("final", "charge", 0, 1),
    ]
    row = query(db, "select * from slotwarden.reservation")[0]
    assert row.scheduled_publish_time == booked.scheduled_publish_time
    assert (row.local_date, row.time_zone) == (day + dt.timedelta(days=1), "Asia/Seoul")
    assert_consistent(db)


def test_charging_anew_follows_the_channels_new_lead_within_a_day(
    db: PgConnection, day: dt.date
) -> None:
    booked = reserve(db, day, "final", "20:00")
    call(db, "set_channel", p_channel="default", p_upload_lead="2 hours")
    _recalculate(db, p_recharge=True)
    assert scalar(
        db, "select upload_time from slotwarden.reservation"
    ) == booked.scheduled_publish_time - dt.timedelta(hours=2)
    assert used(db, day) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_charging_anew_on_a_full_day_needs_no_more_room_than_there_was(
    db: PgConnection, day: dt.date
) -> None:
    for at in ("20:00", "21:00"):
        reserve(db, day, "final", at)
    # The same limit and day, in another way of counting.
    call(db, "set_daily_limit", p_limit="final", p_counted_at="upload")
    assert "refused" not in {row[1] for row in _recalculate(db, p_recharge=True)}
    assert used(db, day)["final"] == 2
    assert_consistent(db)


@pytest.mark.parametrize("status", ["uploading", "completed", "failed", "cancelled"])
def test_what_is_not_scheduled_is_never_charged_anew(
    db: PgConnection, day: dt.date, status: str
) -> None:
    query(db, insert_sql(upload_status=f"'{status}'"))
    before = used(db, day)
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    assert _recalculate(db, p_recharge=True) == []
    assert used(db, day) == before


@pytest.mark.parametrize(
    "span",
    [
        {"p_from": None, "p_to": "2100-01-01"},
        {"p_from": "2100-01-01", "p_to": None},
        {"p_from": "2100-01-02", "p_to": "2100-01-01"},
    ],
    ids=str,
)
def test_a_span_has_two_ends(db: PgConnection, span: dict[str, str]) -> None:
    with raises_sqlstate("SWARG"):
        call(db, "recalculate_usage", **span)


def test_bookings_and_cancellations_go_on_while_usage_is_recalculated(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    first = coming_day(db)
    be_patient(db, "reserve_slot", "cancel_reservation", "recalculate_usage")
    days = [first + dt.timedelta(days=offset) for offset in range(3)]
    booked = [reserve(db, day, "final", "20:00") for day in days]
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.limit_day for update")
    span = {"p_from": first, "p_to": days[-1], "p_recharge": True}
    statements = [
        *(call_sql("recalculate_usage", **span) for _ in range(2)),
        *(call_sql("reserve_slot", day=day, kind="final", at="21:00") for day in days),
        *(
            call_sql("cancel_reservation", p_reservation_id=each.reservation_id)
            for each in booked[1:]
        ),
    ]
    outcomes = run_concurrently(
        [
            (session(connect, role=APP if "recalc" not in sql else None), sql, parameters)
            for sql, parameters in statements
        ],
        wait_until_blocked,
        gate.rollback,
    )
    # A booking that was changed while it was waited for is a conflict, and may be tried again.
    assert {outcome.sqlstate for outcome in outcomes} <= {None, "40001"}
    assert_consistent(db)
    _recalculate(db, p_recharge=True)
    assert used(db, days[0]) == {"final": 2, "api_units": 200}


def test_a_limit_that_is_counted_otherwise_gives_back_and_takes_on_one_day(
    db: PgConnection, day: dt.date
) -> None:
    number = reserve(db, day, "final", "10:00").reservation_id
    call(db, "set_daily_limit", p_limit="final", p_counted_at="upload", p_time_zone="UTC")

    call(
        db,
        "reschedule_reservation",
        p_reservation_id=number,
        p_date=day,
        p_time=dt.time(11),
    )

    entries = query(
        db,
        "select version, units, used_units, attempt from slotwarden.usage_ledger"
        " where limit_id = 'final' and day = %s order by version",
        day,
    )
    assert entries == [(1, 1, 1, None), (2, -1, 0, None), (3, 1, 1, 1)]
    assert_consistent(db)


def _charging_anew(connect: Connect) -> Background:
    return background(
        session(connect),
        "recalculate_usage",
        p_from="2000-01-01",
        p_to="2999-01-01",
        p_recharge=True,
    )


def test_what_is_deleted_while_its_day_is_waited_for_is_no_change(
    connect: Connect, db: PgConnection, day: dt.date, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "recalculate_usage")
    booked = reserve(db, day, "final", "10:00")
    deleting = session(connect, autocommit=False)
    query(
        deleting,
        "delete from slotwarden.reservation where reservation_id = %s",
        booked.reservation_id,
    )
    waiting = _charging_anew(connect)
    wait_until_blocked(waiting.pid)
    deleting.commit()
    assert list(waiting.outcome.rows) == []
    assert_consistent(db)


def test_what_is_completed_while_its_day_is_waited_for_is_not_charged_anew(
    connect: Connect, db: PgConnection, day: dt.date, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "recalculate_usage")
    reserve(db, day, "final", "10:00", video="a.mp4")
    call(db, "set_charge", kind="final", p_limit="final", p_units=2)
    uploader = session(connect, autocommit=False)
    call(uploader, "record_upload", p_video="a.mp4")
    waiting = _charging_anew(connect)
    wait_until_blocked(waiting.pid)
    uploader.commit()
    assert list(waiting.outcome.rows) == []
    assert used(db, day)["final"] == 1
    assert_consistent(db)
