"""Every limit is a row: posting limits, API units, a bucket of uploads, a pool of channels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Copies
from support import (
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
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db)


def _book_seven(db: PgConnection, day: dt.date) -> list[str | None]:
    kinds = ["final", "final", *["short"] * 5]
    return [
        attempt_call(db, "reserve_slot", day=day, kind=kind, at=f"{10 + hour}:00").sqlstate
        for hour, kind in enumerate(kinds)
    ]


def test_the_seventh_upload_of_a_day_passes_ten_thousand_units(
    db: PgConnection, day: dt.date
) -> None:
    assert _book_seven(db, day) == [None] * 6 + ["SWLIM"]
    refused = attempt_call(db, "reserve_slot", day=day, kind="short", at="17:00")
    assert refused.facts == {
        "limit": "api_units",
        "counted_at": "upload",
        "day": str(day),
        "used": 9600,
        "max": 10000,
        "units": 1600,
        "version": 6,
    }
    assert used(db, day) == {"final": 2, "short": 4, "api_units": 9600}
    assert_consistent(db)


def test_the_seventh_upload_of_a_day_fits_into_a_bucket_of_a_hundred(
    db: PgConnection, day: dt.date
) -> None:
    call(
        db,
        "set_daily_limit",
        p_limit="uploads",
        p_max=100,
        p_counted_at="upload",
        p_time_zone="America/Los_Angeles",
    )
    for kind in ("final", "short"):
        call(db, "set_charge", kind=kind, p_limit="api_units", p_units=0)
        call(db, "set_charge", kind=kind, p_limit="uploads", p_units=1)
    assert _book_seven(db, day) == [None] * 7
    assert used(db, day) == {"final": 2, "short": 5, "uploads": 7}
    assert_consistent(db)


def test_posting_limits_are_told_before_upload_limits(db: PgConnection, day: dt.date) -> None:
    for limit in ("final", "api_units"):
        call(db, "override_day", p_limit=limit, p_day=day, p_max=0)
    with raises_sqlstate("SWLIM") as refused:
        reserve(db, day, "final", "10:00")
    assert refused.facts["limit"] == "final"


@pytest.mark.parametrize("known", [False, True])
def test_a_limit_of_nothing_accepts_nothing(db: PgConnection, day: dt.date, known: bool) -> None:
    if known:
        reserve(db, day, "final", "09:00")
    call(db, "set_daily_limit", p_limit="final", p_max=0)
    with raises_sqlstate("SWLIM") as refused:
        reserve(db, day, "final", "10:00")
    assert (refused.facts["used"], refused.facts["max"]) == (int(known), 0)
    reserve(db, day, "short", "10:00")
    assert_consistent(db)


def test_a_limit_lowered_below_what_is_booked_keeps_it_and_accepts_nothing_new(
    db: PgConnection, day: dt.date
) -> None:
    booked = [reserve(db, day, "short", f"1{number}:00").reservation_id for number in range(4)]
    call(db, "set_daily_limit", p_limit="short", p_max=2)
    row = query(
        db, "select * from slotwarden.daily_usage where limit_id = 'short' and day = %s", day
    )[0]
    assert (row.used_units, row.max_units, row.remaining_units) == (4, 2, 0)
    found = []
    for reservation_id in booked[:3]:
        call(db, "cancel_reservation", p_reservation_id=reservation_id)
        found.append(attempt_call(db, "reserve_slot", day=day, kind="short", at="20:00").sqlstate)
    assert found == ["SWLIM", "SWLIM", None]
    assert used(db, day)["short"] == 2
    assert_consistent(db)


def test_a_new_maximum_holds_from_today_on_but_not_on_overridden_days(
    db: PgConnection, day: dt.date
) -> None:
    past, later = coming_day(db, -30), day + dt.timedelta(days=1)
    query(
        db,
        "insert into slotwarden.limit_day (limit_id, day) values ('final', %s), ('final', %s)",
        past,
        day,
    )
    call(db, "override_day", p_limit="final", p_day=later, p_max=7)
    call(db, "set_daily_limit", p_limit="final", p_max=3)
    days = "select day, max_units from slotwarden.limit_day order by day"
    assert dict(query(db, days)) == {past: 2, day: 3, later: 7}
    call(db, "override_day", p_limit="final", p_day=later, p_max=None)
    assert dict(query(db, days)) == {past: 2, day: 3, later: 3}
    assert_consistent(db)


def test_a_pool_that_channels_share_holds_for_all_of_them(db: PgConnection, day: dt.date) -> None:
    call(db, "create_channel", p_channel="other", p_share_limits=["api_units"])
    for number, channel in enumerate(["default", "other"] * 3):
        reserve(db, day, "short", f"1{number}:00", channel=channel)
    with raises_sqlstate("SWLIM") as refused:
        reserve(db, day, "short", "20:00", channel="other")
    assert refused.facts["limit"] == "api_units"
    assert used(db, day) == {"short": 3, "other/short": 3, "api_units": 9600}
    assert_consistent(db)


def test_a_channel_has_limits_of_its_own_like_the_others(db: PgConnection, day: dt.date) -> None:
    call(db, "create_channel", p_channel="a")
    call(db, "create_channel", p_channel="b", p_like="a")
    for channel in ("default", "a", "b"):
        assert [
            attempt_call(
                db, "reserve_slot", day=day, kind="final", at=f"1{hour}:00", channel=channel
            ).sqlstate
            for hour in range(3)
        ] == [None, None, "SWLIM"]
    assert set(used(db, day)) >= {"final", "a/final", "b/final"}
    assert_consistent(db)


def test_one_limit_may_be_charged_several_units(db: PgConnection, day: dt.date) -> None:
    call(db, "set_charge", kind="final", p_limit="final", p_units=2)
    call(db, "set_daily_limit", p_limit="final", p_max=3)
    reserve(db, day, "final", "10:00")
    with raises_sqlstate("SWLIM") as refused:
        reserve(db, day, "final", "11:00")
    assert (refused.facts["used"], refused.facts["units"]) == (2, 2)
    assert_consistent(db)


def test_the_largest_numbers_do_not_overflow(db: PgConnection, day: dt.date) -> None:
    most = 1_000_000_000
    call(db, "set_daily_limit", p_limit="final", p_max=most)
    call(db, "set_charge", kind="final", p_limit="final", p_units=most)
    booked = reserve(db, day, "final", "10:00")
    with raises_sqlstate("SWLIM"):
        reserve(db, day, "final", "11:00")
    call(db, "set_daily_limit", p_limit="final", p_max=0)
    call(db, "cancel_reservation", p_reservation_id=booked.reservation_id)
    assert used(db, day) == {}
    assert_consistent(db)


def test_every_change_of_a_maximum_is_in_the_ledger(db: PgConnection, day: dt.date) -> None:
    reserve(db, day, "final", "10:00")
    call(db, "set_daily_limit", p_limit="final", p_max=5)
    call(db, "override_day", p_limit="final", p_day=day, p_max=9)
    call(db, "override_day", p_limit="final", p_day=day, p_max=9)
    call(db, "override_day", p_limit="final", p_day=day, p_max=None)
    entries = query(
        db,
        "select version, units, used_units, max_units, reason"
        " from slotwarden.usage_ledger where limit_id = 'final' order by version",
    )
    assert [tuple(entry) for entry in entries] == [
        (1, 1, 1, 2, "reserve"),
        (2, 0, 1, 5, "maximum"),
        (3, 0, 1, 9, "maximum"),
        (4, 0, 1, 5, "maximum"),
    ]
    assert_consistent(db)


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    """One database for all that is refused, and so changes nothing."""
    with own_database(copies) as connection:
        yield connection


@pytest.mark.parametrize(
    ("function", "arguments", "code"),
    [
        ("set_daily_limit", {"p_limit": "final", "p_max": -1}, "SWARG"),
        ("set_daily_limit", {"p_limit": "final", "p_max": 1_000_000_001}, "SWARG"),
        ("set_daily_limit", {"p_limit": "final", "p_counted_at": "never"}, "SWARG"),
        ("set_daily_limit", {"p_limit": "final", "p_warn_percent": 101}, "SWARG"),
        ("set_daily_limit", {"p_limit": "final", "p_time_zone": "Mars/Phobos"}, "SWARG"),
        ("set_daily_limit", {"p_limit": "finl", "p_max": 3}, "SWARG"),
        ("set_daily_limit", {"p_limit": None}, "SWARG"),
        ("set_daily_limit", {"p_limit": "x" * 601, "p_max": 1, "p_counted_at": "publish"}, "SWARG"),
        ("override_day", {"p_limit": "finl", "p_day": "2100-01-01", "p_max": 3}, "SWARG"),
        ("override_day", {"p_limit": "final", "p_day": None, "p_max": 3}, "SWARG"),
        ("override_day", {"p_limit": "final", "p_day": "infinity", "p_max": 3}, "SWARG"),
        ("override_day", {"p_limit": "final", "p_day": "2100-01-01", "p_max": -3}, "SWARG"),
        ("set_charge", {"kind": "final", "p_limit": "finl", "p_units": 3}, "SWARG"),
        ("set_charge", {"kind": "final", "p_limit": "final", "p_units": -1}, "SWARG"),
        ("set_charge", {"kind": "final", "p_limit": "final", "p_units": None}, "SWARG"),
        ("set_charge", {"kind": "movie", "p_limit": "final", "p_units": 1}, "SWTYP"),
        (
            "set_charge",
            {"kind": "final", "p_limit": "final", "p_units": 1, "channel": "nobody"},
            "SWCHN",
        ),
        ("add_video_type", {"kind": ""}, "SWARG"),
        ("add_video_type", {"kind": "x" * 101}, "SWARG"),
        ("add_video_type", {"kind": "movie", "channel": "nobody"}, "SWCHN"),
        ("create_channel", {"p_channel": ""}, "SWARG"),
        ("create_channel", {"p_channel": None}, "SWARG"),
        ("create_channel", {"p_channel": "default"}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_time_zone": "FOO+3"}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_time_zone": None}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_upload_lead": "-1 second"}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_upload_lead": "367 days"}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_share_limits": ["finl"]}, "SWARG"),
        ("create_channel", {"p_channel": "x", "p_like": "nobody"}, "SWCHN"),
        ("set_channel", {"p_channel": "nobody", "p_time_zone": "UTC"}, "SWCHN"),
        ("set_channel", {"p_channel": "default", "p_time_zone": "utc "}, "SWARG"),
    ],
)
def test_mistakes_of_administration_change_nothing(
    shared: PgConnection, function: str, arguments: dict[str, Any], code: str
) -> None:
    tables = ("channel", "video_type", "daily_limit", "limit_day", "charge_rule", "posting_time")
    state = [f"select count(*), max(t::text) from slotwarden.{table} as t" for table in tables]
    before = [query(shared, each) for each in state]
    with raises_sqlstate(code):
        call(shared, function, **arguments)
    assert [query(shared, each) for each in state] == before


def test_a_limit_whose_name_would_not_fit_is_a_mistake(db: PgConnection) -> None:
    limit = "x" * 300
    call(db, "set_daily_limit", p_limit=limit, p_max=5, p_counted_at="publish")
    call(db, "set_charge", kind="final", p_limit=limit, p_units=1)
    with raises_sqlstate("SWARG"):
        call(db, "create_channel", p_channel="y" * 350)
    assert scalar(db, "select count(*) from slotwarden.channel") == 1


def test_the_units_of_all_limits_of_a_type_can_be_counted(db: PgConnection, day: dt.date) -> None:
    most = 1_000_000_000
    call(db, "add_video_type", kind="wide")
    for limit in ("a", "b", "c"):
        call(db, "set_daily_limit", p_limit=limit, p_max=most, p_counted_at="publish")
    for limit in ("a", "b"):
        call(db, "set_charge", kind="wide", p_limit=limit, p_units=most)
    with raises_sqlstate("SWARG"):
        call(db, "set_charge", kind="wide", p_limit="c", p_units=1)
    assert reserve(db, day, "wide", "10:00").held_units == 2 * most
    query(db, "insert into slotwarden.charge_rule values ('default', 'wide', 'c', %s)", most)
    with raises_sqlstate("SWARG"):
        reserve(db, day + dt.timedelta(days=1), "wide", "10:00")
