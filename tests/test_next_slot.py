"""The next free slot: its order, its limits, and one for each of many callers at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from life import DAY, ONE_DAY, prepared, refusal, run_clock, slot, slots_of, take, text, times
from support import (
    APP,
    READER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt,
    attempt_call,
    call,
    call_sql,
    coming_day,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    snapshot,
    used,
)


def available(connection: PgConnection, count: int, **named: Any) -> list[str]:
    named.setdefault("p_from", DAY)
    rows = call(connection, "available_slots", kind="final", p_count=count, **named)
    for row in rows:
        assert text(row.publish_time)[:10] == str(row.day)
        assert text(row.publish_time)[11:] == row.local_time.strftime("%H:%M")
    return [text(row.publish_time) for row in rows]


def test_posting_times_come_first_then_full_hours_then_the_next_day(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    app = session(connect, role=APP)
    expected = slots_of(2)[:15]
    assert available(app, 15) == expected
    assert [slot(take(app)) for _ in range(15)] == expected
    assert_consistent(db)


def test_of_today_only_what_is_still_to_come(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    run_clock(db, "2031-03-06 14:00Z")
    expected = [f"{DAY} {time}" for time in ("18:00", "15:00", "16:00", "17:00", "19:00")]
    assert available(db, 5, p_from=None) == expected
    assert [slot(take(db, p_from=None)) for _ in range(5)] == expected
    assert slot(take(db, p_from=DAY - 10 * ONE_DAY, p_horizon_days=11)) == f"{DAY} 20:00"


def test_gaps_are_filled_or_on_demand_left(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    booked = [take(db) for _ in range(3)]
    call(db, "cancel_reservation", p_reservation_id=booked[1].reservation_id)
    assert slot(take(db, p_append=True)) == f"{DAY} 19:00"
    assert slot(take(db)) == slot(booked[1])
    reserve(db, DAY + 3 * ONE_DAY, "final", "10:30")
    assert slot(take(db, p_append=True)) == f"{DAY + 3 * ONE_DAY} 14:00"
    assert slot(take(db)) == f"{DAY} 09:00"
    with raises_sqlstate("SWNON"):
        take(db, p_append=True, p_horizon_days=3)


def test_to_append_looks_at_what_is_live_and_from_the_day_asked_for(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    assert slot(take(db, p_append=True)) == f"{DAY} 10:00"
    gone = reserve(db, DAY + 2 * ONE_DAY, "final", "20:00")
    call(db, "cancel_reservation", p_reservation_id=gone.reservation_id)
    assert slot(take(db, p_append=True)) == f"{DAY} 14:00"
    assert slot(take(db, p_append=True, p_from=DAY + ONE_DAY)) == f"{DAY + ONE_DAY} 10:00"


def test_days_at_a_limit_are_passed_over(connect: Connect) -> None:
    db = prepared(connect)
    booked = [slot(take(db)) for _ in range(5)]
    assert booked == [slots_of(3)[place] for place in (0, 1, 13, 14, 26)]
    # Six uploads fit into a day of quota, of which two are finals.
    assert [slot(take(db, "short"))[:10] for _ in range(6)] == [str(DAY)] * 4 + [
        str(DAY + ONE_DAY)
    ] * 2
    assert used(db, DAY) == {"final": 2, "short": 4, "api_units": 9600}
    assert_consistent(db)


def test_a_slot_whose_quota_day_is_another_one_is_free(connect: Connect) -> None:
    db = prepared(connect)
    call(db, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    # Until 17:00 in Seoul it is the day before in California.
    call(db, "override_day", p_limit="api_units", p_day=DAY - ONE_DAY, p_max=0)
    assert slot(take(db)) == f"{DAY} 09:00"
    assert used(db, DAY) == {"final": 1, "api_units": 1600}


def test_posting_times_of_a_weekday_are_added_to_those_of_every_day(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    every_day = call(db, "set_posting_times", p_times=times("12:30", "08:00", "12:30"))
    assert [(row.local_time, row.iso_weekday) for row in every_day] == [
        (dt.time(8), None),
        (dt.time(12, 30), None),
    ]
    call(db, "set_posting_times", p_times=times("08:00", "00:00"), p_iso_weekday=DAY.isoweekday())
    assert available(db, 5) == [
        f"{DAY} {time}" for time in ("00:00", "08:00", "12:30", "09:00", "10:00")
    ]
    assert available(db, 3, p_from=DAY + ONE_DAY) == [
        f"{DAY + ONE_DAY} {time}" for time in ("08:00", "12:30", "09:00")
    ]
    assert call(db, "set_posting_times", p_times=[]) == []
    assert available(db, 3) == [f"{DAY} {time}" for time in ("00:00", "08:00", "09:00")]
    assert available(db, 1, p_from=DAY + ONE_DAY) == [f"{DAY + ONE_DAY} 09:00"]


def test_posting_times_that_cannot_be(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    ten = times("10:00")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"p_times": None}, "SWARG"),
        ({"p_times": [None]}, "SWARG"),
        ({"p_times": ["24:00"]}, "SWARG"),
        ({"p_times": ["10:00:30"]}, "SWARG"),
        ({"p_times": ten, "p_iso_weekday": 0}, "SWARG"),
        ({"p_times": ten, "p_iso_weekday": 8}, "SWARG"),
        ({"p_times": ten, "channel": None}, "SWARG"),
        ({"p_times": ten, "channel": "nobody"}, "SWCHN"),
    ]
    for named, sqlstate in refused:
        sql, parameters = call_sql("set_posting_times", **named)
        sql = sql.replace("p_times => %s", "p_times => %s::time[]")
        assert attempt(db, sql, *parameters).sqlstate == sqlstate, named
    assert scalar(db, "select count(*) from slotwarden.posting_time") == 3


def test_blackouts_are_passed_over(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    call(
        db,
        "add_blackout",
        p_from=f"{DAY} 10:00Z",
        p_to=f"{DAY + ONE_DAY} 14:00Z",
        p_reason="holidays",
    )
    assert [slot(take(db)) for _ in range(3)] == [
        f"{DAY} 09:00",
        f"{DAY + ONE_DAY} 14:00",
        f"{DAY + ONE_DAY} 18:00",
    ]
    call(db, "add_blackout", p_from=f"{DAY} 00:00Z", p_to="infinity", p_reason="gone")
    with raises_sqlstate("SWNON"):
        take(db, p_horizon_days=366)
    assert available(db, 1, p_horizon_days=366) == []


def test_nothing_free_within_the_horizon_is_an_error_and_no_guess(connect: Connect) -> None:
    db = prepared(connect)
    call(db, "set_daily_limit", p_limit="final", p_max=0)
    call(db, "override_day", p_limit="final", p_day=DAY + 14 * ONE_DAY, p_max=1)
    before = snapshot(db)
    with raises_sqlstate("SWNON") as refused:
        take(db)
    assert refused.facts == {
        "channel": "default",
        "type": "final",
        "from": str(DAY),
        "horizon_days": 14,
    }
    assert snapshot(db) == before
    assert slot(take(db, p_horizon_days=15)) == f"{DAY + 14 * ONE_DAY} 10:00"
    # A horizon that begins and ends before today.
    with raises_sqlstate("SWNON"):
        take(db, p_from=DAY - 20 * ONE_DAY)


def test_mistakes_of_whoever_looks_for_a_slot(connect: Connect) -> None:
    db = prepared(connect)
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("SWARG", {"p_horizon_days": 0}),
        ("SWARG", {"p_horizon_days": 367}),
        ("SWARG", {"p_horizon_days": None}),
        ("SWARG", {"p_from": "infinity"}),
        ("SWARG", {"p_from": "9999-12-31"}),
        ("SWARG", {"channel": None}),
        ("SWARG", {"kind": None}),
        ("SWCHN", {"channel": "nobody"}),
        ("SWTYP", {"kind": "teaser"}),
    ]
    for sqlstate, named in mistakes:
        asked = {"kind": "final", **named}
        for function in ("reserve_next_slot", "available_slots"):
            assert attempt_call(db, function, **asked).sqlstate == sqlstate, named
        with_key = attempt_call(db, "reserve_next_slot", **asked, video="v", key="k")
        assert with_key.sqlstate == sqlstate, named
    for count in (0, 1001, None, -1):
        outcome = attempt_call(db, "available_slots", kind="final", p_count=count)
        assert outcome.sqlstate == "SWARG", count


def test_a_video_is_booked_once(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    first = take(db, video="v")
    with raises_sqlstate("SWDUP") as refused:
        take(db, video="v")
    assert refused.facts["reservation_id"] == first.reservation_id
    call(db, "create_channel", channel="other")
    assert slot(take(db, video="v", channel="other")) == slot(first)


def test_a_repeated_key_gives_the_same_slot(connect: Connect) -> None:
    db = prepared(connect)
    call(db, "set_daily_limit", p_limit="final", p_max=0)
    with raises_sqlstate("SWNON"):
        take(db, key="k")
    # A refusal is not remembered.
    call(db, "set_daily_limit", p_limit="final", p_max=1)
    first = take(db, key="k", video="v", p_horizon_days=1)
    again = take(db, key="k", video="v", p_horizon_days=1)
    assert again == first
    with raises_sqlstate("SWNON"):
        take(db, video="w", p_horizon_days=1)
    others: list[dict[str, Any]] = [
        {"video": "w"},
        {"p_horizon_days": 2},
        {"p_append": True},
        {"p_from": None},
    ]
    for other in others:
        with raises_sqlstate("SWKEY"):
            take(db, **{"key": "k", "video": "v", "p_horizon_days": 1, **other})
    with raises_sqlstate("SWKEY"):
        reserve(db, DAY, "final", "10:00", key="k")
    assert take(db, key="k", video="v", p_horizon_days=1, p_append=False) == first
    # The clock goes on, and the key still stands for the same call.
    run_clock(db, "2031-04-01 00:00Z")
    assert take(db, key="k", video="v", p_horizon_days=1) == first
    assert_consistent(db)


def test_where_the_clocks_change(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    call(db, "set_channel", p_channel="default", p_time_zone="America/New_York")
    call(db, "set_posting_times", p_times=times("01:30", "02:30", "23:30"))
    # The clocks skip 02:30 on March 9.
    rows = call(db, "available_slots", kind="final", p_from="2031-03-09", p_count=3)
    assert [row.local_time for row in rows] == [dt.time(1, 30), dt.time(23, 30), dt.time(9)]
    rows = call(db, "available_slots", kind="final", p_from="2031-03-10", p_count=3)
    assert [row.local_time for row in rows] == [dt.time(1, 30), dt.time(2, 30), dt.time(23, 30)]
    # 01:30 occurs twice on November 2, and means the first.
    first = take(db, p_from="2031-11-02")
    assert slot(first) == "2031-11-02 05:30"
    assert first.local_date == dt.date(2031, 11, 2)
    assert slot(take(db, p_from="2031-11-02")) == "2031-11-02 07:30"
    assert slot(take(db, p_from="2031-11-02")) == "2031-11-03 04:30"


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # 00:00 does not exist, 00:30 neither; the day begins at 01:00.
        ("America/Santiago", "2031-09-07", ["01:00", "09:00"]),
        ("Africa/Cairo", "2031-04-25", ["01:00", "09:00"]),
        # Half an hour is skipped at 02:00.
        ("Australia/Lord_Howe", "2031-10-05", ["00:00", "00:30"]),
    ],
)
def test_a_day_that_begins_late(connect: Connect, zone: str, day: str, expected: list[str]) -> None:
    db = prepared(connect, limited=False)
    call(db, "set_channel", p_channel="default", p_time_zone=zone)
    call(db, "set_posting_times", p_times=times("00:00", "00:30", "01:00"))
    rows = call(db, "available_slots", kind="final", p_from=day, p_count=2)
    assert [row.local_time.strftime("%H:%M") for row in rows] == expected
    assert {str(row.day) for row in rows} == {day}
    assert take(db, p_from=day).scheduled_publish_time == rows[0].publish_time


def test_looking_writes_nothing_and_needs_no_more_than_reading(connect: Connect) -> None:
    db = prepared(connect, limited=False)
    before = snapshot(db)
    reader = session(
        connect,
        role=READER,
        settings={
            "default_transaction_read_only": "on",
            "TimeZone": "Asia/Kathmandu",
            "DateStyle": "German",
        },
    )
    assert available(reader, 3) == slots_of(1)[:3]
    assert snapshot(db) == before


def test_the_last_day_of_a_span_ahead_is_looked_at(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    found = call(db, "available_slots", p_type="final", p_from=day, p_horizon_days=1, p_count=100)
    assert {row.day for row in found} == {day}


def test_a_video_that_is_booked_is_told_before_that_nothing_is_free(connect: Connect) -> None:
    db = prepared(connect)
    call(db, "set_daily_limit", p_limit="final", p_max=1)
    reserve(db, DAY, "final", "10:00", video="a.mp4")
    for days in (1, 2):
        told = refusal(
            db, "reserve_next_slot", kind="final", p_from=DAY, p_horizon_days=days, video="a.mp4"
        )
        assert told.sqlstate == "SWDUP"
