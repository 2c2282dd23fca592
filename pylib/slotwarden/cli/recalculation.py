"""``slotwarden recalculate``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from slotwarden.cli.arguments import as_day
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.failures import ExitCode
from slotwarden.cli.output import shown, table
from slotwarden.cli.settings import Settings, settings_of
from slotwarden.models import UsageChange

_REFUSED = "refused"


def recalculate(
    context: typer.Context,
    *,
    from_day: Annotated[
        dt.date, typer.Option("--from", parser=as_day, metavar="DAY", help="First day.")
    ],
    to_day: Annotated[
        dt.date, typer.Option("--to", parser=as_day, metavar="DAY", help="Last day, included.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be changed.")
    ] = False,
    recharge: Annotated[
        bool,
        typer.Option(
            "--recharge",
            help="Charge existing bookings by today's rules, limits, zones and leads as well.",
        ),
    ] = False,
) -> None:
    """Recount the usage of some days from the bookings, repair it, and say what was changed.

    Without --recharge bookings keep what they were charged. What would pass a maximum is left as
    it is and reported as refused (exit code 1).
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        with settings.output.working("Recounting ..."):
            changes = scheduler.recalculate_usage(
                from_day, to_day, dry_run=dry_run, recharge=recharge
            )
        _tell(settings, changes, dry_run=dry_run)
    if any(change.action == _REFUSED for change in changes):
        raise typer.Exit(ExitCode.REFUSED)


def _tell(settings: Settings, changes: Sequence[UsageChange], *, dry_run: bool) -> None:
    made = table("reservation", "limit", "day", "action", ">before", ">after", "why")
    for change in changes:
        made.add_row(
            "-" if change.reservation_id is None else f"#{change.reservation_id}",
            shown(change.limit_id),
            change.day.isoformat(),
            Text(change.action, style="red" if change.action == _REFUSED else ""),
            f"{change.units_before:,}",
            f"{change.units_after:,}",
            shown(change.detail or ""),
        )
    nothing = Text("Everything adds up: there is nothing to change.")
    settings.output.result([change.to_dict() for change in changes], made if changes else nothing)
    if dry_run and changes:
        settings.output.notice("Nothing was changed: this was a dry run.")
