"""Batches: one round trip, all days locked in order, all or nothing or item by item."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from life import DAY, NEXT, ONE_DAY, PLENTY, prepared, refusal, slot
from slotwarden import BookingWish, Scheduler
from support import (
    APP,
    Connect,
    Outcome,
    PgConnection,
    WaitUntilBlocked,
    assert_consistent,
    attempt_call,
    background,
    be_patient,
    call,
    query,
    reserve,
    scalar,
    session,
    snapshot,
    used,
)
from wrapper_relay import Relay


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return prepared(connect)


def wish(day: dt.date = DAY, time: str = "10:00", kind: str = "final", **more: Any) -> Any:
    return {"date": str(day), "time": time, "type": kind, **more}


def batch(connection: PgConnection, *requests: Any, whole: bool | None = True) -> list[Any]:
    return call(
        connection, "reserve_slots", p_requests=json.dumps(requests), p_all_or_nothing=whole
    )


def refused_batch(connection: PgConnection, *requests: Any) -> Outcome:
    outcome: Outcome = refusal(connection, "reserve_slots", p_requests=json.dumps(requests))
    assert outcome.sqlstate is not None
    return outcome


def test_a_result_for_each_item_in_the_order_given(connect: Connect, db: PgConnection) -> None:
    rows = batch(
        session(connect, role=APP),
        wish(NEXT, "11:00:00", video="b", request_key="k"),
        {"publish_time": f"{DAY}T10:00+09:00", "type": "short", "channel": "default"},
        wish(DAY, "20:00", video=None, channel=None),
    )
    assert [(row.item, row.outcome, row.message, row.detail) for row in rows] == [
        (item, "reserved", None, None) for item in (1, 2, 3)
    ]
    booked = query(db, "select * from slotwarden.reservation order by reservation_id")
    assert [slot(row) for row in booked] == [
        # Decided in order of time, whatever the order given.
        f"{DAY} 01:00",
        f"{DAY} 20:00",
        f"{NEXT} 11:00",
    ]
    assert booked[2].video_path == "b"
    assert_consistent(db)


def test_all_or_nothing(db: PgConnection) -> None:
    rival = reserve(db, NEXT, "final", "10:00")
    refused = refused_batch(db, wish(DAY), wish(DAY, "11:00", request_key="k"), wish(NEXT))
    assert refused.sqlstate == "SWTKN"
    assert refused.message.startswith("item 3: ")
    assert refused.facts["item"] == 3
    assert refused.facts["reservation_id"] == rival.reservation_id
    assert refused.hint is not None
    assert refused.hint.startswith("The next free slot is ")
    # The key stands for nothing.
    assert len(batch(db, wish(DAY, "12:00", request_key="k"))) == 1


def test_the_last_places_of_a_day_go_to_the_earliest(db: PgConnection) -> None:
    rows = batch(db, *(wish(DAY, at) for at in ("22:00", "20:00", "23:00", "21:00")), whole=False)
    assert [row.outcome for row in rows] == ["SWLIM", "reserved", "SWLIM", "reserved"]
    assert rows[0].detail["limit"] == "final"
    assert "final" in rows[0].message
    assert used(db, DAY) == {"final": 2, "api_units": 3200}
    assert_consistent(db)


REFUSED: dict[str, tuple[str, Any]] = {
    "a type": ("SWTYP", wish(kind="teaser")),
    "no type": ("SWARG", {"date": str(DAY), "time": "10:00"}),
    "a channel": ("SWCHN", wish(channel="nobody")),
    "a gap": ("SWGAP", wish(dt.date(2031, 3, 9), "02:30", channel="york")),
    "the past": ("SWPST", wish(DAY - ONE_DAY)),
    "a blackout": ("SWBLK", wish(DAY, "03:00")),
    "a video twice": ("SWDUP", wish(DAY, "11:00", video="v")),
    "a slot twice": ("SWTKN", wish(DAY, "23:00", kind="short")),
    "a key": ("SWKEY", wish(DAY, "11:00", request_key="used")),
    "a limit": ("SWLIM", wish(NEXT, "12:00")),
    "no object": ("SWARG", "10:00"),
    "null": ("SWARG", None),
    "an unknown field": ("SWARG", wish(videos="v")),
    "a number": ("SWARG", wish(video=7)),
    "an empty video": ("SWARG", wish(video="")),
    "an empty key": ("SWARG", wish(request_key="")),
    "a date alone": ("SWARG", {"date": str(DAY), "type": "final"}),
    "a time alone": ("SWARG", {"time": "10:00", "type": "final"}),
    "two times": ("SWARG", wish(publish_time=f"{DAY}T10:00Z")),
    "an offset in a time": ("SWARG", wish(time="10:00+09")),
    "an offset of zero": ("SWARG", wish(time="10:00Z")),
    "a zone in a time": ("SWARG", wish(time="10:00 Asia/Seoul")),
    "seconds": ("SWARG", wish(time="10:00:30")),
    "fractions": ("SWARG", wish(time="10:00:00.5")),
    "24:00": ("SWARG", wish(time="24:00")),
    "an hour of one digit": ("SWARG", wish(time="9:00")),
    "noon": ("SWARG", wish(time="12:00 pm")),
    "today": ("SWARG", {"date": "today", "time": "10:00", "type": "final"}),
    "a day of a month": ("SWARG", {"date": "06.03.2031", "time": "10:00", "type": "final"}),
    "February 30": ("SWARG", {"date": "2031-02-30", "time": "10:00", "type": "final"}),
    "the year 10000": ("SWARG", {"date": "10000-01-01", "time": "10:00", "type": "final"}),
    "the year 0": ("SWARG", {"date": "0000-01-01", "time": "10:00", "type": "final"}),
    "the last day": ("SWARG", {"date": "9999-12-31", "time": "10:00", "type": "final"}),
    "no offset": ("SWARG", {"publish_time": f"{DAY}T10:00", "type": "final"}),
    "a zone": ("SWARG", {"publish_time": f"{DAY}T10:00 Asia/Seoul", "type": "final"}),
    "infinity": ("SWARG", {"publish_time": "infinity", "type": "final"}),
    "an hour 25": ("SWARG", {"publish_time": f"{DAY}T25:00Z", "type": "final"}),
    "an offset of 99": ("SWARG", {"publish_time": f"{DAY}T10:00+99:00", "type": "final"}),
    "an instant at 24:00": ("SWARG", {"publish_time": f"{DAY}T24:00Z", "type": "final"}),
    "a leap second": ("SWARG", {"publish_time": f"{DAY}T10:00:60Z", "type": "final"}),
    "an instant with seconds": ("SWARG", {"publish_time": f"{DAY}T10:00:30Z", "type": "final"}),
}


def test_everything_that_can_speak_against_an_item(db: PgConnection) -> None:
    call(db, "create_channel", channel="york", p_time_zone="America/New_York")
    for at in ("10:00", "11:00"):
        reserve(db, NEXT, "final", at)
    reserve(db, DAY + 2 * ONE_DAY, "final", "10:00", key="used")
    call(db, "add_blackout", p_from=f"{DAY} 03:00Z", p_to=f"{DAY} 03:01Z", p_reason="a minute")
    first = wish(DAY, "09:00", video="v")
    second = wish(DAY, "23:00")
    for sqlstate, item in REFUSED.values():
        refused = refused_batch(db, first, item, second)
        # The slot that is asked for twice goes to the first who asks.
        place = 3 if item == REFUSED["a slot twice"][1] else 2
        assert (refused.sqlstate, refused.facts["item"]) == (sqlstate, place), item
    rows = batch(db, first, second, *(item for _, item in REFUSED.values()), whole=False)
    assert [row.outcome for row in rows] == ["reserved"] * 2 + [
        sqlstate for sqlstate, _ in REFUSED.values()
    ]
    assert all(row.message and row.detail is not None for row in rows[2:])
    assert used(db, DAY) == {"final": 2, "api_units": 3200}
    assert_consistent(db)


def test_what_is_no_batch(db: PgConnection) -> None:
    for requests in (None, "{}", '"text"', "7", "null", json.dumps([wish()] * 1001)):
        for whole in (True, False):
            outcome = attempt_call(db, "reserve_slots", p_requests=requests, p_all_or_nothing=whole)
            assert (outcome.sqlstate, outcome.facts) == ("SWARG", {"parameter": "p_requests"})


def test_a_batch_of_nothing(db: PgConnection) -> None:
    assert batch(db) == []
    assert batch(db, wish(), whole=None)[0].outcome == "reserved"


def test_the_sessions_zone_and_style_change_nothing(connect: Connect, db: PgConnection) -> None:
    odd = session(
        connect, role=APP, settings={"TimeZone": "Asia/Kathmandu", "DateStyle": "SQL\\,DMY"}
    )
    batch(
        odd,
        wish(dt.date(2031, 4, 5), "10:00"),
        {"publish_time": f"{DAY} 10:00-05", "type": "short"},
    )
    assert [slot(row) for row in query(db, "select * from slotwarden.reservation order by 5")] == [
        f"{DAY} 15:00",
        "2031-04-05 10:00",
    ]


def test_a_batch_that_is_repeated_books_nothing_twice(db: PgConnection) -> None:
    items = [wish(DAY, at, request_key=at, video=at) for at in ("10:00", "11:00")]
    first = batch(db, *items)
    before = snapshot(db)
    assert batch(db, *items) == first
    assert batch(db, *items, whole=False) == first
    assert snapshot(db) == before
    # Half of it done before, the other half not.
    half = batch(db, items[0], wish(NEXT, request_key="new"))
    assert half[0].reservation == first[0].reservation
    # The same key twice in one batch.
    twice = batch(db, *[wish(NEXT, "11:00", request_key="twice")] * 2)
    assert twice[0].reservation == twice[1].reservation
    other = batch(db, wish(NEXT, "12:00", request_key="twice"), whole=False)
    assert other[0].outcome == "SWKEY"
    assert_consistent(db)


def test_items_that_mean_the_same_are_the_same_call(db: PgConnection) -> None:
    first = batch(db, wish(DAY, "10:00", request_key="k"))
    assert batch(db, wish(DAY, "10:00:00", request_key="k", video=None, channel="default")) == first
    at = batch(db, {"publish_time": f"{NEXT}T10:00Z", "type": "final", "request_key": "at"})
    same = {"publish_time": f"{NEXT} 19:00:00+09", "type": "final", "request_key": "at"}
    assert batch(db, same) == at


def test_a_creators_month_in_one_round_trip(db: PgConnection, database_url: str) -> None:
    for limit in ("short", "api_units"):
        call(db, "set_daily_limit", p_limit=limit, p_max=PLENTY)
    wishes = [
        BookingWish("short", date=DAY + number // 5 * ONE_DAY, time=dt.time(10 + number % 5))
        for number in range(50)
    ]
    with Relay(database_url) as relay, Scheduler(relay.url) as scheduler:
        scheduler.calendar()
        relay.messages.clear()
        results = scheduler.reserve_slots(wishes)
        assert len(relay.messages) == 1
    assert [result.item for result in results] == list(range(1, 51))
    assert all(result.reserved for result in results)
    assert scalar(db, "select count(*) from slotwarden.reservation") == 50
    assert_consistent(db)


def test_the_callers_transaction_goes_on(connect: Connect, db: PgConnection) -> None:
    app = session(connect, role=APP, autocommit=False)
    reserve(app, DAY, "short", "09:00")
    assert [row.outcome for row in batch(app, wish(DAY, "09:00"), wish(), whole=False)] == [
        "SWTKN",
        "reserved",
    ]
    app.commit()
    assert used(db, DAY) == {"final": 1, "short": 1, "api_units": 3200}


def test_two_batches_with_their_days_in_opposite_order(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slots")
    days = [DAY + number * ONE_DAY for number in range(5)]
    batch(db, *(wish(day, "20:00") for day in days))
    gate = session(connect, autocommit=False)
    query(gate, "select from slotwarden.limit_day where day = %s for update", DAY)
    waiting = []
    for ordered, at in ((days, "21:00"), (days[::-1], "22:00")):
        each = background(
            session(connect, role=APP),
            "reserve_slots",
            p_requests=json.dumps([wish(day, at) for day in ordered]),
            p_all_or_nothing=False,
        )
        wait_until_blocked(each.pid)
        waiting.append(each)
    free = query(
        db,
        "select day from slotwarden.limit_day where day > %s for update skip locked",
        DAY,
    )
    assert len(free) == 8
    gate.rollback()
    outcomes = [row.outcome for each in waiting for row in each.outcome.rows]
    # One place of each day is left, for whichever batch comes first.
    assert outcomes in (["reserved"] * 5 + ["SWLIM"] * 5, ["SWLIM"] * 5 + ["reserved"] * 5)
    assert all(used(db, day)["final"] == 2 for day in days)
    assert_consistent(db)


def test_a_batch_waits_for_a_booking_of_one_of_its_days_and_is_then_refused_whole(
    connect: Connect, db: PgConnection, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(db, "reserve_slots")
    reserve(db, NEXT, "final", "20:00")
    rival = session(connect, role=APP, autocommit=False)
    reserve(rival, NEXT, "final", "21:00")
    waiting = background(
        session(connect, role=APP),
        "reserve_slots",
        p_requests=json.dumps([wish(DAY), wish(NEXT, "22:00")]),
    )
    wait_until_blocked(waiting.pid)
    rival.commit()
    assert waiting.outcome.sqlstate == "SWLIM"
    assert waiting.outcome.facts["item"] == 2
    assert used(db, DAY) == {}
    assert_consistent(db)
