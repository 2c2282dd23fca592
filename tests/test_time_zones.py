"""Days and times: the channel's wall clock, the day in California, and clocks that are set.

The changes of the clocks that are tested against are found in the server's own zone data, so the
tests keep working in later years, and under other rules.
"""

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
    set_clock,
    used,
)

PACIFIC = "America/Los_Angeles"

# The next days on which the clocks of a zone are set, and by how much.
_CHANGES = """
select day::date as day, after - before as change
from generate_series(
  (current_date + 2)::timestamp, (current_date + 800)::timestamp, interval '1 day'
) as day
cross join lateral (
  select
    extract(epoch from (day at time zone 'UTC') at time zone %(zone)s - day) / 60 as before,
    extract(epoch from (day + interval '1 day') at time zone 'UTC' at time zone %(zone)s
      - (day + interval '1 day')) / 60 as after
) as minutes
where after <> before
order by day
"""


def _changes(db: PgConnection, zone: str) -> list[Any]:
    with db.cursor() as cursor:
        cursor.execute(_CHANGES, {"zone": zone})
        found = list(cursor.fetchall())
    if not found:
        pytest.skip(f"the clocks of {zone} are not set in the coming years")
    return found


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.mark.parametrize("change", [0, 1])
def test_units_count_in_california_and_posts_in_seoul_when_the_clocks_are_set(
    db: PgConnection, change: int
) -> None:
    turned = _changes(db, PACIFIC)[change]
    call(db, "create_channel", p_channel="서울", p_time_zone="Asia/Seoul")
    # Midnight in California is 16:00 or 17:00 in Seoul: it changes with the clocks there.
    day = turned.day - dt.timedelta(days=1)
    expected: dict[dt.date, list[str]] = {}
    for offset in range(4):
        local = day + dt.timedelta(days=offset)
        for at in ("15:59", "16:00", "16:59", "17:00"):
            booked = attempt_call(
                db, "reserve_slot", day=local, kind="short", at=at, channel="서울"
            ).row
            assert booked.local_date == local
            pacific = scalar(
                db,
                f"select (%s::timestamptz at time zone '{PACIFIC}')::date",
                booked.scheduled_publish_time,
            )
            expected.setdefault(pacific, []).append(at)
    assert {tuple(times) for times in expected.values()} >= {
        ("17:00", "15:59", "16:00", "16:59"),
        ("16:00", "16:59", "17:00", "15:59"),
    }
    for pacific, times in expected.items():
        assert used(db, pacific).get("서울/api_units") == 1600 * len(times)
    for offset in range(4):
        assert used(db, day + dt.timedelta(days=offset))["서울/short"] == 4
    assert_consistent(db)


@pytest.mark.parametrize("zone", [PACIFIC, "Europe/Berlin", "Australia/Lord_Howe"])
def test_a_time_that_the_clocks_skip_is_refused_with_the_nearest(
    db: PgConnection, zone: str
) -> None:
    turned = next(each for each in _changes(db, zone) if each.change > 0)
    call(db, "set_channel", p_channel="default", p_time_zone=zone)
    first = scalar(
        db,
        "select min(local) from generate_series(%s::timestamp - interval '1 day',"
        " %s::timestamp + interval '2 days', '1 minute') as local"
        " where local at time zone %s at time zone %s <> local",
        turned.day,
        turned.day,
        zone,
        zone,
    )
    day = first.date()
    gap = dt.timedelta(minutes=int(turned.change))
    nearest = [(first - dt.timedelta(minutes=1)), first + gap]
    for moment in (first, first + gap - dt.timedelta(minutes=1)):
        with raises_sqlstate("SWGAP") as refused:
            reserve(db, day, "short", f"{moment:%H:%M}")
        assert refused.facts["time_zone"] == zone
        assert [text[-5:] for text in refused.facts["nearest"]] == [
            f"{each:%H:%M}" for each in nearest
        ]
    for each in nearest:
        assert reserve(db, day, "short", f"{each:%H:%M}").local_date == day
    assert_consistent(db)


def test_a_time_that_occurs_twice_is_the_first_and_the_second_is_an_instant(
    db: PgConnection,
) -> None:
    turned = next(each for each in _changes(db, PACIFIC) if each.change < 0)
    call(db, "set_channel", p_channel="default", p_time_zone=PACIFIC)
    first = reserve(db, turned.day, "short", "01:30")
    hour = dt.timedelta(hours=1)
    second = call(
        db,
        "reserve_slot_at",
        instant=first.scheduled_publish_time + hour,
        kind="short",
    )[0]
    assert second.local_date == first.local_date == turned.day
    with raises_sqlstate("SWTKN"):
        reserve(db, turned.day, "short", "01:30")
    shown = call(db, "calendar", p_from=turned.day, p_days=1)
    assert [row.local_time for row in shown] == [dt.time(1, 30)] * 2
    assert_consistent(db)


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    """One database for all that only asks."""
    with own_database(copies) as connection:
        yield connection


_ORACLE = """
with instant as (
  select generate_series(
    %(start)s::timestamptz - interval '3 days', %(start)s::timestamptz + interval '4 days',
    interval '15 minutes'
  ) as at
),
wall_clock as (
  select at at time zone %(zone)s as local, min(at) as first from instant group by 1
),
asked as (
  select generate_series(
    %(start)s::timestamp - interval '1 day', %(start)s::timestamp + interval '2 days',
    interval '15 minutes'
  ) as local
)
select a.local, w.first, slotwarden.local_instant(a.local, %(zone)s) as found
from asked as a
left join wall_clock as w on w.local = a.local
where w.first is distinct from slotwarden.local_instant(a.local, %(zone)s)
"""


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        (PACIFIC, "2024-03-10"),
        (PACIFIC, "2024-11-03"),
        ("Europe/London", "2024-10-27"),
        ("Australia/Lord_Howe", "2024-04-07"),
        ("Australia/Lord_Howe", "2024-10-06"),
        ("America/Sao_Paulo", "2018-11-04"),
        ("Asia/Beirut", "2024-03-31"),
        ("Pacific/Apia", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-21"),
        ("Antarctica/Troll", "2024-03-31"),
        ("Africa/Casablanca", "2024-04-14"),
        ("Asia/Kathmandu", "2024-01-01"),
        ("UTC", "2024-01-01"),
    ],
)
def test_local_times_are_the_first_instant_that_shows_them(
    shared: PgConnection, zone: str, start: str
) -> None:
    """Compare with all instants of a week, read off as that zone's clocks show them."""
    with shared.cursor() as cursor:
        cursor.execute(_ORACLE, {"zone": zone, "start": start})
        assert cursor.fetchall() == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Caracas"])
@pytest.mark.parametrize("style", ["ISO, MDY", "SQL, DMY", "German, YMD"])
def test_the_sessions_settings_change_no_result(connect: Connect, zone: str, style: str) -> None:
    db = session(connect)
    day = coming_day(db)
    query(db, f"set timezone = '{zone}'; set datestyle = '{style}'")
    columns = (
        "extract(epoch from scheduled_publish_time)::bigint, to_char(local_date, 'YYYY-MM-DD')"
    )
    booked = query(
        db,
        f"select {columns} from slotwarden.reserve_slot(%s::date, 'final', '10:00')",
        f"{day:%Y-%m-%d}",
    )[0]
    ten = dt.datetime.combine(day, dt.time(10), dt.UTC)
    assert tuple(booked) == (int(ten.timestamp()), str(day))
    refused = attempt_call(db, "reserve_slot", day=day, kind="final", at="10:00")
    assert refused.facts["publish_time"] == f"{day}T10:00:00Z"
    assert f"{day} 10:00 UTC" in refused.message
    query(db, "rollback")


@pytest.mark.parametrize("name", ["FOO+3", "+09:00", "PST", "asia/seoul", "", "localtime "])
def test_only_names_of_the_zone_data_are_zones(shared: PgConnection, name: str) -> None:
    with raises_sqlstate("SWARG"):
        call(shared, "set_channel", p_channel="default", p_time_zone=name)


def test_a_limit_without_a_zone_is_for_channels_of_one_zone(db: PgConnection) -> None:
    call(db, "create_channel", p_channel="twin", p_share_limits=["final"])
    with raises_sqlstate("SWARG"):
        call(
            db,
            "create_channel",
            p_channel="far",
            p_time_zone="Asia/Seoul",
            p_share_limits=["final"],
        )
    with raises_sqlstate("SWARG"):
        call(db, "set_channel", p_channel="twin", p_time_zone="Asia/Seoul")
    call(db, "set_daily_limit", p_limit="final", p_time_zone="UTC")
    call(db, "set_channel", p_channel="twin", p_time_zone="Asia/Seoul")
    with raises_sqlstate("SWARG"):
        call(db, "set_daily_limit", p_limit="final", p_time_zone="channel")
    assert scalar(db, "select count(*) from slotwarden.channel") == 2


def test_a_limit_a_day_and_more_away_from_its_channel_is_no_drift(db: PgConnection) -> None:
    call(db, "create_channel", p_channel="far", p_time_zone="Etc/GMT+12")
    call(db, "set_daily_limit", p_limit="far/final", p_time_zone="Etc/GMT-14")
    day = coming_day(db)
    reserve(db, day, "final", "23:30", channel="far")
    # 26 hours on: the limit counts it on the day after the next.
    assert used(db, day + dt.timedelta(days=2))["far/final"] == 1
    assert_consistent(db)


@pytest.mark.parametrize(
    ("lead", "uploaded"),
    [("0", "20:00"), ("8 hours", "12:00"), ("1 day", "yesterday"), ("30 days", "now")],
)
def test_units_count_on_the_day_on_which_the_upload_runs(
    db: PgConnection, lead: str, uploaded: str
) -> None:
    day = coming_day(db)
    set_clock(db, f"{day - dt.timedelta(days=10)} 09:00Z")
    call(db, "set_daily_limit", p_limit="api_units", p_time_zone="UTC")
    call(db, "set_channel", p_channel="default", p_upload_lead=lead)
    # Days are 24 hours long here, also where the session's zone has a shorter one.
    query(db, f"set timezone = '{PACIFIC}'")
    booked = reserve(db, day, "final", "20:00")
    expected = {
        "20:00": f"{day} 20:00Z",
        "12:00": f"{day} 12:00Z",
        "yesterday": f"{day - dt.timedelta(days=1)} 20:00Z",
        "now": f"{day - dt.timedelta(days=10)} 09:00Z",
    }[uploaded]
    at = scalar(db, "select %s::timestamptz", expected)
    assert booked.upload_time == at
    assert used(db, at.astimezone(dt.UTC).date())["api_units"] == 1600
    assert used(db, day)["final"] == 1
    assert_consistent(db)
