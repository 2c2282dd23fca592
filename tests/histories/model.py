"""Charging, as the contract says it, in plain Python."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .history import Channel, State, World

Charge = tuple[str, str, dt.date]
"""Limit, counted_at, day."""


class Expected(NamedTuple):
    """An entry that a change requires."""

    limit_id: str
    day: dt.date
    attempt: int | None
    units: int
    reason: str


_REASONS = {
    (None, "scheduled"): "reserve",
    ("scheduled", "scheduled"): "reschedule",
    ("scheduled", "cancelled"): "cancel",
    ("scheduled", "uploading"): "start",
    ("uploading", "uploading"): "claim",
    ("uploading", "completed"): "complete",
    ("uploading", "failed"): "fail",
    ("failed", "scheduled"): "retry",
}


@lru_cache(maxsize=100_000)
def day_in(zone: str, instant: dt.datetime) -> dt.date:
    """Return the day of an instant in a zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=100_000)
def instant_of(zone: str, date: dt.date, time: dt.time) -> dt.datetime:
    """Return the instant of a wall clock time (the first, where it occurs twice)."""
    return dt.datetime.combine(date, time, ZoneInfo(zone)).astimezone(dt.UTC)


def upload_time(channel: Channel, publish: dt.datetime, now: dt.datetime) -> dt.datetime:
    """Return when the upload of a booking made `now` runs."""
    return min(publish, max(publish - channel.upload_lead, now))


def charges_for(
    world: World, channel: str, kind: str, publish: dt.datetime, upload: dt.datetime
) -> Counter[Charge]:
    """Return what one upload takes."""
    taken: Counter[Charge] = Counter()
    for rule in world.rules.get((channel, kind), ()):
        instant = publish if rule.counted_at == "publish" else upload
        taken[rule.limit_id, rule.counted_at, day_in(rule.time_zone, instant)] += rule.units
    return taken


def kind_of(before: State | None, after: State) -> str | None:
    """Return what change leads from one version to the next; None: no legal one does."""
    status = before.upload_status if before else None
    kind = _REASONS.get((status, after.upload_status))
    if kind is None or before is None:
        return kind
    attempts = after.attempt - before.attempt
    if attempts != (1 if kind in ("claim", "retry") else 0):
        return None
    fixed = ("reservation_id", "channel_id", "video_type", "video_path", "created_at", "created_by")
    if any(getattr(before, name) != getattr(after, name) for name in fixed):
        return None
    moved = before.scheduled_publish_time != after.scheduled_publish_time
    if moved and kind not in ("reschedule", "retry"):
        return None
    return None if kind == "reschedule" and not moved else kind


class Holdings:
    """What one reservation holds, change by change."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held: Counter[tuple[Charge, int | None]] = Counter()

    def apply(self, after: State, kind: str) -> list[Expected]:
        """Return the entries that a change to version `after` requires."""
        slot_units = {c: n for (c, attempt), n in self._held.items() if attempt is None and n}
        upload_units = {
            c: n for (c, attempt), n in self._held.items() if attempt == after.attempt and n
        }
        net: Counter[Charge] = Counter()
        if kind in ("reserve", "reschedule", "retry"):
            net.update(self._charges(after))
        if kind == "claim":
            net.update({c: n for c, n in self._charges(after).items() if c[1] == "upload"})
        if kind in ("reschedule", "cancel", "fail"):
            net.subtract(slot_units)
        if kind in ("reschedule", "cancel"):
            net.subtract(upload_units)
        if kind == "start":
            for (limit, counted_at, day), units in upload_units.items():
                zone = self._world.limit_zones[limit]
                net[limit, counted_at, day] -= units
                net[limit, counted_at, day_in(zone, after.upload_time)] += units
        return list(self._book(net.items(), after.attempt, kind))

    def _charges(self, state: State) -> Counter[Charge]:
        return charges_for(
            self._world,
            state.channel_id,
            state.video_type,
            state.scheduled_publish_time,
            state.upload_time,
        )

    def _book(
        self, net: Iterable[tuple[Charge, int]], attempt: int, reason: str
    ) -> Iterable[Expected]:
        for charge, units in net:
            if units:
                paid_for = attempt if charge[1] == "upload" else None
                self._held[charge, paid_for] += units
                yield Expected(charge[0], charge[2], paid_for, units, reason)
