"""Running the command line: in this process, or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from slotwarden.cli.application import app
from support import PgConnection, query

_SECONDS = 120
_TRIES = 3000


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stands on standard output, which must be one JSON document."""
        return json.loads(self.out)

    @property
    def prose(self) -> str:
        """What stands on standard output, wherever the terminal breaks its lines."""
        return " ".join(self.out.split())


def environment(url: str | None, **more: str) -> dict[str, str]:
    """Return the environment of a command that works on `url`; None: on the embedded server."""
    inherited = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
    if url is not None:
        inherited["SLOTWARDEN_DATABASE_URL"] = url
    return inherited | more


def command(*arguments: object) -> list[str]:
    """Return the command line of a process of its own."""
    return [sys.executable, "-m", "slotwarden", *map(str, arguments)]


def run(url: str | None, *arguments: object, stdin: str = "", **more: str) -> Finished:
    """Run a command as a process of its own."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        env=environment(url, **more),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def call(url: str | None, *arguments: object, stdin: str | bytes = "") -> Finished:
    """Run a command in this process, which is quicker; what it does not expect is raised."""
    result = CliRunner().invoke(
        app,
        [str(argument) for argument in arguments],
        input=stdin,
        env={"SLOTWARDEN_DATABASE_URL": url},
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Finished(result.exit_code, result.stdout, result.stderr)


def call_json(url: str, *arguments: object) -> Any:
    """Run a command in this process, which must succeed, and return its JSON."""
    done = call(url, *arguments, "--json")
    assert done.code == 0, done.err
    return done.json


def waiting_backend(observer: PgConnection, application_name: str) -> int:
    """Wait until a process waits for a lock in the database, and return its backend."""
    sql = (
        "select pid, pg_sleep(0.01) from pg_stat_activity"
        " where application_name = %s and wait_event_type = 'Lock'"
        " union all select null, pg_sleep(0.01)"
    )
    for _ in range(_TRIES):
        found = [row.pid for row in query(observer, sql, application_name) if row.pid is not None]
        if found:
            return int(found[0])
    pytest.fail(f"{application_name} did not come to wait for a lock")
