"""``slotwarden demo``, and the audit that it is judged by."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from cli_support import call
from slotwarden import Scheduler
from slotwarden.audit import audit
from slotwarden.cli.demonstration import percentiles
from slotwarden.demo import SCHEMA, make_wishes
from support import Connect, query, scalar, session

DAY = dt.date(2035, 3, 5)


def test_it_fights_counts_and_leaves_its_schema_to_be_looked_at(
    empty_database_url: str, connect: Connect
) -> None:
    url = empty_database_url
    done = call(url, "demo", "--callers", 12, "--requests", 150, "--json")
    assert done.code == 0
    told = done.json
    assert told["requests"] == 150
    assert told["accepted"] + sum(reason["requests"] for reason in told["refused"]) == 150
    assert {reason["sqlstate"] for reason in told["refused"]} <= {"SWLIM", "SWTKN", "SWDUP"}
    assert told["audit"]["passed"]
    assert told["audit"]["bookings"] == told["accepted"] == len(told["calendar"])
    assert set(told["milliseconds"]) == {"booking", "lock_wait", "refusal"}
    wait, booking = told["milliseconds"]["lock_wait"], told["milliseconds"]["booking"]
    assert 0 < wait["p50"] <= wait["p99"] < booking["p99"]

    look = session(connect, dsn=url)
    assert scalar(look, f"select count(*) from {SCHEMA}.reservation") == told["accepted"]
    assert scalar(look, "select to_regnamespace('slotwarden')") is None
    per_day = query(
        look,
        "select local_date, count(*) filter (where video_type = 'final') as finals,"
        f" count(*) as all from {SCHEMA}.reservation group by local_date",
    )
    assert max(day.finals for day in per_day) <= 2
    assert max(day.all for day in per_day) <= 7

    again = call(url, "demo", "--callers", 3, "--requests", 20, "--seed", 5)
    assert again.code == 0
    assert "Audit: Nothing overbooked: " in again.out
    assert "a booking" in again.out
    assert 0 < scalar(look, f"select count(*) from {SCHEMA}.reservation") <= 20


def test_a_schema_that_it_has_not_made_is_left_alone(
    empty_database_url: str, connect: Connect
) -> None:
    look = session(connect, dsn=empty_database_url)
    query(look, f"create schema {SCHEMA} create table kept (it int)")
    done = call(empty_database_url, "demo")
    assert done.code == 2
    assert "was not made by the demo" in done.err
    assert scalar(look, f"select count(*) from {SCHEMA}.kept") == 0


def test_two_demos_at_once_do_not_disturb_each_other(
    empty_database_url: str, connect: Connect
) -> None:
    first = session(connect, dsn=empty_database_url)
    assert scalar(first, "select pg_try_advisory_lock(hashtext('slotwarden demo'))")
    done = call(empty_database_url, "demo")
    assert done.code == 4
    assert "another demo is running" in done.err


def test_too_few_connections_end_it_with_a_message(
    empty_database_url: str, connect: Connect
) -> None:
    admin = session(connect, dsn=empty_database_url)
    name = scalar(admin, "select 'demo_' || current_database()")
    database = scalar(admin, "select current_database()")
    query(admin, f"create role {name} login createrole connection limit 6")
    query(admin, f"grant create on database {database} to {name}")
    query(admin, f"grant slotwarden_owner to {name}")
    try:
        url = empty_database_url.replace("postgresql://postgres@", f"postgresql://{name}@")
        done = call(url, "demo", "--callers", 12)
        assert done.code == 3
        assert "too many connections" in done.err
        assert call(url, "demo", "--callers", 3, "--requests", 9).code == 0
    finally:
        query(admin, f"drop schema {SCHEMA} cascade")
        query(admin, f"drop owned by {name} cascade")
        query(admin, f"drop role {name}")


def test_the_wishes_are_decided_by_the_seed() -> None:
    def wishes(seed: int) -> object:
        return make_wishes(random.Random(seed), 400, DAY)  # noqa: S311

    assert wishes(3) == wishes(3)
    assert wishes(3) != wishes(4)
    made = make_wishes(random.Random(1), 400, DAY)  # noqa: S311
    assert sum(wish.date == DAY + dt.timedelta(days=2) for wish in made) > 150
    assert len({wish.video for wish in made}) < 400


def test_percentiles() -> None:
    assert percentiles([]) == []
    assert percentiles([0.002]) == [2.0, 2.0, 2.0]
    assert percentiles([second / 100 for second in range(101)]) == pytest.approx([500, 950, 990])


@pytest.fixture
def booked(engine: Engine) -> Iterator[Connection]:
    scheduler = Scheduler(engine)
    for hour in (10, 11):
        scheduler.reserve_slot(DAY, "final", dt.time(hour), video=f"{hour}.mp4")
    scheduler.cancel_reservation(scheduler.reserve_slot(DAY, "short", dt.time(12)).reservation_id)
    with engine.connect() as connection:
        yield connection


def spoil(connection: Connection, sql: str) -> None:
    """Write behind slotwarden's back: without triggers, as nobody should."""
    connection.exec_driver_sql("set session_replication_role = replica")
    connection.exec_driver_sql(f"set local search_path to slotwarden; {sql}")


def test_the_audit_passes_what_is_right(booked: Connection) -> None:
    found = audit(booked, "slotwarden")
    assert found.passed
    assert (found.bookings, found.days) == (2, 2)


@pytest.mark.parametrize(
    ("sql", "overbooked"),
    [
        (
            """
            insert into reservation (
              channel_id, video_type, scheduled_publish_time, upload_time, local_date, time_zone,
              held_units
            )
            values (
              'default', 'final', '2035-03-05 13:00Z', '2035-03-05 13:00Z', '2035-03-05', 'UTC',
              1601
            )
            """,
            "final on 2035-03-05: 3 of 2 used",
        ),
        ("update limit_day set max_units = 1 where limit_id = 'final'", "2 of 1 used"),
        ("delete from limit_day where limit_id = 'final'", "has no maximum"),
        (
            """
            drop index reservation_slot_key;
            update reservation set scheduled_publish_time = '2035-03-05 10:00Z'
            """,
            "2035-03-05 10:00:00+00:00 of channel default is booked 2 times",
        ),
        (
            "drop index reservation_video_key; update reservation set video_path = 'same'",
            "same of channel default is booked 2 times",
        ),
    ],
)
def test_the_audit_sees_what_is_overbooked(booked: Connection, sql: str, overbooked: str) -> None:
    spoil(booked, sql)
    found = audit(booked, "slotwarden")
    assert any(overbooked in one for one in found.overbooked), found
    assert found.verdict.startswith("OVERBOOKED")


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        (
            "delete from usage_ledger where limit_id = 'final' and version = 1",
            "lacks version 1",
        ),
        (
            "update usage_ledger set used_units = 1 where limit_id = 'final' and version = 2",
            "wrong from version 2 on",
        ),
        (
            "delete from usage_ledger where limit_id = 'final' and version = 2",
            "says 1, the bookings 2",
        ),
        (
            """
            alter table usage_ledger drop constraint usage_ledger_within_maximum;
            update usage_ledger set max_units = 1 where limit_id = 'final'
            """,
            "passed the maximum in version 2",
        ),
        (
            """
            update reservation set upload_status = 'cancelled', held_units = 0
            where video_path = '10.mp4'
            """,
            "says 2, the bookings 1",
        ),
        ("update reservation set held_units = 7 where video_path = '10.mp4'", "usage_drift: "),
    ],
)
def test_the_audit_sees_what_does_not_add_up(booked: Connection, sql: str, wrong: str) -> None:
    spoil(booked, sql)
    found = audit(booked, "slotwarden")
    assert not found.passed
    assert any(wrong in one for one in found.inconsistent), found
    assert found.overbooked == ()
    assert "Nothing overbooked, but" in found.verdict
