"""The generated reference is current, and whole: everything in it says what it is for."""

from __future__ import annotations

import re
import runpy

import pytest

from docs_support import ROOT, read

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
