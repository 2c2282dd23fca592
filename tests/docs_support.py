"""Runs the examples of a page of documentation and shows their output as the page does.

A fenced block ``sql`` goes to psql, a block ``python`` to this interpreter, in the order of the
page, on one database. A block ``text`` right after one of them is the output that the page shows.
On the pages of `SHELL_PAGES` the blocks ``console`` go to a shell: a line that begins with ``$`` is
a command (with ``>`` it goes on), and what follows is its output.

Pages are written as on `SHOWN_TODAY`: dates near the present are moved there, with their weekdays.
That, the time of day in ``"now"`` and psql's LOCATION line are all that may differ.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, make_url

from slotwarden import Scheduler

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sql/*.md")])
SHELL_PAGES = [ROOT / "docs" / "tutorial.md", *sorted(ROOT.glob("docs/how-to/*.md"))]

SHOWN_TODAY = dt.date(2027, 1, 30)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DATE = re.compile(r"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(?<!\d)(\d{4}-\d\d-\d\d)(?!\d)")
_NOW = re.compile(r'("now": ")[^"]*"')
_COMMAND = re.compile(r"^\$ .*\n(?:> .*\n)*", re.MULTILINE)
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


def examples(text: str, *, shell: bool = False) -> list[Example]:
    """Return the blocks of a page that are to be run; those ``console`` too, if `shell`."""
    found = list(_FENCE.finditer(text))
    made = []
    for block, after in zip_longest(found, found[1:]):
        if shell and block[1] == "console":
            line = text.count("\n", 0, block.start()) + 2
            made.append(Example("console", block[2], line, block[2], block.span(2)))
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


def today_in_utc() -> dt.date:
    """Return the day that the server's ``current_date`` is, too."""
    return dt.datetime.now(dt.UTC).date()


def as_shown(output: str, today: dt.date) -> str:
    """Return output as it would be on `SHOWN_TODAY`, without what differs from run to run."""

    def moved(found: re.Match[str]) -> str:
        try:
            days = (dt.date.fromisoformat(found[2]) - today).days
        except ValueError:
            return found[0]
        if not -_PAST_DAYS <= days <= _COMING_DAYS:
            return found[0]
        day = SHOWN_TODAY + dt.timedelta(days)
        return f"{day:%a} {day}" if found[1] else str(day)

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


class Shell:
    """A shell that runs blocks one after the other, in an empty folder, and shows what they print.

    PostgreSQL's programs and slotwarden's are in its path, and all work on one database.
    """

    def __init__(self, binaries: Path, url: str, folder: Path) -> None:
        address = make_url(url)
        settings = {
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), str(binaries), os.environ["PATH"]]
            ),
            "SLOTWARDEN_DATABASE_URL": url,
            "PGHOST": str(address.query["host"]),
            "PGPORT": str(address.query["port"]),
            "PGUSER": str(address.username),
            "PGDATABASE": str(address.database),
            "PGTZ": "UTC",
            "TZ": "UTC",
            "COLUMNS": "80",
            "NO_COLOR": "1",
        }
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=os.environ | settings,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def run(self, code: str) -> str:
        """Run the commands of a block, and return them with what each prints."""
        printed = ""
        for command in _COMMAND.findall(code):
            if sys.platform == "darwin":
                # As the page tells those who have BSD's.
                command = command.replace("date -u -d '+30 days'", "date -u -v+30d")  # noqa: PLW2901
            printed += command + self._output(re.sub(r"^[$>] ?", "", command, flags=re.MULTILINE))
        return printed

    def _output(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Nothing may read the commands that are still to come; $? stays the command's.
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nended=$?\n")
        self._process.stdin.write(f"echo '{_END}'\n(exit $ended)\n")
        self._process.stdin.flush()
        output = ""
        for line in self._process.stdout:
            output += line
            if output.endswith(f"{_END}\n"):
                return output.removesuffix(f"{_END}\n")
        raise AssertionError(f"the shell ended: {output}")


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


def run(
    page: str, text: str, psql: Psql, shell: Shell | None = None
) -> Iterator[tuple[Example, str]]:
    """Run the examples of a page in order, and yield each with its output as the page shows it."""
    today = today_in_utc()
    python = Python(page)
    try:
        for example in examples(text, shell=shell is not None):
            if example.language == "sql":
                output = psql.run(example.code)
            elif shell is not None and example.language == "console":
                output = shell.run(example.code)
            else:
                output = python.run(example)
            yield example, as_shown(output, today)
    finally:
        python.close()
