"""``slotwarden next`` and ``slotwarden move``: booking without a time, and another time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from slotwarden.cli.arguments import as_day, as_time_of_day
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.options import (
    ChannelOption,
    IdArgument,
    KeyOption,
    TypeArgument,
    VersionOption,
    VideoOption,
)
from slotwarden.cli.output import shown, table
from slotwarden.cli.pictures import reservation_table
from slotwarden.cli.settings import settings_of
from slotwarden.models import AvailableSlot


def next_slot(
    context: typer.Context,
    video_type: TypeArgument,
    *,
    from_day: Annotated[
        dt.date | None,
        typer.Option("--from", parser=as_day, metavar="DAY", help="First day; today if not given."),
    ] = None,
    days: Annotated[
        int, typer.Option(help="How many days to look at, the first included.", min=1, max=366)
    ] = 14,
    look: Annotated[
        int | None,
        typer.Option(
            "--list", metavar="N", min=1, max=1000, help="Book nothing: list the next N free slots."
        ),
    ] = None,
    append: Annotated[
        bool,
        typer.Option("--append", help="Only after the channel's last booking; gaps stay."),
    ] = False,
    channel: ChannelOption = "default",
    video: VideoOption = None,
    key: KeyOption = None,
) -> None:
    """Book the next free slot, found and taken in one transaction.

    Of each day the channel's posting times come first, then the full hours from 09:00 to 21:00,
    then the next day. Nothing free within --days: refused (exit code 1), never a guess.

    With --list it only looks. Each slot listed is free by itself: booking one may use up a limit
    of the next.
    """
    settings = settings_of(context)
    if look is not None and (append or video is not None or key is not None):
        raise typer.BadParameter("--list books nothing, so it takes no --append, --video or --key")
    with opened_scheduler(settings) as scheduler:
        if look is not None:
            slots = scheduler.available_slots(
                video_type, from_day, look, channel=channel, horizon_days=days
            )
            settings.output.result(
                [slot.to_dict() for slot in slots], _slots(slots, video_type, channel, days)
            )
            return
        booked = scheduler.reserve_next_slot(
            video_type,
            from_day,
            horizon_days=days,
            video=video,
            channel=channel,
            append=append,
            request_key=key,
        )
        settings.output.result(booked.to_dict(), reservation_table(booked))


def move(
    context: typer.Context,
    reservation_id: IdArgument,
    date: Annotated[dt.date, typer.Argument(parser=as_day, metavar="DATE", help="The new day.")],
    time: Annotated[
        dt.time,
        typer.Argument(parser=as_time_of_day, metavar="TIME", help="The new time of day."),
    ],
    *,
    version: VersionOption = None,
    key: KeyOption = None,
) -> None:
    """Move a scheduled reservation to another slot of its channel.

    What it took of the old day is given back and that of the new day taken, as one change: a move
    within a full day passes, and a refused one (exit code 1) leaves everything as it was.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        moved = scheduler.reschedule_reservation(
            reservation_id, date, time, expected_version=version, request_key=key
        )
        settings.output.result(moved.to_dict(), reservation_table(moved))


def _slots(
    slots: Sequence[AvailableSlot], video_type: str, channel: str, days: int
) -> RenderableType:
    if not slots:
        return Text(f"No slot is free for a {shown(video_type)} within {days} days.")
    made = table(
        "day",
        "time",
        "in UTC",
        title=f"Free for a {shown(video_type)} on {shown(channel)} ({slots[0].time_zone})",
    )
    for slot in slots:
        made.add_row(
            f"{slot.day:%a %Y-%m-%d}",
            f"{slot.local_time:%H:%M}",
            f"{slot.publish_time:%Y-%m-%d %H:%M}",
        )
    return made
