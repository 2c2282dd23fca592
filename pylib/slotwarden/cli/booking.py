"""``slotwarden reserve`` and ``slotwarden cancel``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

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
from slotwarden.cli.pictures import reservation_table
from slotwarden.cli.settings import settings_of


def reserve(
    context: typer.Context,
    date: Annotated[
        dt.date,
        typer.Argument(parser=as_day, metavar="DATE", help="The day, such as 2027-03-01."),
    ],
    video_type: TypeArgument,
    time: Annotated[
        dt.time,
        typer.Argument(
            parser=as_time_of_day, metavar="TIME", help="The time of day, such as 10:00."
        ),
    ],
    *,
    channel: ChannelOption = "default",
    video: VideoOption = None,
    key: KeyOption = None,
) -> None:
    """Book exactly one slot: a day and a time on the channel's clock.

    Takes the day's locks, checks every limit of the channel and books, all in one transaction;
    or refuses, says why and names the next free slot (exit code 1). A time that occurs twice,
    when clocks are set back, means the first.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        booked = scheduler.reserve_slot(
            date, video_type, time, video=video, channel=channel, request_key=key
        )
        settings.output.result(booked.to_dict(), reservation_table(booked))


def cancel(
    context: typer.Context,
    reservation_id: IdArgument,
    *,
    version: VersionOption = None,
) -> None:
    """Cancel a scheduled reservation: its slot and its units are free again.

    Cancelling it once more changes nothing. An upload that was started cannot be cancelled.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        cancelled = scheduler.cancel_reservation(reservation_id, expected_version=version)
        settings.output.result(cancelled.to_dict(), reservation_table(cancelled))
