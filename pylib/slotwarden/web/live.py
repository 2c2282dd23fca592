"""Live updates: one look at the database a second for each span of days that is looked at."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import anyio
import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from slotwarden.exceptions import SlotwardenError
from slotwarden.web.workspace import Workspace

_MOST_LOOKS_AT_ONCE = 2
# How long a stream may not notice that the application ends.
_ENDING_SECONDS = 0.3
_DAY = dt.timedelta(days=1)


class Span(NamedTuple):
    """The days that somebody looks at."""

    channel: str
    first: dt.date
    days: int


@dataclass(frozen=True, slots=True)
class State:
    """What was seen: a fingerprint of the days; None while the database is away."""

    fingerprint: str | None


class _Watch:
    """The look at one span, shared by all who follow it."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.changed = asyncio.Event()
        self.followers = 0
        self.task: asyncio.Task[None] | None = None

    def tell(self, state: State) -> None:
        if state != self.state:
            self.state = state
            # Whoever waits holds the old event.
            self.changed.set()
            self.changed = asyncio.Event()


class Live:
    """Lets streams follow spans of days.

    Parameters
    ----------
    workspace : Workspace
        What is looked at: the calendar, and the versions of the ledger.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._watches: dict[Span, _Watch] = {}
        self._threads = anyio.CapacityLimiter(_MOST_LOOKS_AT_ONCE)
        self._ending = False

    @property
    def streams(self) -> int:
        """How many follow."""
        return sum(watch.followers for watch in self._watches.values())

    @property
    def full(self) -> bool:
        """Whether no more may follow."""
        return self.streams >= self._workspace.settings.most_streams

    def end(self) -> None:
        """Let all streams end; may be called from a signal handler."""
        self._ending = True

    async def follow(self, span: Span) -> AsyncIterator[State]:
        """Give the state of a span, and again each time that it has changed, until the end."""
        watch = self._watches.setdefault(span, _Watch())
        watch.followers += 1
        if watch.task is None:
            watch.task = asyncio.create_task(self._look(span, watch))
        try:
            seen: State | None = None
            while not self._ending:
                changed = watch.changed
                if watch.state is not None and watch.state != seen:
                    seen = watch.state
                    yield seen
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _ENDING_SECONDS)
        finally:
            watch.followers -= 1
            if watch.followers == 0:
                watch.task.cancel()
                self._watches.pop(span, None)

    async def _look(self, span: Span, watch: _Watch) -> None:
        while True:
            try:
                found: str | None = await anyio.to_thread.run_sync(
                    self._fingerprint, span, limiter=self._threads
                )
            except (SlotwardenError, SQLAlchemyError):
                found = None
            watch.tell(State(found))
            await asyncio.sleep(self._workspace.settings.poll_seconds)

    def _fingerprint(self, span: Span) -> str:
        scheduler = self._workspace.scheduler
        entries = scheduler.calendar(span.first, span.days, channel=span.channel)
        # A move within a day leaves the ledger alone; what others do to a shared limit, or to a
        # maximum, leaves the calendar alone. A limit's day may begin in another zone.
        usage = scheduler.usage_history(
            span.first - _DAY, span.first + span.days * _DAY, channel=span.channel
        )
        seen = (
            [(entry.reservation_id, entry.version, entry.local_time) for entry in entries],
            [(day.limit_id, day.day, day.version, day.max_units) for day in usage],
        )
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
