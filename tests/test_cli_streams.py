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
