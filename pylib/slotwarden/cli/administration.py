"""``slotwarden channel ...`` and ``slotwarden limit ...``: what an administrator sets."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.table import Table

from slotwarden.cli.arguments import as_day, as_duration
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.groups import CommandGroup
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.output import shown, table
from slotwarden.cli.settings import settings_of
from slotwarden.models import CountedAt, Record

channels = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Channels: a clock, an upload lead, and the video types that they publish.",
)
limits = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Daily limits: their maximum, that of single days, and what an upload takes from them."
    " A change holds for new bookings; 'slotwarden recalculate --recharge' applies it to others.",
)

NameArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel.")]
LimitArgument = Annotated[
    str,
    typer.Argument(metavar="LIMIT", help="The limit, such as final; channel/final of others."),
]
LeadOption = Annotated[
    dt.timedelta | None,
    typer.Option(
        "--lead",
        parser=as_duration,
        metavar="DURATION",
        help="How long before the publish time uploads run, such as 90m or 2h.",
    ),
]


@channels.command("list")
def list_channels(context: typer.Context) -> None:
    """List the channels of the workspace, with their zones and video types."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        found = scheduler.list_channels()
    made = table("channel", "time zone", ">upload lead", "video types")
    for each in found:
        types = ", ".join(map(shown, each.video_types)) or "-"
        made.add_row(shown(each.channel_id), shown(each.time_zone), str(each.upload_lead), types)
    settings.output.result([each.to_dict() for each in found], made)


@channels.command("create")
def create_channel(
    context: typer.Context,
    channel: NameArgument,
    *,
    time_zone: Annotated[
        str, typer.Option(help="Zone of its clock, such as Asia/Seoul.", metavar="ZONE")
    ] = "UTC",
    lead: LeadOption = None,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="A limit of --like to share; may be repeated."),
    ] = None,
    like: Annotated[str, typer.Option(help="The channel to copy from.", metavar="CHANNEL")] = (
        "default"
    ),
) -> None:
    """Create a channel with the types, rules and limits that another has.

    Its limits are its own, named CHANNEL/limit, but for those that it is told to share.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        created = scheduler.create_channel(
            channel,
            time_zone=time_zone,
            upload_lead=lead or dt.timedelta(0),
            share_limits=share or [],
            like=like,
        )
        settings.output.result(created.to_dict(), _facts(created))


@channels.command("set")
def set_channel(
    context: typer.Context,
    channel: NameArgument,
    *,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of its clock, such as Asia/Seoul.", metavar="ZONE")
    ] = None,
    lead: LeadOption = None,
) -> None:
    """Change a channel's zone or upload lead, for new bookings; without options, show it."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        changed = scheduler.set_channel(channel, time_zone=time_zone, upload_lead=lead)
        settings.output.result(changed.to_dict(), _facts(changed))


@channels.command("add-type")
def add_video_type(
    context: typer.Context,
    video_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of the type.")],
    *,
    channel: ChannelOption = "default",
) -> None:
    """Let a channel publish another type of video; 'limit charge' says what it takes."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        added = scheduler.add_video_type(video_type, channel=channel)
        settings.output.result(added.to_dict(), _facts(added))


@limits.command("set")
def set_daily_limit(
    context: typer.Context,
    limit: LimitArgument,
    *,
    maximum: Annotated[
        int | None, typer.Option("--max", help="Units a day; 0 closes every day.")
    ] = None,
    counted_at: Annotated[
        CountedAt | None,
        typer.Option(help="Whether the day is that of the publish time or of the upload."),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="Zone in which its day turns; 'channel' for that of the channel.",
        ),
    ] = None,
    warn_percent: Annotated[
        int | None, typer.Option(help="Percentage from which a warning is given.")
    ] = None,
) -> None:
    """Change a daily limit; or create it, which takes --max and --counted-at.

    A maximum below what is booked is allowed: nothing is lost, and nothing new is accepted until
    the usage falls below it.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        changed = scheduler.set_daily_limit(
            limit,
            max=maximum,
            counted_at=counted_at,
            time_zone=time_zone,
            warn_percent=warn_percent,
        )
        settings.output.result(changed.to_dict(), _facts(changed))


@limits.command("override")
def override_day(
    context: typer.Context,
    limit: LimitArgument,
    day: Annotated[
        dt.date, typer.Argument(parser=as_day, metavar="DAY", help="The day, in the limit's zone.")
    ],
    maximum: Annotated[
        int | None,
        typer.Argument(metavar="MAX", help="Units on that day; left out: as on other days."),
    ] = None,
) -> None:
    """Give one day a maximum of its own; without MAX, take that back."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        changed = scheduler.override_day(limit, day, maximum)
        settings.output.result(changed.to_dict(), _facts(changed))


@limits.command("charge")
def set_charge(
    context: typer.Context,
    video_type: Annotated[str, typer.Argument(metavar="TYPE", help="The video type.")],
    limit: LimitArgument,
    units: Annotated[int, typer.Argument(help="Units that one upload takes; 0: none any more.")],
    *,
    channel: ChannelOption = "default",
) -> None:
    """Say what one upload of a type takes from a limit."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        rule = scheduler.set_charge(video_type, limit, units, channel=channel)
        settings.output.result(rule.to_dict(), _facts(rule))


def _facts(record: Record) -> Table:
    made = Table(show_header=False, box=None)
    made.add_column(style="bold")
    made.add_column()
    for name in record.columns():
        value = getattr(record, name)
        made.add_row(name.replace("_", " "), "-" if value is None else shown(value))
    return made
