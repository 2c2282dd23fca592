"""Runs the examples of a page of documentation and shows their output as the page does.

A fenced block ``sql`` goes to psql, a block ``python`` to this interpreter, in the order of the
page, on one database. A block ``text`` right after one of them is the output that the page shows.

Pages are written as on `SHOWN_TODAY`: dates near the present are moved there. That, the time of
day in ``"now"`` and psql's LOCATION line are all that may differ.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from slotwarden import Scheduler

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("sql/*.md")])

SHOWN_TODAY = dt.date(2027, 1, 30)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DATE = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
_NOW = re.compile(r'("now": ")[^"]*"')
_END = "-- end of the block --"
_PAST_DAYS, _COMING_DAYS = 5, 120


def read(page: Path) -> str:
    """Return a page."""
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A block that is run; `shown` is the output on the page, `place` where that stands."""

    language: str
    code: str
    line: int
    shown: str | None
    place: tuple[int, int] | None


def examples(text: str) -> list[Example]:
    """Return the blocks of a page that are to be run."""
    found = list(_FENCE.finditer(text))
    made = []
    for block, after in zip_longest(found, found[1:]):
        if block[1] not in ("sql", "python"):
            continue
        shown = None
        if after and after[1] == "text" and not text[block.end() : after.start()].strip():
            shown = after
        made.append(
            Example(
                language=block[1],
                code=block[2],
                line=text.count("\n", 0, block.start()) + 2,
                shown=shown[2] if shown else None,
                place=shown.span(2) if shown else None,
            )
        )
    return made


def as_shown(output: str, today: dt.date) -> str:
    """Return output as it would be on `SHOWN_TODAY`, without what differs from run to run."""

    def moved(found: re.Match[str]) -> str:
        try:
            days = (dt.date.fromisoformat(found[0]) - today).days
        except ValueError:
            return found[0]
        near = -_PAST_DAYS <= days <= _COMING_DAYS
        return str(SHOWN_TODAY + dt.timedelta(days)) if near else found[0]

    lines = [line.rstrip() for line in output.splitlines() if not line.startswith("LOCATION: ")]
    text = _NOW.sub(rf'\1{SHOWN_TODAY}T09:12:44Z"', _DATE.sub(moved, "\n".join(lines)))
    return text.strip("\n") + "\n" if text.strip() else ""


class Psql:
    """A psql that runs blocks one after the other, in one session."""

    def __init__(self, program: Path, url: str) -> None:
        settings = {"PGTZ": "UTC", "PGOPTIONS": "-c statement_timeout=30s", "PGAPPNAME": "psql"}
        self._process = subprocess.Popen(
            [program, "--no-psqlrc", "--no-password", "--set=VERBOSITY=verbose",
             "--set=SHOW_CONTEXT=never", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | settings,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def run(self, code: str) -> str:
        """Run a block and return what it prints, errors included."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # \warn, since standard error is not buffered, and results are flushed before it.
        self._process.stdin.write(f"{code}\n\\warn '{_END}'\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.rstrip("\n") == _END:
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"psql ended: {''.join(lines)}")


class Python:
    """One namespace for the Python blocks of a page."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._names: dict[str, Any] = {"__name__": "example"}

    def run(self, example: Example) -> str:
        """Run a block and return what it prints."""
        # Line numbers of a traceback are those of the page.
        source = "\n" * (example.line - 1) + example.code
        code = compile(source, self._page, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self._names)  # noqa: S102
        return printed.getvalue()

    def close(self) -> None:
        """Close what the examples have left open."""
        for value in self._names.values():
            if isinstance(value, Engine):
                value.dispose()
            elif isinstance(value, Scheduler):
                value.close()


def run(page: str, text: str, psql: Psql) -> Iterator[tuple[Example, str]]:
    """Run the examples of a page in order, and yield each with its output as the page shows it."""
    today = dt.datetime.now(dt.UTC).date()
    python = Python(page)
    try:
        for example in examples(text):
            output = psql.run(example.code) if example.language == "sql" else python.run(example)
            yield example, as_shown(output, today)
    finally:
        python.close()
