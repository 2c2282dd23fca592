"""Streams that are full, closed or no longer read, and what the exit code says then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cli_support import call_json, command, environment

DAY = "2035-03-05"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def run_into(stdout: int | Path, url: str, *arguments: object) -> tuple[int, str]:
    """Run a command with a standard output of its own; give its exit code and what it told."""
    target = os.open(stdout, os.O_WRONLY) if isinstance(stdout, Path) else stdout
    try:
        done = subprocess.run(
            command(*arguments),
            env=environment(url),
            stdout=target,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(target)
    return done.returncode, done.stderr


@needs_full
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_booking_whose_output_is_lost_is_told_as_carried_out(
    database_url: str, as_json: list[str]
) -> None:
    code, told = run_into(FULL, database_url, "reserve", DAY, "final", "10:00", *as_json)
    assert code == 74
    assert told.startswith("Error: carried out, but its output is lost: No space left")
    assert told.count("\n") == 1
    assert len(call_json(database_url, "calendar", "--from", DAY)) == 1


@needs_full
def test_a_refusal_whose_output_is_lost_stays_a_refusal(database_url: str) -> None:
    call_json(database_url, "reserve", DAY, "final", "10:00")
    code, told = run_into(FULL, database_url, "reserve", DAY, "final", "10:00", "--json")
    assert code == 1
    assert "SWTKN" in told
    assert "Traceback" not in told


@needs_full
def test_sql_that_cannot_be_written_is_lost_output() -> None:
    code, told = run_into(FULL, "postgresql://nobody@localhost:1/x", "db", "upgrade", "--sql")
    assert (code, told.count("\n")) == (74, 1)


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("reserve", "--help"), ("--show-completion",)]
)
def test_help_that_is_no_longer_read_is_no_traceback(arguments: tuple[str, ...]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    assert run_into(writes, "postgresql://nobody@localhost:1/x", *arguments) == (141, "")


@needs_full
@pytest.mark.parametrize("arguments", [("--version",), ("--help",)])
def test_help_that_cannot_be_written_is_lost_output(arguments: tuple[str, ...]) -> None:
    code, told = run_into(FULL, "postgresql://nobody@localhost:1/x", *arguments)
    assert (code, told.count("\n")) == (74, 1)


def run_without(stream: str, url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command with one of its streams closed, as a shell does it."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {stream}', "sh", *command(*arguments)],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_standard_output_that_is_closed_is_lost_output(database_url: str) -> None:
    done = run_without(">&-", database_url, "reserve", DAY, "final", "10:00")
    assert done.returncode == 74
    assert "Bad file descriptor" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(call_json(database_url, "calendar", "--from", DAY)) == 1


def test_a_standard_error_that_is_closed_changes_nothing(database_url: str) -> None:
    done = run_without("2>&-", database_url, "reserve", DAY, "final", "10:00", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"reservation_id"' in done.stdout
    refused = run_without("2>&-", database_url, "reserve", DAY, "final", "10:00", "--json")
    assert refused.returncode == 1
    assert "SWTKN" in refused.stdout
