"""Tables on narrow terminals: nothing that counts may be cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_support import call

DAY = "2035-03-05"
NARROW = 40


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))


def told(url: str, *arguments: object) -> str:
    """Run a command whose output must fit, and give it with single blanks."""
    out = call(url, *arguments).out
    assert max(map(len, out.splitlines())) <= NARROW
    assert "…" not in out
    return " ".join(out.split())


@pytest.mark.usefixtures("narrow")
def test_the_calendar_names_days_and_times(database_url: str) -> None:
    for day, hour in ((DAY, 10), (DAY, 14), ("2035-03-07", 18)):
        call(database_url, "reserve", day, "short", f"{hour}:00", "--video", f"{hour}.mp4")
    shown = told(database_url, "calendar", "--from", DAY)
    assert "10:00 Mon 03-05 short #1 10.mp4" in shown
    assert "14:00 Mon 03-05 short #2 14.mp4" in shown
    assert "18:00 Wed 03-07 short #3 18.mp4" in shown


@pytest.mark.usefixtures("narrow")
def test_limits_and_their_use_keep_their_figures(database_url: str) -> None:
    call(database_url, "reserve", DAY, "short", "10:00")
    limits = told(database_url, "limits")
    for fact in ("a day 10,000", "short: 1,600", "America/Los_Angeles", "warns at 80 %"):
        assert fact in limits
    status = told(database_url, "status", "--day", DAY)
    for fact in ("1,600 of 10,000", "left 8,400", "day 2035-03-05 America/Los_Angeles", "UTC"):
        assert fact in status


@pytest.mark.usefixtures("narrow")
def test_an_import_tells_the_whole_reasons(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "videos.csv"
    file.write_text(
        "video,channel,type,publish_time\n"
        "a.mp4,default,final,2001-01-01 10:00\n"
        "b.mp4,default,film,2035-03-05 10:00\n"
    )
    shown = told(database_url, "import", str(file))
    reasons = {
        row["reason"] for row in call(database_url, "import", file, "--json").json["not_booked"]
    }
    assert len(reasons) == 2
    for reason in reasons:
        assert reason in shown


def test_a_terminal_of_80_characters_has_room_for_a_week(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    call(database_url, "reserve", DAY, "final", "10:00", "--video", "a-longer-name-of-a-video.mp4")
    lines = call(database_url, "calendar", "--from", DAY).out.splitlines()
    assert any(line.startswith("│ 10:00 │ final") for line in lines)
    assert max(map(len, lines)) <= 80
