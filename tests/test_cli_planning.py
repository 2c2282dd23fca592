"""Planning from the command line: the next slot, moves, limits, the week and the forecast."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Engine

from cli_support import call, call_json
from slotwarden import Scheduler
from support import Connect, query, session

DAY = "2035-03-05"
FIRST = dt.date(2035, 3, 5)
NARROW, WIDE = 40, 120


def test_next_looks_and_then_books_what_it_listed(database_url: str) -> None:
    call(database_url, "reserve", DAY, "short", "10:00")
    listed = call_json(database_url, "next", "final", "--from", DAY, "--list", 2)
    assert [slot["local_time"] for slot in listed] == ["14:00:00", "18:00:00"]
    assert len(call_json(database_url, "calendar", "--from", DAY)) == 1
    booked = call_json(database_url, "next", "final", "--from", DAY, "--video", "a.mp4")
    assert booked["scheduled_publish_time"] == listed[0]["publish_time"]
    assert "Mon 2035-03-05" in call(database_url, "next", "final", "--from", DAY, "--list", 1).out


def test_next_refuses_to_guess_and_to_look_with_a_video(database_url: str) -> None:
    call(database_url, "limit", "override", "final", DAY, 0)
    assert (
        "No slot is free"
        in call(database_url, "next", "final", "--from", DAY, "--days", 1, "--list", 3).out
    )
    done = call(database_url, "next", "final", "--from", DAY, "--days", 1)
    assert (done.code, done.out) == (1, "")
    assert "SWNON" in done.err
    assert call(database_url, "next", "final", "--list", 1, "--video", "a.mp4").code == 2


def test_move_moves_and_a_refused_move_changes_nothing(database_url: str) -> None:
    number = call_json(database_url, "reserve", DAY, "final", "10:00")["reservation_id"]
    call(database_url, "reserve", DAY, "short", "14:00")
    taken = call(database_url, "move", number, DAY, "14:00")
    assert taken.code == 1
    assert "SWTKN" in taken.err
    moved = call_json(database_url, "move", number, "2035-03-06", "9:00", "--version", 1)
    assert moved["scheduled_publish_time"] == "2035-03-06T09:00:00+00:00"
    assert "SWVER" in call(database_url, "move", number, DAY, "10:00", "--version", 1).err


def test_limits_are_shown_with_what_is_charged(database_url: str) -> None:
    shown = {row["limit_id"]: row for row in call_json(database_url, "limits")}
    assert shown["api_units"]["charges"] == {"final": 1600, "short": 1600}
    assert shown["final"]["charges"] == {"final": 1}
    assert (shown["final"]["max_units"], shown["final"]["counted_at"]) == (2, "publish")
    call(database_url, "channel", "add-type", "live")
    done = call(database_url, "limits")
    assert "10,000" in done.out
    assert "Without any limit: live" in done.err


def test_the_week_is_a_grid_with_bars(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    call(database_url, "reserve", DAY, "final", "12:30")
    monkeypatch.setenv("COLUMNS", str(WIDE))
    lines = call(database_url, "week", "2035-03-08").out.splitlines()
    rows = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in lines if "│" in line}
    assert [cell.strip() for cell in rows["10:00"]] == ["final #1", *"······"]
    assert rows["12:30"][0].strip() == "final #2"
    assert rows["final"][0].strip() == "████████"
    assert rows["final"][1].strip() == "░░░░░░░░"
    assert any("3.2k/10k" in line for line in lines)
    assert max(map(len, lines)) <= WIDE


def test_on_a_narrow_terminal_the_days_stand_below_each_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    monkeypatch.setenv("COLUMNS", str(NARROW))
    lines = call(database_url, "week", DAY, "--no-color").out.splitlines()
    assert max(map(len, lines)) <= NARROW
    assert lines.index("Mon 2035-03-05") < lines.index("  10:00 final #1")
    assert "  ████░░░░ 1/2 final" in lines
    assert "\x1b" not in "".join(lines)


def test_the_week_has_colours_where_they_are_wanted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;36mfinal" in call(database_url, "week", DAY).out
    assert "\x1b[1;36mfinal" not in call(database_url, "week", DAY, "--no-color").out


def test_a_week_beyond_the_last_day_is_a_mistake(database_url: str) -> None:
    done = call(database_url, "week", "9999-12-31", "--json")
    assert done.code == 2
    assert "after the last one, 9999-12-31" in done.json["error"]["message"]
    assert call(database_url, "week", "9999-12-26").code == 0


def test_the_week_as_json_has_bookings_and_usage(database_url: str) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    week = call_json(database_url, "week", "2035-03-11")
    assert (week["days"][0], week["days"][-1]) == (DAY, "2035-03-11")
    assert [entry["video_type"] for entry in week["entries"]] == ["final"]
    assert len(week["usage"]) == 7 * 3


def _booked_by_next(scheduler: Scheduler, video_type: str, count: int) -> list[dt.datetime]:
    return [
        scheduler.reserve_next_slot(video_type, FIRST, horizon_days=100).scheduled_publish_time
        for _ in range(count)
    ]


@pytest.mark.parametrize("lead", ["0", "1d9h"])
def test_a_forecast_is_what_booking_comes_to(database_url: str, engine: Engine, lead: str) -> None:
    scheduler = Scheduler(engine)
    call(database_url, "channel", "set", "default", "--lead", lead)
    call(database_url, "reserve", "2035-03-06", "final", "10:00")
    call(database_url, "limit", "override", "final", "2035-03-07", 0)
    call(database_url, "limit", "override", "api_units", "2035-03-08", 3200)
    scheduler.add_blackout(
        dt.datetime(2035, 3, 9, tzinfo=dt.UTC), dt.datetime(2035, 3, 10, tzinfo=dt.UTC), "holiday"
    )
    told = call_json(database_url, "forecast", "final=15", "short=30", "--from", DAY)
    booked = {
        name: _booked_by_next(scheduler, name, n) for name, n in (("final", 15), ("short", 30))
    }
    for each in told["types"]:
        instants = booked[each["video_type"]]
        assert each["placed"] == each["wanted"] == len(instants)
        assert each["first_slot"] == instants[0].isoformat()
        assert each["last_slot"] == instants[-1].isoformat()
        days = [instant.date() for instant in instants]
        assert each["most_a_day"] == max(map(days.count, days))
    assert told["types"][0]["closed_days"][:2] == ["2035-03-07", "2035-03-09"]


def test_a_forecast_changes_nothing_and_says_what_holds_it_back(
    database_url: str, connect: Connect
) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    everything = "select (select count(*) from slotwarden.{0}) as n"
    tables = ("reservation", "limit_day", "usage_ledger")
    observer = session(connect)
    before = [query(observer, everything.format(name))[0].n for name in tables]
    done = call(database_url, "forecast", "final=40", "--from", DAY)
    assert done.code == 0
    assert "40 final: until Sun 2035-03-25" in done.prose
    assert "at most 2 a day" in done.prose
    assert "held back by final on 20 days" in done.prose
    assert [query(observer, everything.format(name))[0].n for name in tables] == before


def test_what_does_not_fit_is_exit_code_1(database_url: str) -> None:
    done = call(database_url, "forecast", "final=5", "--from", DAY, "--days", 2)
    assert done.code == 1
    assert "only 4 fit into 2 days" in done.prose
    call(database_url, "limit", "set", "final", "--max", 0)
    assert (
        "none fits" in call(database_url, "forecast", "final=1", "--from", DAY, "--days", 2).prose
    )


def test_a_forecast_beyond_the_last_day_is_a_mistake(database_url: str) -> None:
    far = ("forecast", "final=3", "--from", "9999-06-01", "--json")
    assert "9999-12-31" in call(database_url, *far).json["error"]["message"]
    assert call(database_url, *far, "--days", 3).code == 2


@pytest.mark.parametrize("wish", ["final", "final=0", "final=-1", "=4", "final=x"])
def test_a_wish_that_makes_no_sense_is_a_mistake(database_url: str, wish: str) -> None:
    assert call(database_url, "forecast", wish).code == 2
