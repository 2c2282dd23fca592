"""Finding a channel among those of its workspace, and the clock of its zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slotwarden.models import ChannelEntry
from slotwarden.scheduler import Scheduler


def channel_named(scheduler: Scheduler, name: str) -> ChannelEntry | None:
    """Return what `Scheduler.list_channels` says of one channel; None if it is not there.

    Parameters
    ----------
    scheduler : Scheduler
        The workspace.
    name : str
        The channel.
    """
    return next((each for each in scheduler.list_channels() if each.channel_id == name), None)


def zone_of(scheduler: Scheduler, name: str) -> str:
    """Return the time zone of a channel; UTC for one that is not there.

    Parameters
    ----------
    scheduler : Scheduler
        The workspace.
    name : str
        The channel.
    """
    found = channel_named(scheduler, name)
    return "UTC" if found is None else found.time_zone


def clock_of(time_zone: str) -> dt.tzinfo:
    """Return the clock of a zone; UTC's if this Python does not know the zone.

    Parameters
    ----------
    time_zone : str
        As PostgreSQL names it, which knows more than Python does.
    """
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC
