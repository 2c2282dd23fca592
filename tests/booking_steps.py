"""Steps of random sequences: booking, and what becomes of a booking."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from agreement import Agreement, operation
from model import Limit, Refused, Wish

# The day before the clocks change in New York: 02:30 is skipped, 01:30 comes twice.
STARTS = ["2031-03-08 06:00Z", "2031-11-01 06:00Z"]
ZONES = ["America/New_York", "UTC", "Asia/Seoul"]
LEADS = [dt.timedelta(0), dt.timedelta(hours=6), dt.timedelta(days=2)]
TIMES = [dt.time(0), dt.time(1, 30), dt.time(2, 30), dt.time(9), dt.time(10), dt.time(23, 30)]

channels = st.sampled_from(["default"] * 16 + ["other"] * 8 + ["nobody"])
kinds = st.sampled_from(["final", "short", "free"] * 8 + ["teaser"])
days = st.sampled_from([1, 1, 1, 2, 2, 3, 4, 0, 0, -1])
times = st.sampled_from(TIMES)
keys = st.sampled_from([None, None, None, None, "k1", "k2", "k3"])
wishes = st.tuples(
    channels, kinds, days, times, st.sampled_from([None, None, None, "a", "b", "c", "d"]), keys
)
picks = st.integers(0, 10_000)
versions = st.sampled_from([None, None, 0, 0, 1])
leases = st.sampled_from([dt.timedelta(minutes=30), dt.timedelta(hours=9)])


class BookingSteps(Agreement):
    """What those who book and upload do."""

    @initialize(
        start=st.sampled_from(STARTS),
        zone=st.sampled_from(ZONES),
        lead=st.sampled_from(LEADS),
        shared=st.sampled_from([[], ["api_units"], ["api_units", "final"]]),
    )
    def begin(self, start: str, zone: str, lead: dt.timedelta, shared: list[str]) -> None:
        """Put the channel into that zone and make another like it; book a little."""
        self.model.now = dt.datetime.fromisoformat(start)
        for limit, counted_at in (("cap", "publish"), ("traffic", "upload")):
            self.model.limits[limit] = Limit(30, counted_at)
            named = {"p_limit": limit, "p_max": 30, "p_counted_at": counted_at}
            self.agree(lambda: None, "set_daily_limit", **named)
        self.model.channels["default"].rules["free"] = {}
        self.agree(lambda: None, "add_video_type", kind="free")
        named = {"p_time_zone": zone, "p_upload_lead": lead}
        self.agree(
            lambda: self.model.set_channel("default", zone, lead),
            "set_channel",
            channel="default",
            **named,
        )
        self.agree(
            lambda: self.model.create_channel("other", zone, lead, shared),
            "create_channel",
            channel="other",
            p_share_limits=shared,
            **named,
        )
        for number, kind in enumerate(("final", "short", "free", "final", "short")):
            wish = Wish("default", kind, self.local("default", 1 + number % 2, TIMES[number]))
            self.book("reserve_slot", wish)

    @operation(2, hours=st.sampled_from([0.5, 2, 7, 30]))
    def wait(self, hours: float) -> None:
        self.model.now += dt.timedelta(hours=hours)

    @operation(6, function=st.sampled_from(["reserve_slot", "try_reserve_slot"]), given=wishes)
    def reserve(self, function: str, given: tuple[Any, ...]) -> None:
        self.book(function, self.wish(given))

    def book(self, function: str, wish: Wish) -> None:
        self.agree_on_one(
            lambda: self.model.book("reserve_slot", wish),
            function,
            day=wish.when.date(),
            at=wish.when.time(),
            kind=wish.kind,
            video=wish.video,
            channel=wish.channel,
            key=wish.key,
        )

    @operation(2, given=wishes)
    def reserve_at(self, given: tuple[Any, ...]) -> None:
        wish = self.wish(given)
        wish.when = wish.when.replace(tzinfo=dt.UTC)
        self.agree_on_one(
            lambda: self.model.book("reserve_slot_at", wish),
            "reserve_slot_at",
            instant=wish.when,
            kind=wish.kind,
            video=wish.video,
            channel=wish.channel,
            key=wish.key,
        )

    @operation(
        4, given=wishes, dated=st.booleans(), horizon=st.integers(1, 5), append=st.booleans()
    )
    def reserve_next(self, given: tuple[Any, ...], dated: bool, horizon: int, append: bool) -> None:
        wish = self.wish(given)
        first = wish.when.date() if dated else None
        self.agree_on_one(
            lambda: self.model.book_next(wish, first, horizon, append=append),
            "reserve_next_slot",
            kind=wish.kind,
            p_from=first,
            p_horizon_days=horizon,
            video=wish.video,
            channel=wish.channel,
            p_append=append,
            key=wish.key,
        )

    @operation(3, given=st.lists(wishes, max_size=5), whole=st.booleans())
    def reserve_batch(self, given: list[tuple[Any, ...]], whole: bool) -> None:
        batch = [self.wish(each) for each in given]
        items = [
            {
                "channel": wish.channel,
                "type": wish.kind,
                "date": str(wish.when.date()),
                "time": wish.when.strftime("%H:%M"),
                "video": wish.video,
                "request_key": wish.key,
            }
            for wish in batch
        ]
        wanted, outcome = self.agree(
            lambda: self.model.book_batch(batch, whole=whole),
            "reserve_slots",
            p_requests=json.dumps(items),
            p_all_or_nothing=whole,
        )
        if isinstance(wanted, Refused):
            return
        for expected, row in zip(wanted, outcome.rows, strict=True):
            if isinstance(expected, Refused):
                assert row.outcome == expected.code
            else:
                self.know(expected, row)

    @operation(
        8,
        function=st.sampled_from(
            ["reschedule_reservation", "reschedule_reservation", "retry_upload"]
        ),
        choice=picks,
        to=st.tuples(days, times),
        staleness=versions,
        key=keys,
    )
    def move(
        self,
        function: str,
        choice: int,
        to: tuple[int, dt.time],
        staleness: int | None,
        key: str | None,
    ) -> None:
        status = "failed" if function == "retry_upload" else "scheduled"
        number, reservation_id = self.pick(choice, status)
        local = self.local("default", *to)
        version = self.version(number, staleness)
        self.agree_on_one(
            lambda: self.model.move(function, number, local, version, key),
            function,
            p_reservation_id=reservation_id,
            day=local.date(),
            at=local.time(),
            p_expected_version=version,
            key=key,
        )

    @operation(3, choice=picks, staleness=versions)
    def cancel(self, choice: int, staleness: int | None) -> None:
        number, reservation_id = self.pick(choice, "scheduled")
        version = self.version(number, staleness)
        self.agree_on_one(
            lambda: self.model.cancel(number, version),
            "cancel_reservation",
            p_reservation_id=reservation_id,
            p_expected_version=version,
        )

    @operation(3, choice=picks, lease=st.none() | leases)
    def start(self, choice: int, lease: dt.timedelta | None) -> None:
        number, reservation_id = self.pick(choice, "scheduled")
        self.agree_on_one(
            lambda: self.model.start(number, lease),
            "start_upload",
            p_reservation_id=reservation_id,
            p_lease=lease,
        )

    @operation(4, count=st.integers(1, 4), lease=leases, channel=st.none() | channels)
    def claim(self, count: int, lease: dt.timedelta, channel: str | None) -> None:
        wanted, outcome = self.agree(
            lambda: self.model.claim(count, lease, channel),
            "claim_due_uploads",
            p_count=count,
            p_lease=lease,
            channel=channel,
        )
        if not isinstance(wanted, Refused):
            for expected, row in zip(wanted, outcome.rows, strict=True):
                self.know(expected, row)

    @operation(
        8,
        function=st.sampled_from(["complete_upload", "fail_upload"]),
        choice=picks,
        other=st.sampled_from([0, 0, 0, 1, 2]),
        said=st.sampled_from([None, "x", "y"]),
    )
    def finish(self, function: str, choice: int, other: int, said: str | None) -> None:
        number, reservation_id = self.pick(choice, "uploading")
        reservation = self.model.reservations.get(number)
        mine = (reservation and reservation.token) or 0
        # An earlier worker's token, or one that nobody has.
        token = max(mine - other, 0)
        ends = self.model.complete if function == "complete_upload" else self.model.fail
        name = "p_youtube_video_id" if function == "complete_upload" else "p_error_message"
        self.agree_on_one(
            lambda: ends(number, token, said),
            function,
            p_reservation_id=reservation_id,
            p_token=self.tokens.get(token, str(uuid.UUID(int=0))),
            **{name: said},
        )
