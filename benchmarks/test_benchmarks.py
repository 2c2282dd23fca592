"""The benchmark's smoke run: every contender books what it is asked to, whatever it costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import options
from benchmarks.report import write_page
from benchmarks.run import choose
from slotwarden.embedded.account import server_account
from slotwarden.embedded.places import temporary_directory

ROOT = Path(__file__).parents[1]
ROOM = 5


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    # As root the server's account has to reach the folder, which pytest's own forbids.
    folder = temporary_directory(server_account(), in_memory=False)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke", "--out", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    try:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        raw: dict[str, Any] = json.loads((folder / "results.json").read_text())
    finally:
        shutil.rmtree(folder)
    return raw


def test_every_contender_books_what_it_is_asked_to(results: dict[str, Any]) -> None:
    seen = {(cell["shape"], cell["contender"]): cell["rounds"] for cell in results["cells"]}
    contenders = {"bare", "sql", "python", "orm", "serializable", "redis"} - set(results["skipped"])
    assert {contender for shape, contender in seen if shape == "distinct"} == contenders
    for (shape, contender), (figures,) in seen.items():
        assert figures["calls"] > 0, (shape, contender)
        if shape in ("distinct", "existing", "hot", "burst", "next_full", "next_free"):
            assert figures["booked"] == figures["calls"], (shape, contender)
        if shape.startswith("full"):
            assert figures["booked"] == 0, contender


def test_nobody_books_more_than_there_is_room_for(results: dict[str, Any]) -> None:
    raced = [cell for cell in results["cells"] if cell["shape"] == "race"]
    assert {cell["contender"] for cell in raced} >= {"sql", "python", "orm", "serializable"}
    for cell in raced:
        (figures,) = cell["rounds"]
        assert figures["calls"] > ROOM
        assert figures["booked"] == ROOM, cell["contender"]
    (checked,) = results["checked"].values()
    assert checked == {"drift": 0, "orm_overbooked": 0, "ledger_overbooked": 0}


def test_a_refusal_writes_no_wal(results: dict[str, Any]) -> None:
    explained = {row["statement"]: row for row in results["explain"]}
    refused = explained["slotwarden, refused: the day is full"]
    assert refused["WAL Records"] == refused["WAL Bytes"] == 0
    assert explained["slotwarden, the day exists"]["WAL Records"] > 0


@pytest.mark.parametrize(
    "arguments", [["--rounds", "0"], ["--seconds", "-1"], ["--sizes", "17"], ["--sizes", "x"]]
)
def test_options_that_cannot_be_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options.read(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_cells_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="no cell matches"):
        choose(options.read(["--cells", "colder/*"]))


def test_the_page_keeps_its_notes(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    write_page(results, page, Console(), pictures=False)
    first = page.read_text()
    assert first.startswith("# Performance\n")
    end = "<!-- end of the notes -->"
    noted = first.replace(end, f"Narrower rows bought a tenth.\n{end}")
    page.write_text(noted)
    write_page(results, page, Console(), pictures=False)
    assert page.read_text() == noted
