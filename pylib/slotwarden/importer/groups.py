"""Which rows can affect each other, and in which order they are decided."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slotwarden.exceptions import InvalidArgument
from slotwarden.importer.rows import Row


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that have to be decided one after the other, in this order.

    Attributes
    ----------
    rows : tuple of Row
        In order of publish time, then of the file.
    new_channel : str or None
        The channel of all of them, when it does not exist yet.
    """

    rows: tuple[Row, ...]
    new_channel: str | None = None


def grouped(
    rows: Iterable[Row],
    limits: Mapping[str, frozenset[str] | None],
    zones: Mapping[str, str],
) -> list[Group]:
    """Sort rows into groups that share neither a channel nor a daily limit.

    What is decided in one group then cannot change what is decided in another, so groups may be
    worked on at once.

    Parameters
    ----------
    rows : iterable of Row
        In the order of the file.
    limits : mapping
        The limits that each channel charges; None for a channel that does not exist.
    zones : mapping
        Zones of channels, as far as they are known.

    Returns
    -------
    list of Group
        The largest first.

    Raises
    ------
    InvalidArgument
        The order of local times cannot be known, because a zone is not.
    """
    leaders = _connected(limits)
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[leaders[row.channel]].append(row)
    groups = [
        Group(
            tuple(_in_order(group, zones)),
            new_channel=leader if limits[leader] is None else None,
        )
        for leader, group in members.items()
    ]
    return sorted(groups, key=lambda group: -len(group.rows))


def _connected(limits: Mapping[str, frozenset[str] | None]) -> dict[str, str]:
    """Give each channel the first of those that it is connected with through limits."""
    leader = {channel: channel for channel in limits}

    def find(channel: str) -> str:
        while leader[channel] != channel:
            leader[channel] = leader[leader[channel]]
            channel = leader[channel]
        return channel

    charged_by: dict[str, str] = {}
    for channel, charged in limits.items():
        for limit in charged or ():
            leader[find(channel)] = find(charged_by.setdefault(limit, channel))
    return {channel: find(channel) for channel in limits}


def _in_order(rows: Sequence[Row], zones: Mapping[str, str]) -> list[Row]:
    # Only naive times of one clock can be compared without knowing the clock.
    one_clock = len({row.channel for row in rows}) == 1
    comparable = one_clock and all(row.publish_time.tzinfo is None for row in rows)
    return sorted(
        rows,
        key=lambda row: row.publish_time if comparable else _instant(row, zones),
    )


def _instant(row: Row, zones: Mapping[str, str]) -> dt.datetime:
    if row.publish_time.tzinfo is not None:
        return row.publish_time
    zone = zones.get(row.channel)
    if zone is None:
        raise InvalidArgument(
            f"line {row.line} has a time without an offset, but the time zone of channel"
            f" {row.channel!r}, which decides the order, may not be read",
            hint="Give the times offsets, or import as a role that may read the table channel.",
        )
    try:
        # A time that occurs twice means the first: fold is 0.
        return row.publish_time.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    except OverflowError:
        # At the very ends of the calendar; the database refuses it whatever the order.
        return row.publish_time.replace(tzinfo=dt.UTC)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidArgument(
            f"this Python does not know the time zone {zone!r} of channel {row.channel!r}",
            hint="pip install tzdata",
        ) from error
