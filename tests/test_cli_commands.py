"""Each command against a real database: what it shows, its JSON, its exit code."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from sqlalchemy import Engine

from cli_support import call, call_json
from slotwarden import Scheduler
from slotwarden.cli.output import Output
from slotwarden.cli.pictures import weeks

DAY = "2035-03-05"


def test_reserve_books_and_says_what(database_url: str) -> None:
    done = call(database_url, "reserve", DAY, "final", "10:00", "--video", "a [red].mp4")
    assert done.code == 0
    assert "a [red].mp4" in done.out
    assert "Mon 2035-03-05 10:00 (UTC)" in done.out
    assert done.err == ""


def test_reserve_as_json_is_the_reservation(database_url: str, engine: Engine) -> None:
    booked = call_json(database_url, "reserve", DAY, "final", "10:00", "--key", "k1")
    assert booked["scheduled_publish_time"] == "2035-03-05T10:00:00+00:00"
    again = call_json(database_url, "reserve", DAY, "final", "10:00", "--key", "k1")
    assert again == booked
    (entry,) = Scheduler(engine).calendar(dt.date(2035, 3, 5), 1)
    assert entry.reservation_id == booked["reservation_id"]


def test_a_taken_slot_is_exit_code_1_with_sqlstate_and_hint(database_url: str) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    done = call(database_url, "reserve", DAY, "short", "10:00")
    assert done.code == 1
    assert done.out == ""
    assert "SWTKN" in done.err
    assert "HINT: The next free slot is" in done.err


def test_a_refusal_as_json_is_a_document_too(database_url: str) -> None:
    for hour in (10, 11):
        call(database_url, "reserve", DAY, "final", f"{hour}:00")
    done = call(database_url, "reserve", DAY, "final", "12:00", "--json")
    assert done.code == 1
    error = done.json["error"]
    assert error["sqlstate"] == "SWLIM"
    assert error["exit_code"] == 1
    assert (error["detail"]["limit"], error["detail"]["used"]) == ("final", 2)
    assert "SWLIM" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "sqlstate"),
    [
        (("reserve", DAY, "film", "10:00"), 2, "SWTYP"),
        (("reserve", DAY, "final", "10:00", "--channel", "none"), 2, "SWCHN"),
        (("reserve", "2001-01-01", "final", "10:00"), 1, "SWPST"),
        (("cancel", "99"), 2, "SWNFD"),
        (("channel", "create", "other", "--time-zone", "Mars/Base"), 2, "SWARG"),
        (("limit", "set", "nothing", "--max", "1"), 2, "SWARG"),
    ],
)
def test_exit_codes_tell_mistakes_from_refusals(
    database_url: str, arguments: tuple[str, ...], code: int, sqlstate: str
) -> None:
    done = call(database_url, *arguments)
    assert (done.code, done.out) == (code, "")
    assert sqlstate in done.err


def test_cancel_frees_the_slot_and_refuses_a_stale_version(database_url: str) -> None:
    number = call_json(database_url, "reserve", DAY, "final", "10:00")["reservation_id"]
    stale = call(database_url, "cancel", number, "--version", "7")
    assert stale.code == 1
    assert "SWVER" in stale.err
    assert call_json(database_url, "cancel", number, "--version", 1)["upload_status"] == "cancelled"
    assert call(database_url, "reserve", DAY, "final", "10:00").code == 0


def test_the_calendar_is_a_picture_of_the_week(database_url: str) -> None:
    call(database_url, "reserve", DAY, "final", "10:00", "--video", "a.mp4")
    call(database_url, "reserve", "2035-03-07", "short", "14:30")
    done = call(database_url, "calendar", "--from", DAY)
    assert done.code == 0
    (ten,) = [line for line in done.out.splitlines() if line.startswith("│ 10:00")]
    assert ten.split("│")[2].strip() == "final #1"
    (half_past,) = [line for line in done.out.splitlines() if line.startswith("│ 14:30")]
    assert half_past.split("│")[4].strip() == "short #2"
    assert len(call_json(database_url, "calendar", "--from", DAY)) == 2


def test_an_empty_calendar_says_so(database_url: str) -> None:
    assert "Nothing is booked on default" in call(database_url, "calendar").out
    assert call_json(database_url, "calendar") == []


def test_each_week_with_bookings_is_drawn(engine: Engine) -> None:
    scheduler = Scheduler(engine)
    first = dt.date(2035, 3, 5)
    for days in (0, 6, 15):
        scheduler.reserve_slot(first + dt.timedelta(days=days), "final", dt.time(10, 0))
    entries = scheduler.calendar(first, 17)
    drawn = weeks(entries, first, 17, "default")
    assert [len(table.columns) for table in drawn] == [8, 4]


def test_status_shows_what_is_left(database_url: str) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    rows = {row["limit_id"]: row for row in call_json(database_url, "status", "--day", DAY)}
    assert (rows["final"]["used_units"], rows["final"]["remaining_units"]) == (1, 1)
    assert rows["api_units"]["used_units"] == 1600
    shown = call(database_url, "status", "--day", DAY).out
    assert "1,600" in shown
    assert "America/Los_Angeles" in shown


def test_channels_are_made_and_set(database_url: str) -> None:
    made = call_json(
        database_url, "channel", "create", "Björk", "--time-zone", "Asia/Seoul",
        "--lead", "90m", "--share", "api_units",
    )  # fmt: skip
    assert (made["time_zone"], made["upload_lead"]) == ("Asia/Seoul", 5400)
    limits = {row["limit_id"] for row in call_json(database_url, "status", "-c", "Björk")}
    assert limits == {"Björk/final", "Björk/short", "api_units"}
    changed = call_json(database_url, "channel", "set", "Björk", "--lead", "0")
    assert (changed["time_zone"], changed["upload_lead"]) == ("Asia/Seoul", 0)
    call_json(database_url, "channel", "add-type", "live", "--channel", "Björk")
    assert call(database_url, "reserve", DAY, "live", "10:00", "-c", "Björk").code == 0
    listed = {row["channel_id"]: row for row in call_json(database_url, "channel", "list")}
    assert listed["Björk"]["video_types"] == ["final", "live", "short"]
    assert "Asia/Seoul" in call(database_url, "channel", "list").out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("status", "--channel", "none"), "slotwarden channel list"),
        (("next", "film"), "slotwarden channel list"),
        (("cancel", "99"), "slotwarden calendar"),
        (("rebook", "99"), "slotwarden import-conflicts"),
        (("limit", "set", "none", "--max", "3"), "slotwarden limits"),
        (("limit", "charge", "final", "none", "1"), "slotwarden limits"),
        (("limit", "override", "none", DAY, "3"), "slotwarden limits"),
    ],
)
def test_what_is_not_there_leads_to_the_command_that_shows_what_is(
    database_url: str, arguments: tuple[str, ...], named: str
) -> None:
    refused = call(database_url, *arguments)
    assert named in refused.err
    assert call(database_url, *named.split()[1:]).code == 0


def test_a_limit_that_is_not_there_is_made_by_what_the_hint_says(database_url: str) -> None:
    refused = call(database_url, "limit", "override", "uploads", DAY, "3", "--json")
    found = re.search(r"'slotwarden (limit set .+?)'", refused.json["error"]["hint"])
    assert found is not None
    made = found[1].replace("LIMIT", "uploads").replace("UNITS", "3").split()
    assert call(database_url, *made).code == 0
    assert call(database_url, "limit", "override", "uploads", DAY, "3").code == 0


def test_limits_are_set_overridden_and_charged(database_url: str) -> None:
    made = call_json(
        database_url, "limit", "set", "uploads", "--max", 100, "--counted-at", "upload"
    )
    assert (made["max_units"], made["time_zone"]) == (100, None)
    assert call_json(database_url, "limit", "charge", "final", "uploads", 1)["units"] == 1
    day = call_json(database_url, "limit", "override", "uploads", DAY, 0)
    assert (day["max_units"], day["overridden"]) == (0, True)
    refused = call(database_url, "reserve", DAY, "final", "10:00", "--json")
    assert refused.json["error"]["detail"]["limit"] == "uploads"
    assert call_json(database_url, "limit", "override", "uploads", DAY)["overridden"] is False
    assert call(database_url, "reserve", DAY, "final", "10:00").code == 0


def test_recalculate_says_what_it_would_change_and_then_does(database_url: str) -> None:
    span = ("--from", DAY, "--to", DAY)
    call(database_url, "reserve", DAY, "final", "10:00")
    assert "Everything adds up" in call(database_url, "recalculate", *span).out
    call(database_url, "limit", "charge", "final", "final", 2)
    would = call_json(database_url, "recalculate", *span, "--recharge", "--dry-run")
    assert [(change["limit_id"], change["units_after"]) for change in would] == [("final", 2)]
    assert call_json(database_url, "recalculate", *span, "--recharge") == would
    assert call_json(database_url, "recalculate", *span, "--recharge") == []


def test_what_cannot_be_recharged_is_exit_code_1(database_url: str) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    call(database_url, "limit", "charge", "final", "final", 3)
    done = call(database_url, "recalculate", "--from", DAY, "--to", DAY, "--recharge")
    assert done.code == 1
    assert "refused" in done.out


def test_colours_are_for_terminals_and_can_be_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Output().notice("said", style="red")
    Output(color=False).notice("said", style="red")
    monkeypatch.setenv("NO_COLOR", "1")
    Output().notice("said", style="red")
    coloured, plain, also_plain = capsys.readouterr().err.splitlines()
    assert "31m" in coloured
    assert "31m" not in plain
    assert "31m" not in also_plain
