"""What importing the package takes: its names are there, and nothing heavy comes with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import slotwarden


def _imported_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, sep='\\n')"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.splitlines())


def test_every_public_name_is_there_and_no_other() -> None:
    assert [name for name in slotwarden.__all__ if getattr(slotwarden, name) is None] == []
    assert set(slotwarden.__all__) <= set(dir(slotwarden))
    with pytest.raises(AttributeError, match="no attribute 'Schedular'"):
        _ = slotwarden.Schedular


@pytest.mark.parametrize(
    "code",
    [
        "import slotwarden",
        "import sys, slotwarden.cli\nsys.argv = ['slotwarden', '--version']\nslotwarden.cli.main()",
    ],
    ids=["the package", "the version"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    found = _imported_by(code)
    assert "slotwarden" in found
    assert found.isdisjoint({"sqlalchemy", "alembic", "typer", "rich"})


def test_alembic_is_imported_by_what_migrates_alone() -> None:
    found = _imported_by("import slotwarden.cli.application")
    assert "sqlalchemy" in found
    assert "alembic" not in found
    assert "alembic" in _imported_by("import slotwarden\nslotwarden.migrations.head()")
