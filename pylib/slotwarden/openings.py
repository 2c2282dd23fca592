"""When a channel publishes: its posting times and its blackouts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from .arguments import WITHOUT_END
from .calls import Calls
from .models import Blackout, PostingTime

# No driver knows an instant without end, so it is read as null.
_BLACKOUT_COLUMNS = [
    {
        "from_time": "nullif(result.from_time, '-infinity') as from_time",
        "to_time": "nullif(result.to_time, 'infinity') as to_time",
    }.get(name, f"result.{name}")
    for name in Blackout.columns()
]


class Openings(Calls):
    """The part of `slotwarden.Scheduler` that says when a channel publishes."""

    def set_posting_times(
        self,
        times: Sequence[dt.time],
        *,
        channel: str | None = None,
        iso_weekday: int | None = None,
    ) -> list[PostingTime]:
        """Replace the times that `reserve_next_slot` tries before any other.

        Parameters
        ----------
        times : sequence of datetime.time
            On the channel's clock, whole minutes; none is allowed.
        channel : str, optional
            The channel.
        iso_weekday : int, optional
            1 (Monday) to 7 (Sunday), whose times add to those of every day;
            None sets those of every day.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN), LockTimeout (55P03)
        """
        return self._rows(
            PostingTime,
            "set_posting_times",
            {"times": times, "channel": self._channel(channel), "iso_weekday": iso_weekday},
            changes=True,
        )

    def add_blackout(
        self,
        start: dt.datetime,
        end: dt.datetime | None,
        reason: str,
        *,
        channel: str | None = None,
    ) -> Blackout:
        """Let a channel publish nothing from ``start`` up to, not including, ``end``.

        What is booked in that span already stays. Instants are aware; without
        an ``end`` it lasts until `remove_blackout`.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN)
        """
        (made,) = self._executor.call(
            "add_blackout",
            _BLACKOUT_COLUMNS,
            {
                "from": start,
                "to": WITHOUT_END if end is None else end,
                "reason": reason,
                "channel": self._channel(channel),
            },
            Blackout.from_values,
            changes=True,
        )
        return made

    def list_blackouts(
        self, *, since: dt.datetime | None = None, channel: str | None = None
    ) -> list[Blackout]:
        """Give the blackouts that end after an instant (None: now), by their beginning.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._executor.call(
            "list_blackouts",
            _BLACKOUT_COLUMNS,
            {"channel": self._channel(channel), "from": since},
            Blackout.from_values,
            changes=False,
        )

    def remove_blackout(self, blackout_id: int) -> Blackout | None:
        """Let the channel publish again; give what was removed, None if there was nothing.

        Raises
        ------
        InvalidArgument (SWARG)
        """
        removed = self._executor.call(
            "remove_blackout",
            _BLACKOUT_COLUMNS,
            {"blackout_id": blackout_id},
            Blackout.from_values,
            changes=True,
        )
        return removed[0] if removed else None
