"""Channels, limits and charge rules: what an administrator calls."""

# The parameters are called as those of the SQL functions.
# ruff: noqa: A002

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from .calls import Calls
from .models import (
    Channel,
    ChargeRule,
    CountedAt,
    DailyLimit,
    LimitDay,
    UsageChange,
    VideoType,
)


class Administration(Calls):
    """The administering half of `slotwarden.Scheduler`; needs the role for it.

    A change counts for new bookings; `recalculate_usage` re-charges those that
    exist. None for what is not to change.
    """

    def create_channel(
        self,
        channel: str,
        *,
        time_zone: str = "UTC",
        upload_lead: dt.timedelta = dt.timedelta(0),
        share_limits: Sequence[str] = (),
        like: str = "default",
    ) -> Channel:
        """Create a channel with the types, rules and limits that ``like`` has.

        Parameters
        ----------
        channel : str
            Name of the new channel.
        time_zone : str
            IANA name of the zone of its wall clock.
        upload_lead : datetime.timedelta
            How long before the publish time uploads run, in elapsed time.
        share_limits : sequence of str
            Limits of ``like`` that it shares; of the others it gets its own,
            named ``channel/limit``.
        like : str
            The channel to copy.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN)
        """
        return self._row(
            Channel,
            "create_channel",
            channel=channel,
            time_zone=time_zone,
            upload_lead=upload_lead,
            share_limits=share_limits,
            like=like,
        )

    def set_channel(
        self,
        channel: str | None = None,
        *,
        time_zone: str | None = None,
        upload_lead: dt.timedelta | None = None,
    ) -> Channel:
        """Change a channel's zone or upload lead.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN)
        """
        return self._row(
            Channel,
            "set_channel",
            channel=self._channel(channel),
            time_zone=time_zone,
            upload_lead=upload_lead,
        )

    def add_video_type(self, type: str, *, channel: str | None = None) -> VideoType:
        """Define a video type on a channel; `set_charge` says what it takes.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN)
        """
        return self._row(VideoType, "add_video_type", type=type, channel=self._channel(channel))

    def set_daily_limit(
        self,
        limit: str,
        *,
        max: int | None = None,
        counted_at: CountedAt | str | None = None,
        time_zone: str | None = None,
        warn_percent: int | None = None,
    ) -> DailyLimit:
        """Change a daily limit, or create it when ``max`` and ``counted_at`` are given.

        A maximum below what is booked is allowed: nothing is lost, and nothing
        new is accepted until usage falls below it.

        Parameters
        ----------
        limit : str
            Its name.
        max : int, optional
            Units a day; 0 closes every day.
        counted_at : CountedAt or str, optional
            Whether the day is that of the publish time or of the upload.
        time_zone : str, optional
            IANA name of the zone in which its days turn; ``channel`` for the
            channel's own.
        warn_percent : int, optional
            Percentage from which a warning is given.

        Raises
        ------
        InvalidArgument (SWARG), LockTimeout (55P03)
        """
        return self._row(
            DailyLimit,
            "set_daily_limit",
            limit=limit,
            max=max,
            counted_at=counted_at,
            time_zone=time_zone,
            warn_percent=warn_percent,
        )

    def override_day(self, limit: str, day: dt.date, max: int | None) -> LimitDay:
        """Set the maximum of one day, in the limit's zone; None takes it back.

        Raises
        ------
        InvalidArgument (SWARG), LockTimeout (55P03)
        """
        return self._row(LimitDay, "override_day", limit=limit, day=day, max=max)

    def set_charge(
        self, type: str, limit: str, units: int, *, channel: str | None = None
    ) -> ChargeRule:
        """Say what one upload of a type takes from a limit; 0 removes the rule.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN), UnknownVideoType (SWTYP)
        """
        return self._row(
            ChargeRule,
            "set_charge",
            type=type,
            limit=limit,
            units=units,
            channel=self._channel(channel),
        )

    def apply_quota_profile(
        self, profile: str, *, channel: str | None = None, limit: str | None = None
    ) -> list[ChargeRule]:
        """Charge a channel's uploads as YouTube counts them; give the rules.

        Parameters
        ----------
        profile : str
            ``units-10000`` (1,600 units an upload of 10,000 a day) or
            ``uploads-100`` (1 of 100 calls a day), both on the Pacific day.
        channel : str, optional
            The channel.
        limit : str, optional
            The limit to charge, which channels of one Google Cloud project
            share; None is the channel's own.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN), LockTimeout (55P03)
        """
        return self._rows(
            ChargeRule,
            "apply_quota_profile",
            {"profile": profile, "channel": self._channel(channel), "limit": limit},
            changes=True,
        )

    def recalculate_usage(
        self,
        from_date: dt.date,
        to_date: dt.date,
        *,
        dry_run: bool = False,
        recharge: bool = False,
    ) -> list[UsageChange]:
        """Recount and repair the usage of some days; say what it changed.

        Parameters
        ----------
        from_date, to_date : datetime.date
            First and last day, both included.
        dry_run : bool
            Change nothing, and say what would be changed.
        recharge : bool
            Charge existing bookings by today's rules, zones and leads.

        Raises
        ------
        InvalidArgument (SWARG), LockTimeout (55P03)
        """
        return self._rows(
            UsageChange,
            "recalculate_usage",
            {"from": from_date, "to": to_date, "dry_run": dry_run, "recharge": recharge},
            changes=not dry_run,
        )
