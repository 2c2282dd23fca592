"""Tries on paper what booking so many videos would come to; asks the wrapper, changes nothing."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from slotwarden.models import AvailableSlot, CountedAt, QuotaWarning
from slotwarden.records import Record
from slotwarden.scheduler import Scheduler
from slotwarden.takeover import LangflixSetting

# The most that one call gives.
_SLOTS_A_READ = 1000
_DAYS_A_READ = 366


@dataclass(frozen=True, slots=True)
class TypeForecast(Record):
    """When so many videos of a type have found their slots.

    Attributes
    ----------
    video_type : str
        The type.
    wanted, placed : int
        Videos asked for, and those that fit into the days looked at.
    first_slot, last_slot : datetime.datetime or None
        Publish times of the first and the last that fit, aware, in UTC.
    from_day, until_day : datetime.date or None
        Their days on the channel's clock.
    most_a_day : int
        The most that fit on one day.
    closed_days : tuple of datetime.date
        Days up to the last on which nothing of the type is free as things stand: full, booked
        out, or in a blackout.
    limits_reached : mapping
        Number of days on which each limit kept out what came next.
    """

    video_type: str
    wanted: int
    placed: int
    first_slot: dt.datetime | None
    last_slot: dt.datetime | None
    from_day: dt.date | None
    until_day: dt.date | None
    most_a_day: int
    closed_days: tuple[dt.date, ...]
    limits_reached: Mapping[str, int]

    def to_dict(self) -> dict[str, object]:
        """Give the record as plain values for JSON."""
        # Of this class's own: in one with slots, super() without arguments finds another class.
        plain = Record.to_dict(self)
        plain["closed_days"] = [day.isoformat() for day in self.closed_days]
        plain["limits_reached"] = dict(self.limits_reached)
        return plain


class Room:
    """What is left of each limit on each day; taken from on paper.

    Parameters
    ----------
    rules : iterable of LangflixSetting
        What an upload of each type takes.
    usage : iterable of QuotaWarning
        Each limit on each day, from today there on.
    lead : datetime.timedelta
        How long before the publish time uploads run.
    """

    def __init__(
        self,
        rules: Iterable[LangflixSetting],
        usage: Iterable[QuotaWarning],
        lead: dt.timedelta,
    ) -> None:
        self._lead = lead
        self._charges: dict[str, list[tuple[str, CountedAt, int]]] = defaultdict(list)
        for rule in rules:
            if rule.limit_id and rule.counted_at and rule.units:
                charge = (rule.limit_id, CountedAt(rule.counted_at), rule.units)
                self._charges[rule.video_type].append(charge)
        self._left: dict[tuple[str, dt.date], int] = {}
        # The server's own ends of the days: this Python may know other zones.
        self._ends: dict[str, list[tuple[dt.datetime, dt.date]]] = defaultdict(list)
        for row in usage:
            self._left[row.limit_id, row.day] = row.max_units - row.used_units
            self._ends[row.limit_id].append((row.resets_at, row.day))
        for ends in self._ends.values():
            ends.sort()

    def take(self, video_type: str, publish_time: dt.datetime) -> str | None:
        """Take what one upload takes; or nothing, and name the limit that has no room for it."""
        days = [
            ((limit, self._day_of(limit, counted_at, publish_time)), units)
            for limit, counted_at, units in self._charges[video_type]
        ]
        for place, units in days:
            if self._left.get(place, 0) < units:
                return place[0]
        for place, units in days:
            self._left[place] -= units
        return None

    def _day_of(self, limit: str, counted_at: CountedAt, publish_time: dt.datetime) -> dt.date:
        ends = self._ends[limit]
        at = publish_time - self._lead if counted_at is CountedAt.UPLOAD else publish_time
        # Uploads never run before now, and the first day is today's.
        number = bisect_right(ends, at, key=lambda end: end[0])
        return ends[number][1] if number < len(ends) else dt.date.max


@dataclass(frozen=True, slots=True)
class Span:
    """The days to look at, on the clock of `channel`; `days` is 366 at most."""

    channel: str
    first: dt.date
    days: int

    @property
    def last(self) -> dt.date:
        """The last day, included."""
        return self.first + dt.timedelta(days=self.days - 1)


def forecast_types(
    scheduler: Scheduler, wanted: Mapping[str, int], span: Span, lead: dt.timedelta
) -> list[TypeForecast]:
    """Say when so many videos of each type have found their slots, as things stand.

    It is what `Scheduler.reserve_next_slot` would give, called for all of the first type, then for
    all of the next, and so on; but it only reads.

    Parameters
    ----------
    scheduler : Scheduler
        The workspace.
    wanted : mapping
        Videos by type; types that are named first are served first.
    span : Span
        The channel and the days.
    lead : datetime.timedelta
        The channel's upload lead.

    Raises
    ------
    UnknownChannel (SWCHN), UnknownVideoType (SWTYP), InvalidArgument (SWARG)
    """
    rules = scheduler.langflix_settings(channel=span.channel)
    room = Room(rules, _usage(scheduler, span, lead), lead)
    booked: set[dt.datetime] = set()
    return [
        _forecast(name, count, _slots(scheduler, name, span), room=room, booked=booked, span=span)
        for name, count in wanted.items()
    ]


def _usage(scheduler: Scheduler, span: Span, lead: dt.timedelta) -> Iterator[QuotaWarning]:
    """Read each limit on each day that the span may charge."""
    # From 0 percent on, every limit is worth a warning.
    today = {
        row.limit_id: row.day
        for row in scheduler.quota_warnings(None, 1, channel=span.channel, percent=0)
    }
    if not today:
        return
    # Zones lie up to 26 hours apart, and no upload runs before today.
    first = max(min(today.values()), span.first - dt.timedelta(days=lead.days + 2))
    last = max(*today.values(), span.last) + dt.timedelta(days=1)
    for start in range(0, (last - first).days + 1, _DAYS_A_READ):
        page = first + dt.timedelta(days=start)
        days = min(_DAYS_A_READ, (last - page).days + 1)
        rows = scheduler.quota_warnings(page, days, channel=span.channel, percent=0)
        yield from (row for row in rows if row.day >= today[row.limit_id])


def _forecast(
    video_type: str,
    wanted: int,
    slots: Iterable[AvailableSlot],
    *,
    room: Room,
    booked: set[dt.datetime],
    span: Span,
) -> TypeForecast:
    placed: list[AvailableSlot] = []
    open_days: set[dt.date] = set()
    reached: dict[str, set[dt.date]] = defaultdict(set)
    for slot in slots:
        open_days.add(slot.day)
        if len(placed) == wanted:
            break
        if slot.publish_time in booked:
            continue
        limit = room.take(video_type, slot.publish_time)
        if limit is None:
            placed.append(slot)
            booked.add(slot.publish_time)
        else:
            reached[limit].add(slot.day)
    days = [slot.day for slot in placed]
    return TypeForecast(
        video_type=video_type,
        wanted=wanted,
        placed=len(placed),
        first_slot=placed[0].publish_time if placed else None,
        last_slot=placed[-1].publish_time if placed else None,
        from_day=days[0] if days else None,
        until_day=days[-1] if days else None,
        most_a_day=max(Counter(days).values(), default=0),
        closed_days=tuple(_closed(span.first, open_days, days[-1])) if days else (),
        limits_reached={limit: len(on) for limit, on in sorted(reached.items())},
    )


def _closed(first: dt.date, open_days: set[dt.date], until: dt.date) -> Iterator[dt.date]:
    for number in range((until - first).days):
        day = first + dt.timedelta(days=number)
        if day not in open_days:
            yield day


def _slots(scheduler: Scheduler, video_type: str, span: Span) -> Iterator[AvailableSlot]:
    """List the free slots of the span, in the order in which they would be booked."""
    seen: set[dt.datetime] = set()
    day = span.first
    while True:
        found = scheduler.available_slots(
            video_type,
            day,
            _SLOTS_A_READ,
            channel=span.channel,
            horizon_days=(span.last - day).days + 1,
        )
        fresh = [slot for slot in found if slot.publish_time not in seen and slot.day <= span.last]
        yield from fresh
        if len(found) < _SLOTS_A_READ or not fresh:
            return
        seen.update(slot.publish_time for slot in fresh)
        # It may have been cut in the middle.
        day = found[-1].day
