"""Random sequences of every operation: PostgreSQL and the plain model agree after each step.

``SLOTWARDEN_MODEL=long`` takes many more steps than usual, and others each time.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from itertools import islice

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from agreement import operation
from booking_steps import LEADS, TIMES, ZONES, BookingSteps, channels, days, kinds, picks
from model import Refused, day_of
from support import Connect, query, session, set_clock

USUAL = settings(
    max_examples=50,
    stateful_step_count=50,
    report_multiple_bugs=False,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(USUAL, max_examples=3000, stateful_step_count=80, derandomize=False)

LIMITS = [
    *["final", "short", "api_units", "cap", "traffic", "other/final", "uploads"] * 3,
    "nothing",
]
limits = st.sampled_from(LIMITS)
WEEKDAYS = st.sampled_from([None, None, 1, 3, 5, 6, 7])


class Steps(BookingSteps):
    """Every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.blackouts: list[tuple[int, str, tuple[dt.datetime, dt.datetime]]] = []

    @operation(
        1, limit=limits, day=st.none() | st.integers(0, 4), units=st.sampled_from([0, 1, 900])
    )
    def record_usage(self, limit: str, day: int | None, units: int) -> None:
        # Two days on at least it is no past day in any zone.
        on = None if day is None else self.today("default") + dt.timedelta(day + 1)
        self.agree(
            lambda: self.model.record_usage(limit, units, on),
            "record_usage",
            p_limit=limit,
            p_units=units,
            p_day=on,
        )

    @operation(1, limit=limits, most=st.sampled_from([0, 1, 2, 5, 3200, 10_000]))
    def set_maximum(self, limit: str, most: int) -> None:
        self.agree(
            lambda: setattr(self.model.limit(limit), "max_units", most),
            "set_daily_limit",
            p_limit=limit,
            p_max=most,
        )

    @operation(1, counted_at=st.sampled_from(["publish", "upload"]))
    def count_otherwise(self, counted_at: str) -> None:
        self.agree(
            lambda: setattr(self.model.limit("cap"), "counted_at", counted_at),
            "set_daily_limit",
            p_limit="cap",
            p_counted_at=counted_at,
        )

    @operation(
        1, limit=limits, day=st.integers(0, 4), most=st.sampled_from([None, None, 0, 1, 3, 1600])
    )
    def override(self, limit: str, day: int, most: int | None) -> None:
        on = self.today("default") + dt.timedelta(day)

        def expected() -> None:
            overrides = self.model.limit(limit).overrides
            overrides.pop(on, None)
            if most is not None:
                overrides[on] = most

        self.agree(expected, "override_day", p_limit=limit, p_day=on, p_max=most)

    @operation(
        1,
        kind=kinds,
        limit=st.sampled_from(["final", "cap", "traffic"] * 3 + ["nothing"]),
        units=st.sampled_from([0, 1, 2, 10]),
        channel=channels,
    )
    def set_charge(self, kind: str, limit: str, units: int, channel: str) -> None:
        self.agree(
            lambda: self.model.set_charge(kind, limit, units, channel),
            "set_charge",
            kind=kind,
            p_limit=limit,
            p_units=units,
            channel=channel,
        )

    @operation(
        1,
        profile=st.sampled_from(["units-10000", "uploads-100"]),
        channel=channels,
        shared=st.sampled_from([None, None, "project"]),
    )
    def apply_profile(self, profile: str, channel: str, shared: str | None) -> None:
        self.agree(
            lambda: self.model.apply_profile(profile, channel, shared),
            "apply_quota_profile",
            p_profile=profile,
            channel=channel,
            p_limit=shared,
        )

    @operation(
        2,
        channel=channels,
        zone=st.none() | st.sampled_from(ZONES),
        lead=st.none() | st.sampled_from(LEADS),
    )
    def set_channel(self, channel: str, zone: str | None, lead: dt.timedelta | None) -> None:
        self.agree(
            lambda: self.model.set_channel(channel, zone, lead),
            "set_channel",
            channel=channel,
            p_time_zone=zone,
            p_upload_lead=lead,
        )

    @operation(2, dry_run=st.booleans(), recharge=st.booleans())
    def recalculate(self, dry_run: bool, recharge: bool) -> None:
        first = self.today("default") - dt.timedelta(days=1)
        last = first + dt.timedelta(days=4)

        def expected() -> list[tuple[object, ...]]:
            before = self.model.copy()
            changes = self.model.recharge(first, last) if recharge else []
            if dry_run:
                self.model = before
            return [(self.ids[number], *change) for number, *change in changes]

        wanted, outcome = self.agree(
            expected,
            "recalculate_usage",
            p_from=first,
            p_to=last,
            p_dry_run=dry_run,
            p_recharge=recharge,
        )
        assert sorted(tuple(row[:6]) for row in outcome.rows) == sorted(wanted)

    @operation(1, channel=channels, day=days, hours=st.sampled_from([24, 72]))
    def add_blackout(self, channel: str, day: int, hours: int) -> None:
        start = dt.datetime.combine(self.today(channel), dt.time(9), dt.UTC) + dt.timedelta(day)
        span = (start, start + dt.timedelta(hours=hours))
        _, outcome = self.agree(
            lambda: self.model.channel(channel).blackouts.append(span),
            "add_blackout",
            channel=channel,
            p_from=span[0],
            p_to=span[1],
            p_reason="because",
        )
        if outcome.sqlstate is None:
            self.blackouts.append((outcome.row.blackout_id, channel, span))

    @operation(1, choice=picks)
    def remove_blackout(self, choice: int) -> None:
        blackout_id = -1
        if self.blackouts:
            blackout_id, channel, span = self.blackouts.pop(choice % len(self.blackouts))
            self.model.channel(channel).blackouts.remove(span)
        _, outcome = self.agree(lambda: None, "remove_blackout", p_blackout_id=blackout_id)
        assert len(outcome.rows) == (blackout_id != -1)

    @operation(
        1, channel=channels, times=st.lists(st.sampled_from(TIMES), max_size=3), weekday=WEEKDAYS
    )
    def set_posting_times(self, channel: str, times: list[dt.time], weekday: int | None) -> None:
        self.agree(
            lambda: self.model.channel(channel).posting_times.update({weekday: times}),
            "set_posting_times",
            channel=channel,
            p_times=times,
            p_iso_weekday=weekday,
        )

    @operation(1, channel=channels, kind=kinds, count=st.integers(1, 9), horizon=st.integers(1, 3))
    def look_for_slots(self, channel: str, kind: str, count: int, horizon: int) -> None:
        def expected() -> list[dt.datetime]:
            self.model.known(channel, kind)
            first = self.today(channel)
            return list(islice(self.model.free_slots(channel, kind, first, horizon), count))

        wanted, outcome = self.agree(
            expected,
            "available_slots",
            channel=channel,
            kind=kind,
            p_count=count,
            p_horizon_days=horizon,
        )
        if not isinstance(wanted, Refused):
            assert [row.publish_time for row in outcome.rows] == wanted

    @operation(1, channel=channels, day=st.none() | st.integers(2, 5))
    def look_at_a_day(self, channel: str, day: int | None) -> None:
        on = None if day is None else self.today("default") + dt.timedelta(day)

        def expected() -> dict[str, tuple[dt.date, int, int]]:
            here = self.model.channel(channel)
            found = {}
            for limit in {limit for rules in here.rules.values() for limit in rules}:
                today = day_of(self.model.now, self.model.zone_of(limit, here.time_zone))
                at = on or today
                found[limit] = (at, self.model.used[limit, at], self.model.max_units(limit, at))
            return found

        wanted, outcome = self.agree(expected, "daily_status", channel=channel, p_day=on)
        if not isinstance(wanted, Refused):
            assert {
                row.limit_id: (row.day, row.used_units, row.max_units) for row in outcome.rows
            } == wanted

    @operation(1, channel=channels, day=days)
    def look_at_the_calendar(self, channel: str, day: int) -> None:
        first = self.today(channel) + dt.timedelta(day)

        def expected() -> list[int]:
            zone = self.model.channel(channel).time_zone
            shown = [
                each
                for each in self.model.reservations.values()
                if each.channel == channel
                and each.status != "cancelled"
                and 0 <= (day_of(each.publish_time, zone) - first).days < 2
            ]
            shown.sort(key=lambda each: (each.publish_time, each.number))
            return [self.ids[each.number] for each in shown]

        wanted, outcome = self.agree(expected, "calendar", channel=channel, p_from=first, p_days=2)
        if not isinstance(wanted, Refused):
            assert [row.reservation_id for row in outcome.rows] == wanted


def test_every_operation_does_what_the_model_does(connect: Connect) -> None:
    db = session(connect)
    set_clock(db, "2031-01-01 00:00Z")
    db.autocommit = False
    Steps.db = db
    Steps.seen = Counter()
    chosen = LONG if os.environ.get("SLOTWARDEN_MODEL") == "long" else USUAL
    run_state_machine_as_test(Steps, settings=chosen)
    assert sum(Steps.seen.values()) > 2000
    refusals = {code for code in Steps.seen if code.startswith("SW")}
    assert refusals >= {
        "SWCHN", "SWTYP", "SWGAP", "SWKEY", "SWPST", "SWBLK", "SWDUP", "SWTKN", "SWLIM", "SWNON",
        "SWNFD", "SWSTA", "SWVER",
    }  # fmt: skip
    assert query(db, "select reservation_id from slotwarden.reservation") == []
