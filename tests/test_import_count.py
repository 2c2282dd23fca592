"""``slotwarden import`` against a count by hand: dry, for good, again, and killed in between."""

from __future__ import annotations

import csv
import datetime as dt
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
