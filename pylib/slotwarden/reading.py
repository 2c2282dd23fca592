"""What a person asks of a channel's days; nothing here changes anything."""

# The parameters are called as those of the SQL functions.
# ruff: noqa: A002

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from .calls import Calls
from .models import AvailableSlot, CalendarEntry, ChannelEntry, DailyStatus, QuotaWarning, UsageDay


class Reading(Calls):
    """The reading part of `slotwarden.Scheduler`."""

    def daily_status(
        self, day: dt.date | None = None, *, channel: str | None = None
    ) -> list[DailyStatus]:
        """Tell used and remaining units of each limit of a channel, on a day.

        Parameters
        ----------
        day : datetime.date, optional
            Taken in the zone of each limit; None is today there.
        channel : str, optional
            The channel.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            DailyStatus, "daily_status", {"day": day, "channel": self._channel(channel)}
        )

    def calendar(
        self,
        from_date: dt.date | None = None,
        days: int = 7,
        *,
        channel: str | None = None,
    ) -> list[CalendarEntry]:
        """List the reservations of some days of a channel's calendar, in order of time.

        Parameters
        ----------
        from_date : datetime.date, optional
            First day on the channel's clock; None is today.
        days : int
            How many days.
        channel : str, optional
            The channel.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            CalendarEntry,
            "calendar",
            {"from": from_date, "days": days, "channel": self._channel(channel)},
        )

    def available_slots(
        self,
        type: str,
        from_date: dt.date | None = None,
        count: int = 10,
        *,
        channel: str | None = None,
        horizon_days: int = 14,
    ) -> list[AvailableSlot]:
        """List free slots, in the order in which `reserve_next_slot` would book them.

        Each is free by itself; booking one may use up a limit of the next.

        Parameters
        ----------
        type : str
            The video type.
        from_date : datetime.date, optional
            First day on the channel's clock; None is today.
        count : int
            How many at most.
        channel : str, optional
            The channel.
        horizon_days : int
            How many days to look at, the first included.

        Raises
        ------
        UnknownChannel (SWCHN), UnknownVideoType (SWTYP)
        """
        return self._rows(
            AvailableSlot,
            "available_slots",
            {
                "type": type,
                "from": from_date,
                "count": count,
                "channel": self._channel(channel),
                "horizon_days": horizon_days,
            },
        )

    def usage_history(
        self,
        from_date: dt.date | None = None,
        to_date: dt.date | None = None,
        *,
        channel: str | None = None,
        limit: str | None = None,
    ) -> list[UsageDay]:
        """Tell what a channel used of its limits, day by day, latest first.

        Days that were never booked or overridden are left out.

        Parameters
        ----------
        from_date, to_date : datetime.date, optional
            First and last day; None are the last 30 days.
        channel : str, optional
            The channel.
        limit : str, optional
            Only this limit.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            UsageDay,
            "usage_history",
            {
                "from": from_date,
                "to": to_date,
                "channel": self._channel(channel),
                "limit": limit,
            },
        )

    def quota_warnings(
        self,
        from_date: dt.date | None = None,
        days: int = 1,
        *,
        channel: str | None = None,
        percent: Decimal | float | None = None,
    ) -> list[QuotaWarning]:
        """Tell the limits and days of which much is used.

        Parameters
        ----------
        from_date : datetime.date, optional
            First day, in the zone of each limit; None is today there.
        days : int
            How many days.
        channel : str, optional
            The channel.
        percent : Decimal or float, optional
            Share of the maximum from which to warn, 0 to 100; None is each
            limit's own.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            QuotaWarning,
            "quota_warnings",
            {
                "from": from_date,
                "days": days,
                "channel": self._channel(channel),
                "percent": percent,
            },
        )

    def list_channels(self) -> list[ChannelEntry]:
        """List the channels of the workspace, by name."""
        return self._rows(ChannelEntry, "list_channels", {})
