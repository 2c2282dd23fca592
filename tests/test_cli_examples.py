"""The examples in the help texts: each command has one, it runs, and it can answer in JSON."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli_support import call
from slotwarden.cli.application import app
from slotwarden.cli.examples import EXAMPLES
from support import Connect, session, set_clock

# Commands whose examples are not run here, and why.
ELSEWHERE = {
    "import-langflix": "reads a database of its own; its JSON: test_langflix_import",
    "rebook": "needs a conflict of such an import; its JSON: test_langflix_import",
    "psql": "is psql from then on: test_cli_processes",
    "demo": "takes seconds: test_demo",
    "web": "runs until it is ended: test_web_command",
}
NOW = "2027-01-30 12:00Z"


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))
    if not hasattr(command, "commands"):
        yield " ".join(words), command


def test_every_command_has_an_example_below_its_help() -> None:
    found = dict(commands(get_command(app)))
    assert set(found) == set(EXAMPLES)
    for words in found:
        assert EXAMPLES[words].startswith(f"slotwarden {words}")
    told = " ".join(call(None, "next", "--help").out.split())
    assert f"Example: {EXAMPLES['next']}" in told


def test_the_examples_run_and_answer_in_json(
    database_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_clock(session(connect), NOW)
    monkeypatch.chdir(tmp_path)
    Path("videos.csv").write_text(
        "channel,type,publish_time,video\ndefault,short,2026-03-08 16:00,a.mp4\n", "utf-8"
    )
    for words, example in EXAMPLES.items():
        if words in ELSEWHERE:
            continue
        more = ["--yes"] if words == "db downgrade" else []
        done = call(database_url, *shlex.split(example)[1:], *more, "--json")
        # The doctor finds that the tests' server need not survive a crash.
        assert done.code == (1 if words == "doctor" else 0), (example, done.out, done.err)
        assert isinstance(done.json, dict | list), example


def test_the_shell_completes_commands_and_options() -> None:
    def completed(typed: str) -> set[str]:
        words = typed.split(" ")
        done = CliRunner().invoke(
            app,
            prog_name="slotwarden",
            env={
                "_SLOTWARDEN_COMPLETE": "complete_bash",
                "COMP_WORDS": typed,
                "COMP_CWORD": str(len(words) - 1),
            },
        )
        return set(re.split(r"\s+", done.stdout))

    assert {"next", "move", "week", "forecast", "doctor"} <= completed("slotwarden ")
    assert "--list" in completed("slotwarden next --")
    assert {"set", "override", "charge"} <= completed("slotwarden limit ")
