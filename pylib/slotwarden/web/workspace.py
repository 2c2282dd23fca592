"""The workspace behind the application, and what several routes ask of it."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from itertools import islice
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from slotwarden.channels import clock_of, zone_of
from slotwarden.exceptions import DailyLimitReached, SlotwardenError, UnknownChannel
from slotwarden.scheduler import Scheduler
from slotwarden.web.settings import WebSettings

_FIRST_CHANNEL = "default"
_MOST_GUESSES = 20


class Workspace:
    """A scheduler and the settings.

    Parameters
    ----------
    scheduler : Scheduler
        Over an engine, as the application's role: nothing but functions is called.
    settings : WebSettings
        How the application answers.
    """

    def __init__(self, scheduler: Scheduler, settings: WebSettings) -> None:
        self.scheduler = scheduler
        self.settings = settings

    @property
    def schema(self) -> str:
        """The workspace's schema."""
        return self.scheduler.schema

    def now(self) -> dt.datetime:
        """Return the present, aware, in UTC."""
        return self.settings.clock().astimezone(dt.UTC)

    def local_now(self, time_zone: str) -> dt.datetime:
        """Return the present on the clock of a zone; in UTC if this Python does not know it."""
        return self.now().astimezone(clock_of(time_zone))

    def on_clock(self, instant: dt.datetime | None, time_zone: str) -> dt.datetime | None:
        """Return what the clock of a zone shows at an instant; None if it has no such year."""
        try:
            return instant and instant.astimezone(clock_of(time_zone)).replace(tzinfo=None)
        except OverflowError:
            return None

    def channels(self) -> list[str]:
        """Return the channels of the picker: those that were named, or all, ``default`` first."""
        if self.settings.channels:
            return list(self.settings.channels)
        names = [entry.channel_id for entry in self.scheduler.list_channels()]
        return sorted(names, key=lambda name: (name != _FIRST_CHANNEL, name))

    def zone_of(self, channel: str) -> str:
        """Return the time zone of a channel; UTC for one that is not there."""
        return zone_of(self.scheduler, channel)

    def reset_of(self, refusal: DailyLimitReached, channel: str | None) -> dt.datetime | None:
        """Tell when the day of a reached limit ends; None if that cannot be found out.

        Parameters
        ----------
        refusal : DailyLimitReached
            Names limit and day.
        channel : str, optional
            The channel that was asked for; None: it has to be guessed, of which the first few
            tries are made. A limit's day is the same for all that charge it.
        """
        # The refusal is the answer, whatever becomes of this.
        with suppress(SlotwardenError, SQLAlchemyError):
            if channel is not None:
                return self._reset_for(channel, refusal)
            # A limit of a channel's own is called channel/limit.
            own, _, _ = (refusal.limit or "").rpartition("/")
            guesses = dict.fromkeys(filter(None, [own, *self.channels(), _FIRST_CHANNEL]))
            for name in islice(guesses, _MOST_GUESSES):
                with suppress(UnknownChannel):
                    found = self._reset_for(name, refusal)
                    if found is not None:
                        return found
        return None

    def _reset_for(self, channel: str, refusal: DailyLimitReached) -> dt.datetime | None:
        rows = self.scheduler.daily_status(refusal.day, channel=channel)
        return next((row.resets_at for row in rows if row.limit_id == refusal.limit), None)


def workspace_of(request: Request) -> Workspace:
    """Return the workspace that the application was made with."""
    found: Workspace = request.app.state.workspace
    return found


Here = Annotated[Workspace, Depends(workspace_of)]
"""The workspace, as a route takes it."""
