"""``slotwarden week``: a week as a coloured grid, with what each day has used of its limits."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import RenderableType

from slotwarden.channels import zone_of
from slotwarden.cli.arguments import as_day
from slotwarden.cli.clock import channel_today
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.settings import settings_of
from slotwarden.cli.week_pictures import Week, week_by_day, week_grid
from slotwarden.takeover import LangflixSetting

_DAYS = 7
# Below this a column has no room for a type and a number.
_NARROWEST_GRID = 84


def week(
    context: typer.Context,
    day: Annotated[
        dt.date | None,
        typer.Argument(
            parser=as_day, metavar="DAY", help="Any day of the week; today if not given."
        ),
    ] = None,
    *,
    channel: ChannelOption = "default",
) -> None:
    """Show a week, Monday to Sunday: bookings, posting times left, and a bar for each limit.

    Times are those of the channel's clock. A bar shows what is used of a limit on that day, in
    the limit's own zone: green, yellow from its warning share on, red when full. On a narrow
    terminal the days stand below each other; without colours the words and numbers say the same.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        rules = scheduler.langflix_settings(channel=channel)
        zone = zone_of(scheduler, channel)
        asked = day or channel_today(scheduler, channel, zone)
        days = _week_of(asked)
        first = days[0]
        seen = Week(
            channel=channel,
            time_zone=zone,
            days=days,
            posting_times=_posting_times(rules),
            entries=scheduler.calendar(first, _DAYS, channel=channel),
            # From 0 percent on, every limit is worth a warning.
            usage=scheduler.quota_warnings(first, _DAYS, channel=channel, percent=0),
            warn_percent={rule.limit_id: rule.warn_percent or 0 for rule in rules if rule.limit_id},
        )
    output = settings.output
    picture: RenderableType
    if output.stdout.width < _NARROWEST_GRID:
        picture = week_by_day(seen, ascii_only=output.stdout.options.ascii_only)
    else:
        picture = week_grid(seen, ascii_only=output.stdout.options.ascii_only)
    output.result(_as_json(seen), picture)


def _week_of(day: dt.date) -> list[dt.date]:
    first = day - dt.timedelta(days=day.weekday())
    try:
        return [first + dt.timedelta(days=number) for number in range(_DAYS)]
    except OverflowError:
        raise typer.BadParameter(
            f"the week of {day} has days after the last one, {dt.date.max}"
        ) from None


def _posting_times(rules: list[LangflixSetting]) -> list[dt.time]:
    return [dt.time.fromisoformat(text) for text in rules[0].posting_times] if rules else []


def _as_json(seen: Week) -> dict[str, object]:
    return {
        "channel": seen.channel,
        "time_zone": seen.time_zone,
        "days": [day.isoformat() for day in seen.days],
        "posting_times": [f"{time:%H:%M}" for time in seen.posting_times],
        "entries": [entry.to_dict() for entry in seen.entries],
        "usage": [usage.to_dict() for usage in seen.usage],
    }
