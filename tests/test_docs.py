"""The documentation is true: its examples run and show what they show, its links lead somewhere.

After a change of what is printed, ``SLOTWARDEN_WRITE_DOCS=1`` writes the outputs into the pages
instead of comparing them. Read the difference before you commit it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from conftest import Copies
from docs_support import (
    PAGES,
    ROOT,
    SHELL_PAGES,
    SHOWN_TODAY,
    Example,
    Psql,
    Shell,
    as_shown,
    examples,
    prose,
    read,
    run,
    today_in_utc,
)
from slotwarden.cli.application import app
from slotwarden.embedded import find_binaries

_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# --- examples -----------------------------------------------------------------------------------


@pytest.fixture
def fresh_database_url(copies: Copies) -> Iterator[Any]:
    """Make the URL of one more fresh database with slotwarden, and another when called again."""
    with ExitStack() as made:
        yield lambda: made.enter_context(copies())


@pages
def test_examples_print_what_the_page_shows(
    page: Path, fresh_database_url: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = read(page)
    in_shell = page in SHELL_PAGES
    if not examples(text, shell=in_shell):
        return
    day_before = None
    # Once more, if midnight came in between.
    while day_before != (today := today_in_utc()):
        day_before = today
        url = fresh_database_url()
        monkeypatch.setenv("SLOTWARDEN_DATABASE_URL", url)
        folder = tmp_path / str(today)
        folder.mkdir()
        with ExitStack() as programs:
            psql = programs.enter_context(Psql(find_binaries() / "psql", url))
            shell = Shell(find_binaries(), url, folder) if in_shell else None
            if shell is not None:
                programs.enter_context(shell)
            ran = list(run(str(page), text, psql, shell))
    if os.environ.get("SLOTWARDEN_WRITE_DOCS"):
        write_outputs(page, text, ran)
        return
    wrong = [difference(example, output) for example, output in ran]
    assert not any(wrong), "\n".join(filter(None, wrong))


def difference(example: Example, output: str) -> str:
    """Return how an output differs from the page's; nothing, if it does not."""
    if example.shown is None:
        # Not every command tag is worth showing, but no error goes unseen.
        failed = "ERROR: " in output or (example.language == "python" and output)
        return f"line {example.line}:\n{output}" if failed else ""
    shown = as_shown(example.shown, SHOWN_TODAY)
    return "" if output == shown else f"line {example.line} shows\n{shown}but prints\n{output}"


def write_outputs(page: Path, text: str, ran: list[tuple[Example, str]]) -> None:
    for example, output in reversed(ran):
        if example.place is not None:
            begin, end = example.place
            text = text[:begin] + output + text[end:]
    page.write_text(text, encoding="utf-8")


# --- links and names ----------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    made: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        names = chain([slug], (f"{slug}-{number}" for number in count(1)))
        made.add(next(name for name in names if name not in made))
    return made


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


def test_every_page_is_looked_at() -> None:
    """What others have written, such as licences, is not ours to check."""
    ours = {
        page
        for folder in ("docs", "sql", "pylib", "alembic", "tests", "benchmarks", "examples", ".ci")
        for page in (ROOT / folder).rglob("*.md")
        if "vendor" not in page.parts
    }
    assert ours | {ROOT / "README.md"} <= set(PAGES)


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in _LINK.findall(prose(index))}
    assert {page for page in PAGES if index.parent in page.parents} - {index} <= linked


@cache
def functions_in(file: Path) -> set[str]:
    tree = ast.parse(read(file))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pages
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in re.findall(r"(tests/\w+\.py)::(\w+)", read(page)):
        assert name in functions_in(ROOT / path), f"{path}::{name}"


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    named = r"`((?:sql|alembic|pylib|tests|docs|examples|benchmarks|\.ci)/[\w./-]*\w)/?`"
    for path in re.findall(named, prose(page)):
        assert (ROOT / path).exists(), path


@pages
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE)
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", read(page), re.MULTILINE):
        assert target in targets


@cache
def root_command() -> Any:
    return get_command(app)


@pages
def test_commands_that_are_named_exist(page: Path) -> None:
    shared = {name for option in root_command().params for name in option.opts}
    for line in re.findall(r"(?:`|^\$ )slotwarden ([a-z][^`\n]*)", read(page), re.MULTILINE):
        command = root_command()
        for word in line.split():
            inner = getattr(command, "commands", None)
            if inner is None:
                break
            assert word in inner, f"slotwarden {line}"
            command = inner[word]
        options = shared | {name for option in command.params for name in option.opts}
        for option in re.findall(r"(?<!\S)--[a-z-]+", line.partition(" -- ")[0]):
            assert option in options, f"slotwarden {line}: no option {option}"
