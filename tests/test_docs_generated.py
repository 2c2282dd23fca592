"""The generated reference is current, and whole: everything in it says what it is for."""

from __future__ import annotations

import re
import runpy

import pytest

from docs_support import PAGES, ROOT, read
from support import Connect, query, session

# Headings of what follows.
_GROUPS = {"Tables", "Views", "Functions", "Records"}

generated = runpy.run_path(str(ROOT / ".ci" / "reference.py"))


def test_the_generated_reference_is_current(database_url: str) -> None:
    for page, content in generated["pages"](database_url).items():
        assert read(page) == content, f"{page.name} is out of date: make reference"


@pytest.mark.parametrize("page", ["sql.md", "python.md"])
def test_nothing_in_the_generated_reference_is_undescribed(page: str) -> None:
    text = read(ROOT / "docs" / "reference" / page)
    for row in re.findall(r"^\| .*$", text, re.MULTILINE):
        *_, last = re.split(r"(?<!\\)\|", row.strip("| "))
        assert last.strip(), row
    _, *sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    for section in sections:
        name, _, below = section.partition("\n")
        described = re.sub(r"^```.*?^```$", "", below, flags=re.MULTILINE | re.DOTALL)
        assert described.strip() or name in _GROUPS, name


def test_a_docstring_becomes_markdown() -> None:
    def described() -> None:
        """Do ``it``.

        Parameters
        ----------
        it : str, optional
            What to do,
            in words.

        Raises
        ------
        NotDone (SWNOT)
        """

    assert generated["markdown"](described) == (
        "Do `it`.\n\n**Parameters**\n\n- `it`: str, optional\n  What to do,\n  in words.\n"
        "\n**Raises**\n\n- NotDone (SWNOT)\n"
    )


def test_the_diagram_of_the_tables_is_true(connect: Connect) -> None:
    (diagram,) = re.findall(
        r"^```mermaid\nerDiagram\n(.*?)^```$",
        read(ROOT / "docs" / "explanation.md"),
        re.MULTILINE | re.DOTALL,
    )
    db = session(connect)
    drawn = set(re.findall(r"^ +(\w+) \S+--\S+ (\w+) :", diagram, re.MULTILINE))
    tables = {table for pair in drawn for table in pair}
    keys = query(
        db,
        "select p.relname as parent, c.relname as child from pg_constraint as k"
        " join pg_class as c on c.oid = k.conrelid join pg_class as p on p.oid = k.confrelid"
        " where k.contype = 'f' and c.relnamespace = 'slotwarden'::regnamespace",
    )
    assert drawn == {(key.parent, key.child) for key in keys if {key.parent, key.child} <= tables}
    boxes = re.findall(r"^ +(\w+) \{\n(.*?)^ +\}$", diagram, re.MULTILINE | re.DOTALL)
    for table, columns in boxes:
        for type_name, column in re.findall(r"(\w+) (\w+)", columns):
            found = query(
                db,
                "select attname from pg_attribute where attrelid = %s::regclass and attname = %s"
                " and atttypid = %s::regtype",
                f"slotwarden.{table}",
                column,
                type_name,
            )
            assert found, f"{table}.{column} {type_name}"


def test_diagrams_have_no_semicolons() -> None:
    """In a sequence diagram they end a statement, and the page shows an error in its place."""
    for page in PAGES:
        for diagram in re.findall(r"^```mermaid\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL):
            assert ";" not in diagram, page.name
