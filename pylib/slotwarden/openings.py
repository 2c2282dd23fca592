"""When a channel publishes: its posting times and its blackouts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from .arguments import WITHOUT_END
from .calls import Calls
from .models import Blackout, PostingTime


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
        arguments = {
            "from": start,
            "to": WITHOUT_END if end is None else end,
            "reason": reason,
            "channel": self._channel(channel),
        }
        return self._row(Blackout, "add_blackout", **arguments)

    def list_blackouts(
        self, *, since: dt.datetime | None = None, channel: str | None = None
    ) -> list[Blackout]:
        """Give the blackouts that end after an instant (None: now), by their beginning.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        arguments = {"channel": self._channel(channel), "from": since}
        return self._rows(Blackout, "list_blackouts", arguments)

    def remove_blackout(self, blackout_id: int) -> Blackout | None:
        """Let the channel publish again; give what was removed, None if there was nothing.

        Raises
        ------
        InvalidArgument (SWARG)
        """
        removed = self._rows(
            Blackout, "remove_blackout", {"blackout_id": blackout_id}, changes=True
        )
        return removed[0] if removed else None
