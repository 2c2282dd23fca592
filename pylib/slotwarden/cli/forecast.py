"""``slotwarden forecast``: until when so many videos need, as things stand."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from slotwarden.channels import channel_named
from slotwarden.cli.arguments import as_day
from slotwarden.cli.clock import channel_today
from slotwarden.cli.connection import opened_engine
from slotwarden.cli.failures import ExitCode
from slotwarden.cli.forecasting import Span, TypeForecast, forecast_types
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.output import Output, shown
from slotwarden.cli.settings import settings_of
from slotwarden.scheduler import Scheduler

_WISH = re.compile(r"(.+)=(\d{1,6})", re.DOTALL)
_DAYS_NAMED = 5


def as_wish(written: str) -> tuple[str, int]:
    """Read a type and a number of videos, such as ``final=40``.

    Raises
    ------
    typer.BadParameter
        It is not that, or the number is 0.
    """
    found = _WISH.fullmatch(written)
    if found is None or int(found[2]) == 0:
        raise typer.BadParameter(f"{written!r} is not a type and a number of videos: final=40")
    return found[1], int(found[2])


def forecast(
    context: typer.Context,
    wishes: Annotated[
        list[str],
        typer.Argument(
            metavar="TYPE=NUMBER...", help="How many videos of which type, such as final=40."
        ),
    ],
    *,
    from_day: Annotated[
        dt.date | None,
        typer.Option("--from", parser=as_day, metavar="DAY", help="First day; today if not given."),
    ] = None,
    days: Annotated[
        int, typer.Option(help="How many days to look at, the first included.", min=1, max=366)
    ] = 366,
    channel: ChannelOption = "default",
) -> None:
    """Say until when so many videos need, with the limits and bookings of the coming days.

    It is what 'slotwarden next' would come to, called once for each video, all of the first type
    before all of the second. Nothing is booked or locked: others may book meanwhile.

    Exit code 1: not all of them fit into the days looked at.
    """
    settings = settings_of(context)
    wanted = _wanted(wishes)
    with opened_engine(settings) as engine:
        scheduler = Scheduler(engine, schema=settings.schema)
        # An unknown channel is the calendar's to refuse.
        here = channel_named(scheduler, channel)
        zone, lead = (here.time_zone, here.upload_lead) if here else ("UTC", dt.timedelta(0))
        span = _span(channel, from_day or channel_today(scheduler, channel, zone), days)
        with settings.output.working("Trying ..."):
            found = forecast_types(scheduler, wanted, span, lead)
    _tell(settings.output, found, span, lead)
    if any(each.placed < each.wanted for each in found):
        raise typer.Exit(ExitCode.REFUSED)


def _span(channel: str, first: dt.date, days: int) -> Span:
    if first > dt.date.max - dt.timedelta(days=days):
        raise typer.BadParameter(f"{days} days from {first} are not all before {dt.date.max}")
    return Span(channel, first, days)


def _wanted(wishes: Sequence[str]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for name, number in map(as_wish, wishes):
        if name in wanted:
            raise typer.BadParameter(f"{name!r} is there twice")
        wanted[name] = number
    return wanted


def _tell(output: Output, found: Sequence[TypeForecast], span: Span, lead: dt.timedelta) -> None:
    data = {
        "channel": span.channel,
        "from": span.first.isoformat(),
        "days": span.days,
        "upload_lead": lead.total_seconds(),
        "types": [each.to_dict() for each in found],
    }
    output.result(data, *(_sentence(each, span) for each in found))


def _sentence(found: TypeForecast, span: Span) -> Text:
    made = Text.assemble((f"{found.wanted} {shown(found.video_type)}", "bold"), ": ")
    if found.from_day is None or found.until_day is None:
        made.append(f"none fits into the {span.days} days from {span.first}", style="red")
    else:
        taken = (found.until_day - span.first).days + 1
        made.append(f"until {found.until_day:%a %Y-%m-%d}", style="green")
        made.append(f", {taken} days from {span.first}, at most {found.most_a_day} a day")
    if 0 < found.placed < found.wanted:
        made.append(f"; only {found.placed} fit into {span.days} days", style="red")
    if found.limits_reached:
        kept = ", ".join(
            f"{shown(limit)} on {days} days" for limit, days in found.limits_reached.items()
        )
        made.append(f"\n  held back by {kept}", style="dim")
    if found.closed_days:
        named = ", ".join(map(str, found.closed_days[:_DAYS_NAMED]))
        more = len(found.closed_days) - _DAYS_NAMED
        made.append(f"\n  nothing free already on {named}", style="yellow")
        made.append(f" and {more} more days" if more > 0 else "", style="yellow")
    return made
