"""``slotwarden reserve`` and ``slotwarden cancel``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from slotwarden.cli.arguments import as_day, as_time_of_day
from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.pictures import reservation_table
from slotwarden.cli.settings import settings_of


def reserve(
    context: typer.Context,
    date: Annotated[
        dt.date,
        typer.Argument(parser=as_day, metavar="DATE", help="The day, such as 2027-03-01."),
    ],
    video_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A video type of the channel, such as final.")
    ],
    time: Annotated[
        dt.time,
        typer.Argument(
            parser=as_time_of_day, metavar="TIME", help="The time of day, such as 10:00."
        ),
    ],
    *,
    channel: ChannelOption = "default",
    video: Annotated[
        str | None,
        typer.Option(help="What your application calls the video; one live booking a channel."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Request key: repeating the call under its key books nothing twice."),
    ] = None,
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
    reservation_id: Annotated[
        int, typer.Argument(metavar="ID", help="Number of the reservation, as in the calendar.")
    ],
    *,
    version: Annotated[
        int | None,
        typer.Option(help="Refuse if the reservation has changed since it had this version."),
    ] = None,
) -> None:
    """Cancel a scheduled reservation: its slot and its units are free again.

    Cancelling it once more changes nothing. An upload that was started cannot be cancelled.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        cancelled = scheduler.cancel_reservation(reservation_id, expected_version=version)
        settings.output.result(cancelled.to_dict(), reservation_table(cancelled))
