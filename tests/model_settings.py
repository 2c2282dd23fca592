"""The model, completed: what an administrator sets, and charging anew."""

from __future__ import annotations

import copy
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from model import PACIFIC, Channel, Limit, Refused, day_of, net
from model_life import Life

# Reservation, limit, day, action, units before and after.
Change: TypeAlias = tuple[int, str, dt.date, str, int, int]


class Workspace(Life):
    """All the rules of slotwarden."""

    def copy(self) -> Workspace:
        return copy.deepcopy(self)

    def channel(self, name: str) -> Channel:
        if name not in self.channels:
            raise Refused("SWCHN")
        return self.channels[name]

    def limit(self, name: str) -> Limit:
        if name not in self.limits:
            raise Refused("SWARG")
        return self.limits[name]

    def charging(self, limit: str) -> set[str]:
        """Return the zones of the channels that charge a limit."""
        return {
            channel.time_zone
            for channel in self.channels.values()
            if any(limit in rules for rules in channel.rules.values())
        }

    def one_day_each(self) -> bool:
        """Whether each limit without a zone of its own is charged in one zone only."""
        return all(
            limit.time_zone is not None or len(self.charging(name)) <= 1
            for name, limit in self.limits.items()
        )

    def create_channel(
        self, name: str, time_zone: str, upload_lead: dt.timedelta, shared: Sequence[str]
    ) -> None:
        """Make a channel like the first, with limits of its own where it does not share them."""
        like = self.channels["default"]
        if name in self.channels:
            raise Refused("SWARG")
        own = {
            limit: limit if limit in shared else f"{name}/{limit}"
            for rules in like.rules.values()
            for limit in rules
        }
        self.channels[name] = Channel(
            time_zone,
            upload_lead,
            {weekday: list(times) for weekday, times in like.posting_times.items()},
            {
                kind: {own[limit]: units for limit, units in rules.items()}
                for kind, rules in like.rules.items()
            },
        )
        if not self.one_day_each():
            del self.channels[name]
            raise Refused("SWARG")
        for limit, mine in own.items():
            theirs = self.limits[limit]
            self.limits.setdefault(
                mine, Limit(theirs.max_units, theirs.counted_at, theirs.time_zone)
            )

    def set_channel(
        self, name: str, time_zone: str | None, upload_lead: dt.timedelta | None
    ) -> None:
        channel = self.channel(name)
        before = channel.time_zone
        channel.time_zone = time_zone or before
        if not self.one_day_each():
            channel.time_zone = before
            raise Refused("SWARG")
        if upload_lead is not None:
            channel.upload_lead = upload_lead

    def set_charge(self, kind: str, limit: str, units: int, channel: str) -> None:
        self.known(channel, kind)
        self.limit(limit)
        rules = self.channels[channel].rules[kind]
        before = dict(rules)
        rules.pop(limit, None)
        if units:
            rules[limit] = units
        if not self.one_day_each():
            self.channels[channel].rules[kind] = before
            raise Refused("SWARG")

    def apply_profile(self, profile: str, name: str, shared: str | None) -> None:
        """Charge uploads as a profile does, and no longer as the other one."""
        channel = self.channel(name)
        units, most, own = {
            "units-10000": (1600, 10_000, "api_units"),
            "uploads-100": (1, 100, "uploads"),
        }[profile]
        limit = shared or (own if name == "default" else f"{name}/{own}")
        self.limits.setdefault(limit, Limit(most, "upload", PACIFIC))
        for rules in channel.rules.values():
            for other in list(rules):
                found = self.limits[other]
                if (found.counted_at, found.time_zone) == ("upload", PACIFIC):
                    del rules[other]
            rules[limit] = units

    def record_usage(self, name: str, units: int, day: dt.date | None) -> None:
        limit = self.limit(name)
        if day is None:
            zone = limit.time_zone or min(self.charging(name), default="UTC")
            day = day_of(self.now, zone)
        # To no reservation's account, so without an attempt.
        self.room_for(Counter({(name, day, None): units}))
        self.used[name, day] += units

    def recharge(self, first: dt.date, last: dt.date) -> list[Change]:
        """Apply today's rules to what is scheduled for the future, in order of time."""
        changes: list[Change] = []
        for each in sorted(
            self.reservations.values(), key=lambda each: (each.publish_time, each.number)
        ):
            day = day_of(each.publish_time, each.time_zone)
            if (
                each.status != "scheduled"
                or each.publish_time <= self.now
                or not first <= day <= last
            ):
                continue
            upload = self.upload_time(each.channel, each.publish_time)
            held = each.held()
            change = net(
                self.charges(each.channel, each.kind, each.publish_time, upload, each.attempt),
                held,
            )
            try:
                self.room_for(change)
                fits = True
            except Refused:
                fits = False
            for (limit, charged_day, _), units in change.items():
                before = sum(
                    units for key, units in held.items() if key[:2] == (limit, charged_day)
                )
                action = ("charge" if units > 0 else "release") if fits else "refused"
                changes.append(
                    (each.number, limit, charged_day, action, before, before + units * fits)
                )
            zone = self.channels[each.channel].time_zone
            if fits and (change or (each.upload_time, each.time_zone) != (upload, zone)):
                self.post(each, change)
                self.change(each, upload_time=upload, time_zone=zone)
        return changes
