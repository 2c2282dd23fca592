"""What holds for every command: which database, which workspace, how to show results."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from slotwarden.cli.output import Output

DEFAULT_SCHEMA = "slotwarden"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of ``slotwarden`` itself.

    Attributes
    ----------
    database_url : str or None
        The database to use; None: the embedded PostgreSQL.
    schema : str
        The workspace.
    output : Output
        Where results, notices and errors go.
    """

    database_url: str | None
    schema: str
    output: Output


def settings_of(context: typer.Context) -> Settings:
    """Return the settings that the root command left in the context."""
    found = context.find_root().obj
    if not isinstance(found, Settings):
        raise TypeError("the root command sets the settings before any other runs")
    return found
