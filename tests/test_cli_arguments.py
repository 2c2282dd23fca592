"""What people type, before any database is asked."""

from __future__ import annotations

import datetime as dt

import pytest
import typer

from cli_support import call
from slotwarden.cli.arguments import as_day, as_duration, as_time_of_day, own_options_apart
from slotwarden.cli.output import shown

NOWHERE = "postgresql://nobody@localhost:1/nothing"

FLAGS = {"--json"}
VALUED = {"--schema"}


def test_a_time_of_day_is_read() -> None:
    assert as_time_of_day("9:05") == dt.time(9, 5)
    assert as_time_of_day("23:59:00") == dt.time(23, 59)


@pytest.mark.parametrize(
    "text", ["24:00", "10:00+02", "10:00Z", "10:00:30", "10", "10:60", "10:00 pm", ""]
)
def test_what_is_no_time_of_the_channels_clock_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        as_time_of_day(text)


def test_a_day_is_read_and_nothing_else() -> None:
    assert as_day("2027-03-01") == dt.date(2027, 3, 1)
    for text in ("2027-02-29", "tomorrow", "2027-03-01T10:00"):
        with pytest.raises(typer.BadParameter):
            as_day(text)


def test_durations() -> None:
    assert as_duration("0") == dt.timedelta(0)
    assert as_duration("1d2h3m") == dt.timedelta(days=1, hours=2, minutes=3)
    for text in ("", "2", "-1h", "1h1d", "99999999999d", f"{'9' * 5000}d"):
        with pytest.raises(typer.BadParameter, match=r"duration|long"):
            as_duration(text)


def test_own_options_may_stand_anywhere() -> None:
    written = ["calendar", "--json", "--days", "3", "--schema", "other", "--schema=third"]
    own, rest = own_options_apart(written, FLAGS, VALUED)
    assert own == ["--json", "--schema", "other", "--schema=third"]
    assert rest == ["calendar", "--days", "3"]


def test_what_is_psqls_stays_psqls() -> None:
    written = ["--json", "psql", "-c", "select 1", "--schema", "x", "--json"]
    assert own_options_apart(written, FLAGS, VALUED) == (written[:1], written[1:])
    left = ["reserve", "--", "--json"]
    assert own_options_apart(left, FLAGS, VALUED) == ([], left)


def test_a_forgotten_value_is_a_usage_error() -> None:
    assert call(NOWHERE, "status", "--schema").code == 2


def test_names_cannot_steer_the_terminal() -> None:
    assert shown("a\x1b[31mb\n") == r"a\x1b[31mb\n"
    assert shown("a\nb", lines=True) == "a\nb"
    assert shown("원더케이 [red]") == "원더케이 [red]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("reserve", "2027-03-01", "final", "25:00"),
        ("reserve", "yesterday", "final", "10:00"),
        ("reserve", "2027-03-01", "final"),
        ("recalculate", "--from", "2027-03-01"),
        ("calendar", "--days", "0"),
        ("no-such-command",),
    ],
)
def test_mistakes_are_told_before_the_database_is_asked(arguments: tuple[str, ...]) -> None:
    done = call(NOWHERE, *arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage:" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--json", "reserve", "2026-13-01", "final", "10:00"), "2026-13-01"),
        (("reserve", "2027-03-01", "final", "--json"), "TIME"),
        (("status", "--chanel", "x", "--json"), "--chanel"),
        (("rserve", "--json"), "rserve"),
        (("next", "final", "--list", "0", "--json"), "--list"),
        (("next", "final", "--list", "1", "--append", "--json"), "--list"),
        (("forecast", "final=abc", "--json"), "final=abc"),
        (("--json",), "Missing command"),
        (("channel", "--json"), "Missing command"),
        (("--json", "limit"), "Missing command"),
        (("db", "--json"), "Missing command"),
        (("--json", "--schema"), "--schema"),
    ],
)
def test_a_usage_error_is_a_document_for_programs(arguments: tuple[str, ...], told: str) -> None:
    done = call(NOWHERE, *arguments)
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2
    assert told in done.json["error"]["message"]
    assert "Error" in done.err


def test_a_group_shows_its_commands_to_people() -> None:
    assert "add-type" in call(NOWHERE, "channel").out


def test_what_psql_is_given_does_not_make_an_error_json() -> None:
    assert call(NOWHERE, "--schema", "", "psql", "--json").out == ""


def test_a_file_that_is_not_there_is_a_mistake() -> None:
    done = call(NOWHERE, "import", "no-such-file.csv")
    assert done.code == 2
    assert "no-such-file.csv: No such file or directory" in done.err


def test_help_tells_the_exit_codes_and_the_variables() -> None:
    told = " ".join(call(NOWHERE, "--help").out.split())
    for fact in (
        "SLOTWARDEN_DATABASE_URL",
        "SLOTWARDEN_SCHEMA",
        "NO_COLOR",
        "refused by a rule",
        "try again",
        "the outcome is unknown",
    ):
        assert fact in told


def test_help_tells_that_psql_takes_what_follows_it() -> None:
    assert "but for psql" in " ".join(call(NOWHERE, "--help").out.split())
    assert "slotwarden --schema other psql" in " ".join(call(NOWHERE, "psql", "--help").out.split())


def test_the_version_is_told() -> None:
    done = call(NOWHERE, "--version")
    assert done.code == 0
    assert done.out.startswith("slotwarden 0.")
