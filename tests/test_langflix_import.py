"""A LangFlix database goes through ``slotwarden import-langflix`` and out through the views."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, make_url

from cli_support import call as call_command
from langflix_database import SEOUL, Row, add, count_usage, defects, langflix_id, make
from slotwarden import InvalidArgument
from slotwarden.langflix import import_database, read_database
from support import (
    ADMIN,
    Connect,
    PgConnection,
    assert_consistent,
    call,
    query,
    reserve,
    scalar,
    session,
    snapshot,
)

PACIFIC = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def connection(connect: Connect) -> PgConnection:
    """A channel on Seoul's clock, and the made-up LangFlix in schema public beside it."""
    opened = session(connect)
    call(opened, "set_channel", p_channel="default", p_time_zone="Asia/Seoul")
    return opened


@pytest.fixture
def today(connection: PgConnection) -> dt.date:
    day: dt.date = scalar(connection, "select (now() at time zone 'Asia/Seoul')::date")
    return day


def slotwarden(*arguments: str, code: int = 0) -> str:
    """Run the command and return its standard output."""
    ran = call_command(None, *arguments)
    assert ran.code == code, f"{ran.code}: {ran.out}{ran.err}"
    return ran.out


def imported(url: str, *arguments: str, code: int = 1) -> dict[str, Any]:
    """Import, and return the report."""
    command = ["--json", "--database-url", url, "import-langflix", *arguments]
    report: dict[str, Any] = json.loads(slotwarden(*command, code=code))
    return report


def outcomes(report: dict[str, Any]) -> dict[int, str]:
    """Return what came of each row, by its number."""
    numbers = {str(langflix_id(n)): n for n in range(1, 100)}
    return {numbers[row["source_id"]]: row["action"] for row in report["rows"] if row["source_id"]}


def reasons(report: dict[str, Any]) -> dict[int, str]:
    """Return the reasons of conflicts, by the number of the row."""
    numbers = {str(langflix_id(n)): n for n in range(1, 100)}
    return {
        numbers[row["source_id"]]: row["reason"]
        for row in report["rows"]
        if row["action"] == "conflict"
    }


def shown(connection: PgConnection) -> dict[uuid.UUID, Any]:
    """Return LangFlix's table as slotwarden shows it, by id."""
    rows = query(connection, "select * from slotwarden.youtube_schedule")
    return {uuid.UUID(str(row.id)): row for row in rows}


CONFLICTS = {1, 2, 3, 4, 5, 7, 18, 19, 20, 21, 22, 23}
IMPORTED = {6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25}


def test_every_defect_goes_in_and_comes_out_sound(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    report = imported(database_url)
    assert {n for n, action in outcomes(report).items() if action == "imported"} == IMPORTED
    assert {n for n, action in outcomes(report).items() if action == "conflict"} == CONFLICTS
    assert_consistent(connection)

    rows = shown(connection)
    assert set(rows) == {langflix_id(n) for n in IMPORTED}
    states = {n: rows[langflix_id(n)].upload_status for n in IMPORTED}
    assert {n for n, state in states.items() if state == "scheduled"} == {6, 8, 9, 10, 12, 17, 24}
    assert {n for n, state in states.items() if state == "completed"} == {14, 16, 25}
    assert {n for n, state in states.items() if state == "failed"} == {11, 13}
    assert states[15] == "uploading"
    assert rows[langflix_id(13)].error_message == "Cancelled by user"
    assert rows[langflix_id(11)].error_message == "HTTP 500"
    assert rows[langflix_id(14)].youtube_video_id == "yt-14"

    kept = query(connection, "select * from slotwarden.list_import_conflicts()")
    assert {uuid.UUID(row.source_id) for row in kept} == {langflix_id(n) for n in CONFLICTS}


def test_the_first_of_several_keeps_the_slot_by_order_of_creation(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    why = reasons(imported(database_url))
    for number in range(1, 6):
        assert f"is taken by row {langflix_id(24)}" in why[number]
    assert f"is taken by row {langflix_id(6)}" in why[7]
    assert f"'/instead.mp4' is booked already, by row {langflix_id(12)}" in why[18]


def test_what_makes_no_sense_is_kept_with_its_reason(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    why = reasons(imported(database_url))
    assert "no video type 'educational'" in why[19]
    assert "status 'queued'" in why[20]
    assert "no publish time" in why[21]
    assert "video path" in why[22]
    assert "'infinity' cannot be read" in why[23]
    row = scalar(
        connection,
        "select row from slotwarden.import_conflict where row ->> 'id' = %s",
        str(langflix_id(20)),
    )
    assert (row["video_path"], row["upload_status"]) == ("/status.mp4", "queued")


def test_a_day_over_its_limit_is_kept_as_it_is_and_full(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    report = imported(database_url)
    day = today + dt.timedelta(days=11)
    over = [row["reason"] for row in report["rows"] if row["action"] == "over_limit"]
    (said,) = over
    assert said == (
        f"daily limit 'final' on {day}: 3 of 2 units are used;"
        " nothing new is accepted until usage falls below"
    )

    def left() -> Any:
        return query(connection, "select * from slotwarden.daily_usage where limit_id = 'final'"
                     " and day = %s", day)[0]  # fmt: skip

    assert (left().used_units, left().max_units, left().overridden) == (3, 2, False)
    with pytest.raises(Exception, match="daily limit 'final' is reached"):
        reserve(connection, day, "final", "20:00")
    # Cancelling one of three does not open the day for another.
    booked = shown(connection)[langflix_id(8)].reservation_id
    call(connection, "cancel_reservation", p_reservation_id=booked)
    with pytest.raises(Exception, match="daily limit 'final' is reached"):
        reserve(connection, day, "final", "20:00")
    assert_consistent(connection)


def test_seconds_are_cut_off(connection: PgConnection, today: dt.date, database_url: str) -> None:
    make(connection, defects(today))
    imported(database_url)
    day = today + dt.timedelta(days=11)
    assert shown(connection)[langflix_id(9)].scheduled_publish_time == dt.datetime.combine(
        day, dt.time(14, tzinfo=SEOUL)
    )


def test_the_quota_is_counted_anew(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    # LangFlix charged what it uploaded twice, a cancelled booking, and rows of status calls.
    day = today + dt.timedelta(days=12)
    count_usage(connection, day, 4800, finals=2, shorts=1)
    count_usage(connection, today + dt.timedelta(days=200), 0, finals=0, shorts=0)
    report = imported(database_url)

    usage = {
        row.date: row for row in query(connection, "select * from slotwarden.youtube_quota_usage")
    }
    # Of that day there is the video that was uploaded, and the one in the failed one's place.
    assert usage[day].final_videos_uploaded == 1
    assert usage[day].short_videos_uploaded == 1
    assert usage[day].upload_count == 2
    # An upload is charged once, on YouTube's day: when it ran, or is to run.
    rows = query(
        connection,
        "select r.reservation_id, r.upload_status, r.upload_time, e.day, sum(e.units) as units"
        " from slotwarden.reservation as r"
        " left join slotwarden.usage_ledger as e"
        "   on e.reservation_id = r.reservation_id and e.limit_id = 'api_units'"
        " group by 1, 2, 3, 4",
    )
    for row in rows:
        if row.upload_status == "cancelled":
            assert row.units is None
        else:
            assert row.units == 1600
            assert row.day == row.upload_time.astimezone(PACIFIC).date()
    uploaded = next(row for row in rows if row.upload_status == "completed")
    assert uploaded.upload_time < dt.datetime.now(dt.UTC)

    assert [difference["date"] for difference in report["differences"]] == [day.isoformat()]
    assert report["differences"][0]["langflix"] == {"quota_used": 4800, "finals": 2, "shorts": 1}
    assert report["differences"][0]["recounted"]["finals"] == 1


def test_a_failed_row_gives_its_slot_back_and_a_cancelled_one_everything(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    imported(database_url)
    rows = shown(connection)
    held = query(
        connection,
        "select reservation_id, limit_id, sum(units)::integer as units"
        " from slotwarden.usage_ledger group by 1, 2 having sum(units) <> 0",
    )
    failed = [row for row in held if row.reservation_id == rows[langflix_id(11)].reservation_id]
    assert [(row.limit_id, row.units) for row in failed] == [("api_units", 1600)]
    cancelled = rows[langflix_id(13)].reservation_id
    assert not [row for row in held if row.reservation_id == cancelled]
    reserve(connection, today + dt.timedelta(days=12), "final", "14:00", video="/new.mp4")


def test_a_dry_run_changes_nothing_and_says_the_same(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    count_usage(connection, today + dt.timedelta(days=12), 4800, finals=2, shorts=1)
    before = snapshot(connection), query(connection, "select * from slotwarden.limit_day")
    foreseen = imported(database_url, "--dry-run")
    assert (snapshot(connection), query(connection, "select * from slotwarden.limit_day")) == before
    assert query(connection, "select * from slotwarden.import_conflict") == []
    assert all(row["reservation_id"] is None for row in foreseen["rows"])
    done = imported(database_url)

    def said(report: dict[str, Any]) -> list[Any]:
        rows = [(row["source_id"], row["action"], row["reason"]) for row in report["rows"]]
        return [rows, report["differences"]]

    assert said(foreseen) == said(done)


def test_a_dry_run_stays_one_through_an_engine_in_autocommit(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    report = import_database(engine, read_database(engine), dry_run=True)
    engine.dispose()
    assert report.rows
    assert snapshot(connection) == [[], [], []]


def test_the_function_foresees_the_same(connection: PgConnection, today: dt.date) -> None:
    make(connection, defects(today))
    rows = scalar(connection, "select jsonb_agg(to_jsonb(s)) from youtube_schedule as s")
    schedule = json.dumps(rows)
    dry = call(connection, "import_langflix", p_schedule=schedule, p_dry_run=True)
    assert snapshot(connection) == [[], [], []]
    done = call(connection, "import_langflix", p_schedule=schedule)
    assert [(r.source_id, r.action, r.reason) for r in dry] == [
        (r.source_id, r.action, r.reason) for r in done
    ]
    assert all(row.reservation_id is None for row in dry)


def test_twice_imports_nothing_twice(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    imported(database_url)
    before = snapshot(connection), query(connection, "select * from slotwarden.import_conflict")
    again = imported(database_url, code=0)
    assert set(outcomes(again).values()) == {"known"}
    assert (
        snapshot(connection),
        query(connection, "select * from slotwarden.import_conflict"),
    ) == before
    # What is new is imported; what has changed since is not.
    query(connection, "update youtube_schedule set upload_status = 'failed'")
    add(connection, Row(30, "/new.mp4", "short", dt.datetime.combine(
        today + dt.timedelta(days=20), dt.time(10, tzinfo=SEOUL))))  # fmt: skip
    third = outcomes(imported(database_url, code=0))
    assert third.pop(30) == "imported"
    assert set(third.values()) == {"known"}


def test_another_database(
    connection: PgConnection,
    today: dt.date,
    connect: Connect,
    database_url: str,
    empty_database_url: str,
) -> None:
    langflix = session(connect, dsn=empty_database_url)
    query(langflix, "create schema tool; set search_path to tool")
    make(langflix, defects(today))
    report = imported(database_url, "--from", empty_database_url, "--from-schema", "tool")
    assert {n for n, action in outcomes(report).items() if action == "imported"} == IMPORTED
    assert len(shown(connection)) == len(IMPORTED)


def test_conflicts_are_listed_and_rebooked(
    connection: PgConnection, today: dt.date, database_url: str
) -> None:
    make(connection, defects(today))
    imported(database_url)
    listed = json.loads(slotwarden("--json", "--database-url", database_url, "import-conflicts"))
    by_id = {row["source_id"]: row["import_conflict_id"] for row in listed}
    day = today + dt.timedelta(days=30)

    text = slotwarden("--database-url", database_url, "import-conflicts")
    assert "/five/1.mp4" in text
    assert "is taken by row" in text

    first = by_id[str(langflix_id(1))]
    command = ["--json", "--database-url", database_url, "rebook", str(first)]
    booked = json.loads(slotwarden(*command))
    assert booked["video_path"] == "/five/1.mp4"
    assert json.loads(slotwarden(*command))["reservation_id"] == booked["reservation_id"]
    # It keeps the id that LangFlix shows.
    assert shown(connection)[langflix_id(1)].reservation_id == booked["reservation_id"]

    other = str(by_id[str(langflix_id(19))])
    slotwarden("--database-url", database_url, "rebook", other, code=2)
    url = ["--json", "--database-url", database_url]
    typed = json.loads(
        slotwarden(*url, "rebook", other, day.isoformat(), "09:30", "--type", "final")
    )
    assert typed["video_type"] == "final"
    assert dt.datetime.fromisoformat(typed["scheduled_publish_time"]) == dt.datetime.combine(
        day, dt.time(9, 30, tzinfo=SEOUL)
    )
    left = json.loads(slotwarden(*url, "import-conflicts"))
    assert {row["source_id"] for row in left} == set(by_id) - {
        str(langflix_id(1)), str(langflix_id(19))
    }  # fmt: skip
    assert len(json.loads(slotwarden(*url, "import-conflicts", "--all"))) == len(by_id)
    assert_consistent(connection)


def test_an_administrator_who_is_no_superuser_may_import(
    connection: PgConnection, today: dt.date, connect: Connect
) -> None:
    make(connection, defects(today))
    rows = scalar(connection, "select jsonb_agg(to_jsonb(s)) from youtube_schedule as s")
    admin = session(connect, role=ADMIN)
    done = call(admin, "import_langflix", p_schedule=json.dumps(rows))
    assert len([row for row in done if row.action == "imported"]) == len(IMPORTED)
    assert scalar(connection, "select distinct created_by from slotwarden.reservation") == ADMIN


def test_a_database_without_langflix_is_said_to_be_one(
    engine: Engine, empty_database_url: str, database_url: str
) -> None:
    empty = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg2"))
    with pytest.raises(InvalidArgument, match="no table youtube_schedule in schema 'public'"):
        read_database(empty)
    empty.dispose()
    # slotwarden's own view of that name is not LangFlix's table.
    with pytest.raises(InvalidArgument, match="slotwarden's own view"):
        read_database(engine, schema="slotwarden")
    slotwarden("--database-url", database_url, "import-langflix", code=2)


def test_a_database_without_quota_rows_is_imported_all_the_same(
    connection: PgConnection, today: dt.date, engine: Engine
) -> None:
    make(connection, defects(today))
    query(connection, "drop table youtube_quota_usage")
    report = import_database(engine, read_database(engine))
    assert len(report.rows) > len(IMPORTED)
    assert report.differences == ()


def test_reading_does_not_depend_on_the_session(
    connection: PgConnection, today: dt.date, engine: Engine
) -> None:
    make(connection, defects(today))
    plain = read_database(engine)
    database = scalar(connection, "select quote_ident(current_database())")
    query(connection, f"alter database {database} set timezone = 'America/New_York'")
    engine.dispose()
    assert read_database(engine).schedule == plain.schedule
