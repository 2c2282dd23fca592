"""Groups of commands, such as ``slotwarden db``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from slotwarden.cli.settings import settings_of


class CommandGroup(TyperGroup):
    """A group that shows its help where no command is named, but to people only."""

    # Any: typer has had several classes of contexts.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Refuse to have no command named, if a program is told."""
        if not args and settings_of(ctx).output.as_json:
            ctx.fail("Missing command.")
        return super().parse_args(ctx, args)
