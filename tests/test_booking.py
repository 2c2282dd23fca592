"""What one booking and one cancellation do, and each reason for which they are refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Copies
from support import (
    APP,
    Connect,
    PgConnection,
    assert_consistent,
    attempt_call,
    call,
    coming_day,
    own_database,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    set_clock,
    snapshot,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db)


def test_three_arguments_are_enough(connect: Connect, day: dt.date) -> None:
    app = session(connect, role=APP)
    booked = query(app, "select * from slotwarden.reserve_slot(%s, 'final', '20:00')", day)[0]
    assert booked.channel_id == "default"
    assert booked.video_type == "final"
    assert booked.video_path is None
    assert booked.scheduled_publish_time == dt.datetime.combine(day, dt.time(20), dt.UTC)
    assert booked.upload_time == booked.scheduled_publish_time
    assert (booked.local_date, booked.time_zone) == (day, "UTC")
    assert (booked.upload_status, booked.attempt, booked.version) == ("scheduled", 1, 1)
    assert booked.created_by == APP
    watcher = session(connect)
    assert used(watcher, day) == {"final": 1, "api_units": 1600}
    entries = query(watcher, "select * from slotwarden.usage_ledger order by limit_id")
    assert [(e.limit_id, e.version, e.attempt, e.reason, e.by) for e in entries] == [
        ("api_units", 1, 1, "reserve", APP),
        ("final", 1, None, "reserve", APP),
    ]
    assert_consistent(watcher)


def test_calls_need_no_search_path(db: PgConnection, day: dt.date) -> None:
    query(db, "create schema decoy; create table decoy.reservation (); set search_path to decoy")
    query(db, "create temporary table reservation (); create temporary table channel ()")
    assert reserve(db, day, "final", "10:00").video_type == "final"
    assert_consistent(db)


def test_a_cancellation_frees_slot_limits_and_units_once(db: PgConnection, day: dt.date) -> None:
    booked = reserve(db, day, "final", "20:00", video="a.mp4")
    gone = call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)[0]
    assert (gone.upload_status, gone.version) == ("cancelled", 2)
    assert used(db, day) == {}
    after = snapshot(db)
    for expected_version in (None, 1, 2):
        again = call(
            db,
            "cancel_reservation",
            p_reservation_id=booked.reservation_id,
            p_expected_version=expected_version,
        )[0]
        assert again == gone
    assert snapshot(db) == after
    reserve(db, day, "short", "20:00", video="a.mp4")
    assert used(db, day) == {"short": 1, "api_units": 1600}
    assert_consistent(db)


def test_a_cancellation_gives_back_what_was_charged_not_what_rules_say_now(
    db: PgConnection, day: dt.date
) -> None:
    booked = reserve(db, day, "final", "20:00")
    call(db, "set_charge", kind="final", p_limit="api_units", p_units=100)
    call(db, "set_charge", kind="final", p_limit="final", p_units=0)
    call(db, "set_daily_limit", p_limit="api_units", p_time_zone="Asia/Tokyo")
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    assert used(db, day) == {}
    assert_consistent(db)


def test_a_stale_version_is_not_cancelled(db: PgConnection, day: dt.date) -> None:
    booked = reserve(db, day, "final", "20:00")
    query(db, "update slotwarden.reservation set video_path = 'b.mp4'")
    with raises_sqlstate("SWVER") as refused:
        call(
            db,
            "cancel_reservation",
            p_reservation_id=booked.reservation_id,
            p_expected_version=1,
        )
    assert refused.facts == {
        "reservation_id": booked.reservation_id,
        "version": 2,
        "expected_version": 1,
    }
    assert used(db, day) == {"final": 1, "api_units": 1600}


@pytest.mark.parametrize("status", ["uploading", "completed", "failed"])
def test_what_was_started_is_not_cancelled(db: PgConnection, day: dt.date, status: str) -> None:
    booked = reserve(db, day, "final", "20:00")
    query(db, "update slotwarden.reservation set upload_status = 'uploading'")
    query(db, "update slotwarden.reservation set upload_status = %s", status)
    before = snapshot(db)
    with raises_sqlstate("SWSTA") as refused:
        call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    assert refused.facts["status"] == status
    assert snapshot(db) == before


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    """One database for all that is refused, and so changes nothing."""
    with own_database(copies) as connection:
        yield connection


@pytest.mark.parametrize(
    ("wrong", "code", "parameter"),
    [
        ({"day": None}, "SWARG", "p_date"),
        ({"day": "infinity"}, "SWARG", "p_date"),
        ({"day": "-infinity"}, "SWARG", "p_date"),
        ({"day": "10000-01-01"}, "SWARG", "p_date"),
        ({"day": "0001-01-01 BC"}, "SWARG", "p_date"),
        ({"at": None}, "SWARG", "p_time"),
        ({"at": "24:00"}, "SWARG", "p_time"),
        ({"at": "10:00:01"}, "SWARG", "p_time"),
        ({"at": "10:00:00.5"}, "SWARG", "p_time"),
        ({"kind": None}, "SWARG", "p_type"),
        ({"channel": None}, "SWARG", "p_channel"),
        ({"video": ""}, "SWARG", "p_video"),
        ({"video": "é" * 1001}, "SWARG", "p_video"),
        ({"key": ""}, "SWARG", "p_request_key"),
        ({"key": "k" * 201}, "SWARG", "p_request_key"),
        ({"kind": "movie"}, "SWTYP", None),
        ({"kind": ""}, "SWTYP", None),
        ({"kind": "Final"}, "SWTYP", None),
        ({"channel": "nobody"}, "SWCHN", None),
        ({"channel": "nobody", "kind": "movie"}, "SWCHN", None),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    shared: PgConnection, wrong: dict[str, Any], code: str, parameter: str | None
) -> None:
    given = {"day": coming_day(shared), "kind": "final", "at": "10:00", **wrong}
    for function in ("reserve_slot", "try_reserve_slot"):
        with raises_sqlstate(code) as refused:
            call(shared, function, **given)
        if parameter:
            assert refused.facts == {"parameter": parameter}
    assert snapshot(shared) == [[], [], []]


@pytest.mark.parametrize(
    "instant",
    [None, "infinity", "-infinity", "2100-01-01 10:00:30Z", "10000-01-01Z", "0001-01-01Z BC"],
)
def test_an_instant_that_cannot_be_a_slot_is_a_mistake(shared: PgConnection, instant: str) -> None:
    with raises_sqlstate("SWARG") as refused:
        call(shared, "reserve_slot_at", instant=instant, kind="final")
    assert refused.facts == {"parameter": "p_publish_time"}


def test_of_several_reasons_the_first_is_told(db: PgConnection, day: dt.date) -> None:
    """SWPST, SWBLK, SWDUP, SWTKN, SWLIM, each uncovered by taking away the one before it."""
    holder = reserve(db, day, "final", "10:00", video="a.mp4")
    call(db, "override_day", p_limit="final", p_day=day, p_max=0)
    query(
        db,
        "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
        " values ('default', %s, %s, 'holidays')",
        day,
        day + dt.timedelta(days=1),
    )
    set_clock(db, f"{day} 10:00Z")
    found = []
    for step in (
        None,
        f"update slotwarden.stopped_clock set at = '{day} 09:00Z'",
        "delete from slotwarden.blackout",
        "update slotwarden.reservation set video_path = 'b.mp4'",
        "select slotwarden.cancel_reservation(reservation_id) from slotwarden.reservation",
    ):
        if step:
            query(db, step)
        refused = attempt_call(db, "reserve_slot", day=day, kind="final", at="10:00", video="a.mp4")
        found.append(refused)
    assert [each.sqlstate for each in found] == ["SWPST", "SWBLK", "SWDUP", "SWTKN", "SWLIM"]
    ten = f"{day}T10:00:00Z"
    assert [each.facts for each in found] == [
        {"publish_time": ten, "now": ten},
        {
            "channel": "default",
            "publish_time": ten,
            "from": f"{day}T00:00:00Z",
            "to": f"{day + dt.timedelta(days=1)}T00:00:00Z",
            "reason": "holidays",
        },
        {
            "channel": "default",
            "video": "a.mp4",
            "reservation_id": holder.reservation_id,
            "publish_time": ten,
        },
        {"channel": "default", "publish_time": ten, "reservation_id": holder.reservation_id},
        {
            "limit": "final",
            "counted_at": "publish",
            "day": str(day),
            "used": 0,
            "max": 0,
            "units": 1,
            "version": 3,
        },
    ]


@pytest.mark.parametrize("refused", ["SWTKN", "SWDUP", "SWLIM", "SWBLK"])
def test_a_tried_booking_that_is_refused_leaves_the_transaction_alive(
    connect: Connect, day: dt.date, refused: str
) -> None:
    db = session(connect, autocommit=False)
    reserve(db, day, "final", "09:00", video="a.mp4")
    given: dict[str, Any] = {"day": day, "kind": "final", "at": "11:00"}
    if refused == "SWTKN":
        given["at"] = "09:00"
    elif refused == "SWDUP":
        given["video"] = "a.mp4"
    elif refused == "SWLIM":
        reserve(db, day, "final", "10:00")
    else:
        query(
            db,
            "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
            " values ('default', '-infinity', 'infinity', 'for good')",
        )
    tried = call(db, "try_reserve_slot", **given)[0]
    assert (tried.outcome, tried.reservation) == (refused, None)
    assert attempt_call(db, "reserve_slot", **given).facts == tried.detail
    db.rollback()
    tried = call(db, "try_reserve_slot", **given)[0]
    db.commit()
    assert (tried.outcome, tried.detail) == ("reserved", None)
    assert scalar(db, "select count(*) from slotwarden.reservation") == 1
    assert_consistent(db)


def test_the_hint_names_the_next_free_slot(db: PgConnection, day: dt.date) -> None:
    for at in ("10:00", "14:00"):
        reserve(db, day, "final", at)
    refused = attempt_call(db, "reserve_slot", day=day, kind="final", at="11:00")
    tomorrow = day + dt.timedelta(days=1)
    assert refused.hint == f"The next free slot is {tomorrow} 10:00 UTC."
    taken = attempt_call(db, "reserve_slot", day=day, kind="short", at="10:00")
    assert taken.hint == f"The next free slot is {day} 18:00 UTC."
