"""What day it is on a channel's clock."""

from __future__ import annotations

import datetime as dt

from slotwarden.channels import clock_of
from slotwarden.scheduler import Scheduler


def channel_today(scheduler: Scheduler, channel: str, zone: str) -> dt.date:
    """Return today on a channel's clock, by the server's clock where a limit tells it.

    Parameters
    ----------
    scheduler : Scheduler
        The workspace.
    channel : str
        The channel.
    zone : str
        Its zone; the day is UTC's if neither a limit nor this Python knows it.
    """
    for row in scheduler.daily_status(channel=channel):
        if row.time_zone == zone:
            return row.day
    return dt.datetime.now(clock_of(zone)).date()
