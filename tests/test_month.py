"""A month of a channel's life, with everything that goes wrong in one."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from life import ONE_DAY, on, run_clock, times
from support import (
    ADMIN,
    APP,
    OWNER,
    Connect,
    PgConnection,
    assert_consistent,
    attempt_call,
    query,
    scalar,
    session,
)

# The clocks go forward on the 9th, in New York as in California.
FIRST = dt.date(2031, 3, 1)
DAYS = 31
ZONE = "America/New_York"
REFUSALS = {"SWTKN", "SWLIM", "SWNON", "SWPST", "SWDUP", "SWBLK"}


class Channel:
    """One who books, one who uploads and one who administers, each in a session of their own."""

    def __init__(self, connect: Connect) -> None:
        self.dice = random.Random(20310301)  # noqa: S311
        self.owner = session(connect, role=OWNER)
        self.app = session(connect, role=APP)
        self.admin = session(connect, role=ADMIN)
        self.clock = session(connect)
        self.day = FIRST
        self.videos = 0
        self.counts: Counter[str] = Counter()
        self.begun = 0
        # Those of them that were planned before uploads were counted instead of units.
        self.begun_in_units = 0

    def did(self, connection: PgConnection, function: str, **named: Any) -> list[Any]:
        outcome = attempt_call(connection, function, **named)
        assert outcome.sqlstate is None or outcome.sqlstate in REFUSALS, outcome
        self.counts[outcome.sqlstate or function] += 1
        return list(outcome.rows)

    def video(self) -> str:
        self.videos += 1
        return f"video-{self.videos}.mp4"

    def some(self, status: str, most: int) -> Sequence[Any]:
        rows = query(
            self.owner,
            "select * from slotwarden.reservation where upload_status = %s order by 1",
            status,
        )
        return self.dice.sample(rows, min(most, len(rows)))

    def book(self) -> None:
        for _ in range(self.dice.randrange(3)):
            self.did(
                self.app,
                "reserve_next_slot",
                kind="final",
                video=self.video(),
                p_append=self.dice.random() < 0.2,
            )
        day = self.day + self.dice.randrange(1, 6) * ONE_DAY
        at = f"{self.dice.randrange(7, 23):02d}:{self.dice.choice((0, 30)):02d}"
        self.did(self.app, "reserve_slot", day=day, kind="short", at=at, video=self.video())
        items = [
            {"date": str(day), "time": f"{hour:02d}:15", "type": "short", "video": self.video()}
            for hour in self.dice.sample(range(24), 2)
        ]
        for row in self.did(
            self.app, "reserve_slots", p_requests=json.dumps(items), p_all_or_nothing=False
        ):
            self.counts[f"item {row.outcome}"] += 1
            assert row.outcome == "reserved" or row.outcome in {*REFUSALS, "SWGAP"}

    def change_minds(self) -> None:
        for booked in self.some("scheduled", 2):
            day = self.day + self.dice.randrange(1, 6) * ONE_DAY
            at = f"{self.dice.randrange(7, 23):02d}:45"
            self.did(
                self.app,
                "reschedule_reservation",
                p_reservation_id=booked.reservation_id,
                day=day,
                at=at,
                p_expected_version=booked.version,
            )
        for booked in self.some("scheduled", self.dice.randrange(2)):
            self.did(self.app, "cancel_reservation", p_reservation_id=booked.reservation_id)
        for failed in self.some("failed", 2):
            self.did(
                self.app,
                "retry_upload",
                p_reservation_id=failed.reservation_id,
                day=self.day + ONE_DAY,
                at=f"{self.dice.randrange(7, 23):02d}:50",
            )

    def upload(self) -> None:
        for started in self.did(self.app, "claim_due_uploads", p_count=20, p_lease="2 hours"):
            self.begun += 1
            ended = self.dice.choices(["complete_upload", "fail_upload", "crash"], [6, 2, 2])[0]
            self.counts[ended] += 1
            # Of who crashed nobody hears; another worker claims it when the lease has run out.
            if ended != "crash":
                on(self.app, ended, started, p_token=started.lease_token)
                self.counts["later attempt"] += started.attempt > 1

    def set_up(self) -> None:
        self.did(self.admin, "set_channel", channel="default", p_time_zone=ZONE)

    def set_midway(self) -> None:
        """What an administrator does on that day."""
        match self.day.day:
            case 6:
                self.did(self.admin, "set_daily_limit", p_limit="final", p_max=3)
            case 9:
                self.did(self.admin, "set_posting_times", p_times=times("02:30", "19:00"))
            case 12:
                # Booked is more than that already.
                self.did(self.admin, "set_daily_limit", p_limit="short", p_max=2)
                self.did(
                    self.admin,
                    "override_day",
                    p_limit="final",
                    p_day=self.day + 3 * ONE_DAY,
                    p_max=0,
                )
            case 15:
                self.did(self.admin, "apply_quota_profile", p_profile="uploads-100")
                self.recharge()
                self.begun_in_units = self.begun + self.overdue()
            case 18:
                start = dt.datetime.combine(self.day + 2 * ONE_DAY, dt.time(0), dt.UTC)
                self.did(
                    self.admin,
                    "add_blackout",
                    p_from=start,
                    p_to=start + 2 * ONE_DAY,
                    p_reason="spring break",
                )
            case 21:
                self.did(self.admin, "set_daily_limit", p_limit="short", p_max=8)
                self.did(self.admin, "set_channel", channel="default", p_upload_lead="36 hours")
                self.recharge()

    def recharge(self) -> None:
        rows = self.did(
            self.admin,
            "recalculate_usage",
            p_from=self.day - ONE_DAY,
            p_to=self.day + 20 * ONE_DAY,
            p_recharge=True,
        )
        assert {row.action for row in rows} <= {"charge", "release"}
        self.counts["charged anew"] += len(rows)

    def overdue(self) -> int:
        """Count what was to be uploaded by now: it is not charged anew."""
        found: int = scalar(
            self.owner,
            "select count(*) from slotwarden.reservation where upload_status = 'scheduled'"
            " and scheduled_publish_time <= slotwarden.clock_now()",
        )
        return found

    def live(self) -> None:
        """Live one day, four hours at a time."""
        for hour in range(0, 24, 4):
            run_clock(self.clock, f"{self.day} {hour:02d}:00Z")
            self.upload()
            match hour:
                case 8:
                    self.set_midway()
                case 12:
                    self.book()
                case 16:
                    self.change_minds()
                case 20:
                    units = self.dice.choice((0, 1))
                    if self.begun_in_units:
                        self.did(self.app, "record_usage", p_limit="uploads", p_units=units)


def units_by_day(connection: PgConnection, limit: str) -> dict[dt.date, int]:
    rows = query(
        connection,
        "select day, sum(units)::integer as units from slotwarden.usage_ledger"
        " where limit_id = %s group by day having sum(units) <> 0",
        limit,
    )
    return {row.day: row.units for row in rows}


def test_a_month_of_a_channel(connect: Connect) -> None:
    channel = Channel(connect)
    channel.set_up()
    for number in range(DAYS):
        channel.day = FIRST + number * ONE_DAY
        channel.live()
    owner = channel.owner
    assert_consistent(owner)

    # Each day of posting limits holds its live bookings, and nothing else.
    for kind in ("final", "short"):
        booked = query(
            owner,
            "select local_date, count(*)::integer as number from slotwarden.reservation"
            " where video_type = %s and upload_status in ('scheduled', 'uploading', 'completed')"
            " group by local_date",
            kind,
        )
        assert units_by_day(owner, kind) == {row.local_date: row.number for row in booked}
        assert max(row.number for row in booked) <= {"final": 3, "short": 8}[kind]

    # Each attempt is charged once, on the side of the change of profile on which it was planned.
    assert sum(units_by_day(owner, "api_units").values()) == 1600 * channel.begun_in_units
    assert max(units_by_day(owner, "api_units").values()) <= 10_000
    planned = scalar(
        owner, "select count(*) from slotwarden.reservation where upload_status = 'scheduled'"
    )
    recorded = scalar(owner, "select sum(units) from slotwarden.external_usage")
    assert sum(units_by_day(owner, "uploads").values()) == (
        channel.begun - channel.begun_in_units + planned + recorded
    )

    # A month in which all of that happened.
    happened = channel.counts
    assert happened["complete_upload"] > 50
    for what in (
        "fail_upload",
        "crash",
        "later attempt",
        "retry_upload",
        "reschedule_reservation",
        "cancel_reservation",
        "charged anew",
        "reserve_next_slot",
        "reserve_slot",
        "item reserved",
    ):
        assert happened[what] >= 5, what
    assert happened["SWLIM"] + happened["item SWLIM"] >= 5
