"""A call repeated under its key books nothing twice, however its first try ended or still runs."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from support import (
    APP,
    Connect,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    call_sql,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    run_concurrently,
    scalar,
    session,
    set_clock,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db)


def test_a_repeated_call_returns_its_reservation(db: PgConnection, day: dt.date) -> None:
    first = reserve(db, day, "final", "10:00", video="a.mp4", key="k")
    assert reserve(db, day, "final", "10:00", video="a.mp4", key="k") == first
    tried = call(db, "try_reserve_slot", day=day, kind="final", at="10:00", video="a.mp4", key="k")[
        0
    ]
    assert tried.outcome == "reserved"
    assert scalar(db, "select count(*) from slotwarden.reservation") == 1
    assert_consistent(db)


def test_a_repeated_call_for_an_instant_returns_its_reservation(
    db: PgConnection, day: dt.date
) -> None:
    first = call(db, "reserve_slot_at", instant=f"{day} 10:00Z", kind="final", key="k")
    # The same instant, in another notation and from a session with another zone.
    query(db, "set timezone = 'Asia/Tokyo'")
    again = call(db, "reserve_slot_at", instant=f"{day} 12:00+02", kind="final", key="k")
    assert again == first
    assert_consistent(db)


@pytest.mark.parametrize(
    "other",
    [
        {"at": "10:01"},
        {"kind": "short"},
        {"video": "a.mp4"},
        {"channel": "other"},
        {"day": dt.date(2100, 1, 1)},
    ],
    ids=str,
)
def test_a_key_with_other_arguments_is_refused(
    db: PgConnection, day: dt.date, other: dict[str, object]
) -> None:
    call(db, "create_channel", p_channel="other")
    given = {"day": day, "kind": "final", "at": "10:00", "key": "k"}
    call(db, "reserve_slot", **given)
    with raises_sqlstate("SWKEY") as refused:
        call(db, "reserve_slot", **{**given, **other})
    assert refused.facts == {"request_key": "k", "function": "reserve_slot"}
    assert scalar(db, "select count(*) from slotwarden.reservation") == 1
    assert_consistent(db)


def test_a_key_of_another_function_is_refused(db: PgConnection, day: dt.date) -> None:
    reserve(db, day, "final", "10:00", key="k")
    with raises_sqlstate("SWKEY"):
        call(db, "reserve_slot_at", instant=f"{day} 10:00Z", kind="final", key="k")


def test_a_refusal_is_not_remembered(db: PgConnection, day: dt.date) -> None:
    held = reserve(db, day, "short", "10:00")
    with raises_sqlstate("SWTKN"):
        reserve(db, day, "final", "10:00", key="k")
    tried = call(db, "try_reserve_slot", day=day, kind="final", at="10:00", key="k")[0]
    assert tried.outcome == "SWTKN"
    assert scalar(db, "select count(*) from slotwarden.request") == 0
    call(db, "cancel_reservation", p_reservation_id=held.reservation_id)
    booked = reserve(db, day, "final", "10:00", key="k")
    assert reserve(db, day, "final", "10:00", key="k") == booked


def test_a_repeated_call_returns_what_became_of_its_reservation(
    db: PgConnection, day: dt.date
) -> None:
    booked = reserve(db, day, "final", "10:00", key="k")
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    again = reserve(db, day, "final", "10:00", key="k")
    assert (again.reservation_id, again.upload_status) == (booked.reservation_id, "cancelled")
    assert used(db, day) == {}


@pytest.mark.parametrize("against", ["SWPST", "SWBLK", "SWTKN", "SWLIM", "SWDUP"])
def test_a_repeated_call_wins_against_every_refusal(
    db: PgConnection, day: dt.date, against: str
) -> None:
    booked = reserve(db, day, "final", "10:00", video="a.mp4", key="k")
    if against == "SWPST":
        set_clock(db, f"{day} 10:00Z")
    elif against == "SWBLK":
        query(
            db,
            "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
            " values ('default', '-infinity', 'infinity', 'for good')",
        )
    elif against == "SWLIM":
        call(db, "override_day", p_limit="final", p_day=day, p_max=0)
    refused = {"video": "b.mp4"} if against == "SWTKN" else {"video": "a.mp4"}
    with raises_sqlstate("SWDUP" if against == "SWLIM" else against):
        reserve(db, day, "final", "11:00" if against == "SWDUP" else "10:00", **refused)
    assert reserve(db, day, "final", "10:00", video="a.mp4", key="k") == booked


@pytest.mark.parametrize("limit", ["shared", "filled by the first call", "none"])
@pytest.mark.parametrize("first_ends", ["commit", "rollback"])
def test_retries_while_the_first_call_still_runs(
    connect: Connect, wait_until_blocked: WaitUntilBlocked, limit: str, first_ends: str
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "reserve_slot")
    call(db, "add_video_type", kind="free")
    call(db, "set_daily_limit", p_limit="final", p_max=2 if limit == "shared" else 1)
    first = session(connect, role=APP, autocommit=False)
    kind = "free" if limit == "none" else "final"
    given = {"day": day, "kind": kind, "at": "10:00", "video": "a.mp4", "key": "k"}
    booked = call(first, "reserve_slot", **given)[0]
    retries = [(session(connect, role=APP), *call_sql("reserve_slot", **given)) for _ in range(3)]
    let_go = first.commit if first_ends == "commit" else first.rollback
    outcomes = run_concurrently(retries, wait_until_blocked, let_go)
    ids = {outcome.row.reservation_id for outcome in outcomes}
    assert len(ids) == 1
    assert (ids == {booked.reservation_id}) == (first_ends == "commit")
    assert scalar(db, "select count(*) from slotwarden.reservation") == 1
    assert_consistent(db)


def test_other_arguments_under_a_key_whose_call_still_runs_are_refused(
    db: PgConnection, day: dt.date, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slot")
    first = session(connect, autocommit=False)
    reserve(first, day, "final", "10:00", key="k")
    second = background(
        session(connect, role=APP),
        "reserve_slot",
        day=day + dt.timedelta(days=2),
        kind="final",
        at="10:00",
        key="k",
    )
    wait_until_blocked(second.pid)
    first.commit()
    assert second.outcome.sqlstate == "SWKEY"
    assert used(db, day + dt.timedelta(days=2)) == {}
    assert_consistent(db)


def test_a_lost_slot_leaves_no_key_behind(
    db: PgConnection, day: dt.date, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "try_reserve_slot")
    for kind in ("free", "other"):
        call(db, "add_video_type", kind=kind)
    first = session(connect, autocommit=False)
    reserve(first, day, "other", "10:00")
    second = background(
        session(connect, role=APP), "try_reserve_slot", day=day, kind="free", at="10:00", key="k"
    )
    wait_until_blocked(second.pid)
    first.commit()
    assert second.outcome.row.outcome == "SWTKN"
    assert scalar(db, "select count(*) from slotwarden.request") == 0
    assert reserve(db, day, "free", "11:00", key="k").video_type == "free"


def test_keys_name_their_call(db: PgConnection, day: dt.date) -> None:
    booked = reserve(db, day, "final", "10:00", video="a.mp4", key="ключ 🎬")
    row = query(db, "select * from slotwarden.request")[0]
    assert (row.request_key, row.function) == ("ключ 🎬", "reserve_slot")
    assert row.reservation_id == booked.reservation_id
    # Readable, and the same whatever the session's settings.
    assert json.loads(json.dumps(row.arguments)) == {
        "date": str(day),
        "type": "final",
        "time": "10:00",
        "video": "a.mp4",
        "channel": "default",
    }


def test_a_channel_that_gets_another_zone_while_a_key_is_waited_for_is_a_conflict(
    connect: Connect, db: PgConnection, day: dt.date, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slot")
    days = [day + dt.timedelta(days=offset) for offset in range(2)]
    for each in days:
        reserve(db, each, "final", "20:00")
    first = session(connect, autocommit=False)
    reserve(first, days[0], "final", "14:00", key="k")
    waiting = background(
        session(connect), "reserve_slot", day=days[1], kind="final", at="14:00", key="k"
    )
    wait_until_blocked(waiting.pid)
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    first.rollback()
    assert waiting.outcome.sqlstate == "40001"
    assert_consistent(db)
