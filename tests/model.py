"""The rules of slotwarden once more, in plain Python: one caller, no locks, no SQL.

Here are slots, charges and booking; `model_life` adds what becomes of a booking, `model_settings`
what an administrator sets. Each method does what an SQL function does, or raises `Refused` and
changes nothing. Reservations are numbered from 1 in the order in which they were booked. What a
call is given is right by its form; mistakes in it are tested elsewhere.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

LIVE = ("scheduled", "uploading", "completed")
PACIFIC = "America/Los_Angeles"

# Units by limit, day, and the attempt that they are for; None: they are for the slot.
Charges: TypeAlias = Counter[tuple[str, dt.date, int | None]]
# A local time of a channel without a zone, or an instant with one.
When: TypeAlias = dt.datetime


class Refused(Exception):
    """A refusal, by its SQLSTATE; of SWLIM also what was reached."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass
class Limit:
    max_units: int
    counted_at: str
    time_zone: str | None = None
    overrides: dict[dt.date, int] = field(default_factory=dict)


@dataclass
class Channel:
    time_zone: str = "UTC"
    upload_lead: dt.timedelta = dt.timedelta(0)
    # By weekday; None: of every day.
    posting_times: dict[int | None, list[dt.time]] = field(default_factory=dict)
    # Units by video type and limit.
    rules: dict[str, dict[str, int]] = field(default_factory=dict)
    blackouts: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)


@dataclass
class Reservation:
    number: int
    channel: str
    kind: str
    video: str | None
    publish_time: dt.datetime
    upload_time: dt.datetime
    time_zone: str
    status: str = "scheduled"
    attempt: int = 1
    version: int = 1
    token: int | None = None
    lease_expires_at: dt.datetime | None = None
    youtube_video_id: str | None = None
    error_message: str | None = None
    charged: Charges = field(default_factory=Counter)

    def held(self) -> Charges:
        """Return what it can give back; what earlier attempts took is spent."""
        return Counter(
            {key: units for key, units in self.charged.items() if key[2] in (None, self.attempt)}
        )


@dataclass
class Wish:
    """One item of a batch."""

    channel: str
    kind: str
    when: When
    video: str | None = None
    key: str | None = None


def day_of(instant: dt.datetime, zone: str) -> dt.date:
    return instant.astimezone(ZoneInfo(zone)).date()


def instant_of(local: dt.datetime, zone: str) -> dt.datetime | None:
    """Return the first instant at which the zone's clocks show that; None: they skip it."""
    instant = local.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return instant if shown == local else None


def net(take: Charges, give_back: Charges) -> Charges:
    change: Charges = Counter(take)
    change.subtract(give_back)
    return Counter({key: units for key, units in change.items() if units})


class Model:
    """A workspace, and what time it is."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.limits = {
            "final": Limit(2, "publish"),
            "short": Limit(5, "publish"),
            "api_units": Limit(10_000, "upload", PACIFIC),
        }
        self.channels = {
            "default": Channel(
                posting_times={None: [dt.time(10), dt.time(14), dt.time(18)]},
                rules={kind: {kind: 1, "api_units": 1600} for kind in ("final", "short")},
            )
        }
        self.reservations: dict[int, Reservation] = {}
        self.requests: dict[str, tuple[tuple[Any, ...], Reservation]] = {}
        self.used: Counter[tuple[str, dt.date]] = Counter()

    # What a slot is, and what speaks against one.

    def zone_of(self, limit: str, channel_zone: str) -> str:
        return self.limits[limit].time_zone or channel_zone

    def max_units(self, limit: str, day: dt.date) -> int:
        return self.limits[limit].overrides.get(day, self.limits[limit].max_units)

    def upload_time(self, channel: str, publish_time: dt.datetime) -> dt.datetime:
        lead = self.channels[channel].upload_lead
        return min(publish_time, max(publish_time - lead, self.now))

    def charges(
        self, channel: str, kind: str, publish: dt.datetime, upload: dt.datetime, attempt: int = 1
    ) -> Charges:
        """Return what today's rules take for one upload."""
        found: Charges = Counter()
        for limit, units in self.channels[channel].rules[kind].items():
            at_upload = self.limits[limit].counted_at == "upload"
            zone = self.zone_of(limit, self.channels[channel].time_zone)
            day = day_of(upload if at_upload else publish, zone)
            found[limit, day, attempt if at_upload else None] += units
        return found

    def room_for(self, charges: Charges) -> None:
        def in_the_order_of_telling(key: tuple[str, dt.date, int | None]) -> tuple[Any, ...]:
            limit, day, attempt = key
            return (attempt is not None, day, limit)

        for key in sorted(charges, key=in_the_order_of_telling):
            (limit, day, _), units = key, charges[key]
            used, most = self.used[limit, day], self.max_units(limit, day)
            if units > 0 and used + units > most:
                raise Refused("SWLIM", limit=limit, day=str(day), used=used, max=most, units=units)

    def free(
        self, channel: str, at: dt.datetime, video: str | None, moving: Reservation | None = None
    ) -> None:
        if at <= self.now:
            raise Refused("SWPST")
        if any(start <= at < end for start, end in self.channels[channel].blackouts):
            raise Refused("SWBLK")
        self.unbooked(channel, video, moving)
        if any(each.publish_time == at for each in self.live(channel) if each is not moving):
            raise Refused("SWTKN")

    def live(self, channel: str) -> list[Reservation]:
        return [
            each
            for each in self.reservations.values()
            if each.channel == channel and each.status in LIVE
        ]

    def unbooked(self, channel: str, video: str | None, moving: Reservation | None = None) -> None:
        if video is not None and any(
            each.video == video for each in self.live(channel) if each is not moving
        ):
            raise Refused("SWDUP")

    def known(self, channel: str, kind: str) -> None:
        if channel not in self.channels:
            raise Refused("SWCHN")
        if kind not in self.channels[channel].rules:
            raise Refused("SWTYP")

    def instant(self, channel: str, when: When) -> dt.datetime:
        if when.tzinfo is not None:
            return when.astimezone(dt.UTC)
        instant = instant_of(when, self.channels[channel].time_zone)
        if instant is None:
            raise Refused("SWGAP")
        return instant

    def replayed(self, key: str | None, call: tuple[Any, ...]) -> Reservation | None:
        if key is None or key not in self.requests:
            return None
        first_call, reservation = self.requests[key]
        if first_call != call:
            raise Refused("SWKEY")
        return reservation

    def remember(self, key: str | None, call: tuple[Any, ...], reservation: Reservation) -> None:
        if key is not None:
            self.requests[key] = (call, reservation)

    def post(self, reservation: Reservation, change: Charges) -> None:
        for key, units in change.items():
            reservation.charged[key] += units
            self.used[key[:2]] += units

    # Booking.

    def book(
        self, function: str, wish: Wish, at: When | None = None, call: tuple[Any, ...] | None = None
    ) -> Reservation:
        """Book what is wished for, or the slot `at` that was found for it."""
        self.known(wish.channel, wish.kind)
        publish = self.instant(wish.channel, at or wish.when)
        call = call or (function, wish.channel, wish.kind, wish.when, wish.video)
        if (first := self.replayed(wish.key, call)) is not None:
            return first
        self.free(wish.channel, publish, wish.video)
        upload = self.upload_time(wish.channel, publish)
        charges = self.charges(wish.channel, wish.kind, publish, upload)
        self.room_for(charges)
        booked = Reservation(
            len(self.reservations) + 1, wish.channel, wish.kind, wish.video, publish, upload,
            self.channels[wish.channel].time_zone,
        )  # fmt: skip
        self.reservations[booked.number] = booked
        self.post(booked, charges)
        self.remember(wish.key, call, booked)
        return booked

    def free_slots(
        self, channel: str, kind: str, first: dt.date, days: int, after: dt.datetime | None = None
    ) -> Iterator[dt.datetime]:
        """Give the slots that could be booked, in the order of booking."""
        here = self.channels[channel]
        for day in (first + dt.timedelta(number) for number in range(days)):
            liked = {
                time
                for weekday in (None, day.isoweekday())
                for time in here.posting_times.get(weekday, [])
            }
            hours = {dt.time(hour) for hour in range(9, 22)} - liked
            for time in [*sorted(liked), *sorted(hours)]:
                at = instant_of(dt.datetime.combine(day, time), here.time_zone)
                if at is None or at <= (after or self.now):
                    continue
                try:
                    self.free(channel, at, None)
                    self.room_for(self.charges(channel, kind, at, self.upload_time(channel, at)))
                except Refused:
                    continue
                yield at

    def book_next(
        self, wish: Wish, first: dt.date | None, days: int, *, append: bool
    ) -> Reservation:
        self.known(wish.channel, wish.kind)
        call = ("reserve_next_slot", wish.channel, wish.kind, wish.video, first, days, append)
        if (done := self.replayed(wish.key, call)) is not None:
            return done
        live = self.live(wish.channel)
        after = max([self.now, *(each.publish_time for each in live)]) if append else None
        first = first or day_of(self.now, self.channels[wish.channel].time_zone)
        for at in self.free_slots(wish.channel, wish.kind, first, days, after):
            return self.book("reserve_next_slot", wish, at, call)
        self.unbooked(wish.channel, wish.video)
        raise Refused("SWNON")

    def book_batch(self, wishes: Sequence[Wish], *, whole: bool) -> list[Reservation | Refused]:
        """Book in order of time; whole: the first refusal takes everything back."""
        before = copy.deepcopy(self.__dict__)
        results: dict[int, Reservation | Refused] = {}
        for place in sorted(range(len(wishes)), key=lambda place: self._turn(wishes[place], place)):
            try:
                results[place] = self.book("reserve_slots", wishes[place])
            except Refused as refusal:
                if whole:
                    self.__dict__ = before
                    raise
                results[place] = refusal
        return [results[place] for place in range(len(wishes))]

    def _turn(self, wish: Wish, place: int) -> tuple[bool, dt.datetime, int]:
        try:
            self.known(wish.channel, wish.kind)
            return (False, self.instant(wish.channel, wish.when), place)
        except Refused:
            return (True, self.now, place)
