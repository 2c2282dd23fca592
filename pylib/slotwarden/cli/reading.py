"""``slotwarden calendar`` and ``slotwarden status``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import RenderableType
from rich.text import Text

from slotwarden.cli.arguments import as_day
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.output import shown
from slotwarden.cli.pictures import status_table, weeks
from slotwarden.cli.settings import settings_of
from slotwarden.models import CalendarEntry


def calendar(
    context: typer.Context,
    *,
    from_day: Annotated[
        dt.date | None,
        typer.Option("--from", parser=as_day, metavar="DAY", help="First day; today if not given."),
    ] = None,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=3660)] = 7,
    channel: ChannelOption = "default",
) -> None:
    """Show the bookings of some days: days across, times of the channel's clock down.

    Cancelled bookings are left out. --json lists them all, in order of time.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        entries = scheduler.calendar(from_day, days, channel=channel)
    pictures: list[RenderableType] = []
    if entries:
        pictures += weeks(entries, from_day or _today(entries), days, channel)
    else:
        since = "from today" if from_day is None else f"from {from_day}"
        pictures.append(Text(f"Nothing is booked on {shown(channel)} in the {days} days {since}."))
    settings.output.result([entry.to_dict() for entry in entries], *pictures)


def status(
    context: typer.Context,
    *,
    day: Annotated[
        dt.date | None,
        typer.Option(
            parser=as_day,
            metavar="DAY",
            help="The day, for every limit in its own zone; today if not given.",
        ),
    ] = None,
    channel: ChannelOption = "default",
) -> None:
    """Show what a channel has used of each of its limits on one day, and what is left."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        rows = scheduler.daily_status(day, channel=channel)
    settings.output.result([row.to_dict() for row in rows], status_table(rows, channel))


def _today(entries: list[CalendarEntry]) -> dt.date:
    """Return the first day of a calendar that was asked for without one."""
    try:
        today = dt.datetime.now(ZoneInfo(entries[0].time_zone)).date()
    except ZoneInfoNotFoundError:
        # PostgreSQL knows more zones than this Python.
        return entries[0].day
    return min(today, entries[0].day)
