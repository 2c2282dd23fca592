"""``slotwarden import``: what it books, against a count of its own; again; interrupted; dry."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from cli_support import call, command, environment, waiting_backend
from slotwarden import Scheduler
from slotwarden.audit import audit
from support import Connect, PgConnection, query, scalar, session

PACIFIC = ZoneInfo("America/Los_Angeles")
FIRST_DAY = dt.date(2020, 2, 28)
MAXIMUM = {"final": 2, "short": 5}
UNITS_OF_ONE, UNITS_A_DAY = 1600, 10_000
# Two channels of the team share their API units; every other has its own.
TEAM = ("team-a", "team-b")
CHANNELS = (*TEAM, "Björk", "원더케이", "a/b", "o'clock")
OPTIONS = ("--create-channels", "--channel-column", "who", "--video-column", "id")


def made_up_rows(seed: int, count: int) -> list[dict[str, str]]:
    """Return rows for few days and minutes, so that everything collides; some of them twice."""
    dice = random.Random(seed)  # noqa: S311
    rows = []
    for number in range(count):
        time = dt.datetime.combine(FIRST_DAY, dt.time(), dt.UTC) + dt.timedelta(
            days=dice.randrange(4), hours=dice.randrange(24), seconds=dice.randrange(0, 120, 13)
        )
        zone = dt.timezone(dt.timedelta(minutes=dice.choice([0, 0, 60, -300, 330])))
        rows.append(
            {
                "title": f'No. {number}, "quoted"',
                "id": f"v{dice.randrange(count)}",
                "who": dice.choice(CHANNELS),
                "type": dice.choice(["final", "short", "short"]),
                "publish_time": time.astimezone(zone).isoformat(),
            }
        )
    rows += dice.choices(rows, k=count // 20)
    dice.shuffle(rows)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def counted(rows: list[dict[str, str]], shift_days: int) -> list[str]:
    """Decide the rows by hand: the outcome of each, in the order of the file."""
    instants = [
        dt.datetime.fromisoformat(row["publish_time"]).astimezone(dt.UTC)
        + dt.timedelta(days=shift_days)
        for row in rows
    ]
    outcome = [""] * len(rows)
    taken, seen, used = set(), set(), Counter[tuple[str, str, dt.date]]()
    for place in sorted(range(len(rows)), key=lambda place: (instants[place], place)):
        row, slot = rows[place], instants[place].replace(second=0, microsecond=0)
        who, kind = row["who"], row["type"]
        posts = (who, kind, slot.date())
        units = ("team" if who in TEAM else who, "api", slot.astimezone(PACIFIC).date())
        if (who, row["id"]) in seen:
            outcome[place] = "SWDUP"
        elif (who, slot) in taken:
            outcome[place] = "SWTKN"
        elif used[posts] == MAXIMUM[kind] or used[units] + UNITS_OF_ONE > UNITS_A_DAY:
            outcome[place] = "SWLIM"
        else:
            outcome[place] = "booked"
            taken.add((who, slot))
            seen.add((who, row["id"]))
            used[posts] += 1
            used[units] += UNITS_OF_ONE
    return outcome


def days_ahead(connection: PgConnection) -> int:
    today: dt.date = scalar(connection, "select current_date")
    return (today - FIRST_DAY).days + 30


def state(connection: PgConnection) -> list[Any]:
    return query(
        connection, "select * from slotwarden.reservation order by reservation_id"
    ) + query(connection, "select * from slotwarden.usage_ledger order by limit_id, day, version")


def outcomes(report: dict[str, Any], count: int) -> list[str]:
    told = {row["line"]: row["sqlstate"] for row in report["not_booked"]}
    return [told.get(line, "booked") for line in range(2, count + 2)]


@pytest.fixture
def team(engine: Engine) -> None:
    scheduler = Scheduler(engine)
    scheduler.set_daily_limit("pool", max=UNITS_A_DAY, counted_at="upload", time_zone=str(PACIFIC))
    for channel in TEAM:
        scheduler.create_channel(channel)
        for kind in MAXIMUM:
            scheduler.set_charge(kind, f"{channel}/api_units", 0, channel=channel)
            scheduler.set_charge(kind, "pool", UNITS_OF_ONE, channel=channel)


@pytest.mark.usefixtures("team")
def test_its_numbers_are_those_of_an_independent_count_also_the_second_time(
    database_url: str, connect: Connect, engine: Engine, tmp_path: Path
) -> None:
    connection = session(connect)
    shift = days_ahead(connection)
    rows = made_up_rows(seed=7, count=170)
    expected = counted(rows, shift)
    figures = Counter(expected)
    assert all(figures[each] >= 5 for each in ("booked", "SWDUP", "SWTKN", "SWLIM")), figures
    file = write(tmp_path / "videos.csv", rows)
    wanted = ("import", file, "--shift-days", shift, *OPTIONS, "--json")

    dry = call(database_url, *wanted, "--dry-run")
    assert dry.code == 1
    assert outcomes(dry.json, len(rows)) == expected
    assert dry.json["channels_created"] == 4
    assert state(connection) == []
    assert scalar(connection, "select count(*) from slotwarden.channel") == 3
    assert scalar(connection, "select count(*) from slotwarden.request") == 0

    first = call(database_url, *wanted)
    assert (first.code, first.err) == (1, "")
    assert outcomes(first.json, len(rows)) == expected
    booked = figures.pop("booked")
    assert first.json | {"not_booked": [], "file": ""} == {
        "file": "", "dry_run": False, "rows": len(rows), "booked": booked, "booked_now": booked,
        "booked_before": 0, "refused": figures, "bad_rows": 0, "channels_created": 4,
        "not_booked": [],
    }  # fmt: skip
    then = state(connection)
    assert scalar(connection, "select count(*) from slotwarden.usage_drift") == 0
    with engine.connect() as reader:
        verdict = audit(reader, "slotwarden")
    assert (verdict.passed, verdict.bookings) == (True, booked), verdict.verdict

    second = call(database_url, *wanted, "--connections", "1")
    assert outcomes(second.json, len(rows)) == expected
    assert (second.json["booked_now"], second.json["booked_before"]) == (0, booked)
    assert second.json["channels_created"] == 0
    assert state(connection) == then
    again_dry = call(database_url, *wanted, "--dry-run")
    assert outcomes(again_dry.json, len(rows)) == expected
    assert state(connection) == then


@pytest.mark.usefixtures("team")
def test_killed_in_the_middle_it_goes_on_and_ends_the_same(
    database_url: str,
    connect: Connect,
    tmp_path: Path,
) -> None:
    connection = session(connect)
    shift = days_ahead(connection)
    rows = [row for row in made_up_rows(seed=8, count=160) if row["who"] in TEAM]
    expected = counted(rows, shift)
    file = write(tmp_path / "videos.csv", rows)
    wanted = ("import", file, "--shift-days", shift, *OPTIONS, "--json")
    third_day = FIRST_DAY + dt.timedelta(days=shift + 2)
    holder = session(connect, autocommit=False)
    query(holder, "insert into slotwarden.limit_day (limit_id, day) values ('pool', %s)", third_day)

    with subprocess.Popen(
        command(*wanted),
        env=environment(database_url, PGAPPNAME="import-killed"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        waiting_backend(connection, "import-killed")
        process.send_signal(signal.SIGKILL)
    booked = scalar(connection, "select count(*) from slotwarden.reservation")
    assert 0 < booked < Counter(expected)["booked"]
    holder.rollback()

    report = call(database_url, *wanted).json
    assert outcomes(report, len(rows)) == expected
    # The call that was under way when it was killed may have been carried out.
    assert 0 <= report["booked_before"] - booked <= 1
    assert scalar(connection, "select count(*) from slotwarden.usage_drift") == 0


def test_refused_rows_are_written_with_all_their_columns(database_url: str, tmp_path: Path) -> None:
    content = (
        "note,channel,type,publish_time,video\n"
        '"a, b",default,final,2035-03-05T10:00,v1\n'
        "x,default,final,2035-03-05T10:00:59,v2\n"
        "x,default,podcast,2035-03-05T11:00,v3\n"
        "x,nobody,final,2035-03-05T11:00,v4\n"
        "x,default,final,whenever,v5\n"
        "x,default,final,2001-01-01T00:00,v6\n"
        "x,default\n"
    )
    (tmp_path / "in.csv").write_text(content, encoding="utf-8")
    refused = tmp_path / "refused.csv"
    done = call(database_url, "import", tmp_path / "in.csv", "--refused", refused)
    assert done.code == 1
    written = list(csv.DictReader(io.StringIO(refused.read_text(encoding="utf-8"))))
    assert list(written[0]) == [
        "note", "channel", "type", "publish_time", "video", "sqlstate", "reason",
    ]  # fmt: skip
    assert [(row["video"], row["sqlstate"]) for row in written] == [
        ("v2", "SWTKN"), ("v3", "SWTYP"), ("v4", "SWCHN"), ("v5", "SWARG"), ("v6", "SWPST"),
        ("", "SWARG"),
    ]  # fmt: skip
    assert "2035-03-05 10:00" in written[0]["reason"]
    for line in "345678":
        assert f"│    {line} │" in done.out

    corrected = refused.read_text(encoding="utf-8").replace(
        "2035-03-05T10:00:59", "2035-03-05T12:00"
    )
    (tmp_path / "again.csv").write_text(corrected, encoding="utf-8")
    again = call(database_url, "import", tmp_path / "again.csv", "--refused", refused)
    assert again.code == 1
    assert refused.read_text(encoding="utf-8").count("sqlstate") == 1
    assert "v2" not in refused.read_text(encoding="utf-8")


def test_the_refused_file_may_not_be_the_file_itself(database_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "in.csv", made_up_rows(seed=1, count=3))
    before = file.read_bytes()
    assert call(database_url, "import", file, *OPTIONS, "--refused", file).code == 2
    unwritable = call(
        database_url, "import", file, *OPTIONS, "--refused", tmp_path / "none" / "r.csv"
    )
    assert unwritable.code == 2
    assert file.read_bytes() == before


def test_local_times_are_on_each_channels_clock(database_url: str, engine: Engine) -> None:
    scheduler = Scheduler(engine)
    scheduler.create_channel("Seoul", time_zone="Asia/Seoul")
    content = (
        "channel,type,publish_time,video\n"
        "Seoul,final,2035-03-05T01:00:30Z,v2\n"
        "Seoul,final,2035-03-05 10:00,v1\n"
        "York,final,2035-03-11 02:30,v3\n"
        "York,final,2035-03-11 03:30,v4\n"
    )
    done = call(
        database_url, "import", "-", "--create-channels", "--time-zone", "America/New_York",
        "--json", stdin=content,
    )  # fmt: skip
    assert done.json["refused"] == {"SWTKN": 1, "SWGAP": 1}
    (seoul,) = scheduler.calendar(dt.date(2035, 3, 5), 1, channel="Seoul")
    assert (seoul.video_path, seoul.publish_time.isoformat()) == ("v1", "2035-03-05T01:00:00+00:00")
    (york,) = scheduler.calendar(dt.date(2035, 3, 11), 1, channel="York")
    assert (york.video_path, york.time_zone) == ("v4", "America/New_York")


def test_all_booked_is_exit_code_0_and_what_a_person_cancelled_stays_so(
    database_url: str, engine: Engine
) -> None:
    content = b"channel,type,publish_time,video\ndefault,final,2035-03-05T10:00Z,v1\n"
    done = call(database_url, "import", "-", "--json", stdin=content)
    assert (done.code, done.json["booked"]) == (0, 1)
    (entry,) = Scheduler(engine).calendar(dt.date(2035, 3, 5), 1)
    Scheduler(engine).cancel_reservation(entry.reservation_id)
    again = call(database_url, "import", "-", "--json", stdin=content)
    assert (again.code, again.json["refused"]) == (1, {"SWSTA": 1})
    assert Scheduler(engine).calendar(dt.date(2035, 3, 5), 1) == []


def test_a_later_run_gives_the_reason_that_held_in_its_turn(database_url: str) -> None:
    # v3 is one final too many; the short that then gets its minute must not become its reason.
    # v5 finds its minute taken by v4; that v5 is booked later must not become its reason.
    content = (
        "channel,type,publish_time,video\n"
        "default,final,2035-03-05T09:00,v1\n"
        "default,final,2035-03-05T10:00,v2\n"
        "default,final,2035-03-05T11:00,v3\n"
        "default,short,2035-03-05T11:00,v4\n"
        "default,short,2035-03-05T11:00:30,v5\n"
        "default,final,2035-03-06T11:00,v5\n"
    )
    first = call(database_url, "import", "-", "--json", stdin=content).json
    assert [(row["line"], row["sqlstate"]) for row in first["not_booked"]] == [
        (4, "SWLIM"),
        (6, "SWTKN"),
    ]
    second = call(database_url, "import", "-", "--json", stdin=content).json
    assert second["not_booked"] == first["not_booked"]
    assert second["booked_before"] == first["booked_now"] == 4


def test_a_row_that_is_new_in_the_file_is_refused_for_what_is_there(database_url: str) -> None:
    header = "channel,type,publish_time,video\n"
    later = "default,short,2035-03-05T11:00:30,v2\n"
    call(database_url, "import", "-", stdin=header + later)
    earlier = "default,short,2035-03-05T11:00,v1\n"
    done = call(database_url, "import", "-", "--json", stdin=header + earlier + later).json
    assert done["refused"] == {"SWTKN": 1}
    assert done["booked_before"] == 1


def test_an_import_as_the_application_needs_no_table_rights(
    database_url: str, connect: Connect
) -> None:
    admin = session(connect)
    name = scalar(admin, "select 'import_' || current_database()")
    query(admin, f"create role {name} login")
    try:
        query(admin, f"grant slotwarden_app to {name}")
        url = database_url.replace("postgresql://postgres@", f"postgresql://{name}@")
        content = "channel,type,publish_time,video\ndefault,final,2035-03-05 10:00,v1\n"
        done = call(url, "import", "-", "--json", stdin=content)
        assert (done.code, done.json["booked"]) == (0, 1)
        forbidden = call(
            url, "import", "-", "--create-channels", stdin=content.replace("default", "x")
        )
        assert forbidden.code == 3
        assert "42501" in forbidden.err
    finally:
        query(admin, f"drop role {name}")


def test_it_stops_at_a_lock_that_it_does_not_get_and_says_so(
    database_url: str, connect: Connect
) -> None:
    holder = session(connect, autocommit=False)
    query(holder, "select slotwarden.reserve_slot('2035-03-06', 'final', '10:00')")
    query(
        session(connect),
        "alter function slotwarden.reserve_slot(date, text, time, text, text, text)"
        " set lock_timeout = '20ms'",
    )
    content = (
        "channel,type,publish_time,video\n"
        "default,final,2035-03-05 10:00,v1\n"
        "default,final,2035-03-06 11:00,v2\n"
        "default,final,2035-03-07 10:00,v3\n"
    )
    done = call(database_url, "import", "-", stdin=content)
    assert done.code == 4
    assert "Stopped after 1 of 3 rows" in done.err
    holder.rollback()
    again = call(database_url, "import", "-", "--json", stdin=content).json
    assert (again["booked"], again["booked_before"]) == (3, 1)


def test_the_example_file_books_and_shows_each_reason(database_url: str) -> None:
    example = Path(__file__).parents[1] / "examples" / "videos.csv"
    done = call(database_url, "import", example, "--create-channels", "--json").json
    assert done["booked"] == 7
    assert done["refused"] == {"SWDUP": 1, "SWLIM": 1, "SWTKN": 1, "SWTYP": 1}
    assert done["bad_rows"] == 1
