"""What the clients of a run are going to ask: decided by the seed alone.

Whatever depends on the run itself (which reservation to cancel, which token to finish with) is
planned as a number between 0 and 1, by which the client picks from what is there at that moment.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Which one it is, is found when the call is made: that of the moment.
SHARED_KEY = "shared"
DEFAULT = "default"
SECOND = "second"
# Large, so that there are many different maximums near what is used.
UNITS = {"final": 1000, "short": 700}
_USUAL_CALLS = 16 * 300


@dataclass(frozen=True)
class Shape:
    """How a run is laid out: over how many days, with how many slots, and who shares keys."""

    name: str
    days: int
    slots_a_day: int
    bookings_a_day: int
    shared_keys: float


SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("1 day", 1, 180, 90, 0.1),
        Shape("4 days", 4, 60, 30, 0.1),
        Shape("28 days", 28, 16, 6, 0.1),
        # Few units a day, so that a key's first call may take the last of them.
        Shape("shared keys", 4, 60, 8, 0.7),
    )
}

_WEIGHTS = {
    "reserve_slot": 13,
    "try_reserve_slot": 16,
    "reserve_slot_at": 7,
    "reserve_next_slot": 2,
    "reserve_slots": 2,
    "cancel_reservation": 20,
    "reschedule_reservation": 9,
    "claim_due_uploads": 5,
    "start_upload": 5,
    "complete_upload": 4,
    "fail_upload": 8,
    "retry_upload": 5,
    "set_daily_limit": 0.8,
    "override_day": 1.4,
    "record_usage": 2.5,
    "repeat": 4,
}
_KEYED = {
    "reserve_slot",
    "try_reserve_slot",
    "reserve_slot_at",
    "reserve_next_slot",
    "reschedule_reservation",
    "retry_upload",
}
# Calls that a client can settle by asking again.
_CUT = {
    "reserve_slot",
    "try_reserve_slot",
    "reserve_slot_at",
    "cancel_reservation",
    "reschedule_reservation",
    "retry_upload",
    "complete_upload",
    "fail_upload",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A booking that somebody may ask for."""

    kind: str
    channel: str
    date: dt.date
    time: dt.time
    video: str | None
    horizon_days: int


@dataclass(frozen=True, slots=True)
class Step:
    """One planned call."""

    function: str
    wish: Wish
    pick: float
    key: str | None
    expect_version: bool
    lease: dt.timedelta | None
    maximum: int | None
    limit: str
    units: int
    more: tuple[Wish, ...]
    all_or_nothing: bool
    isolation: str
    in_transaction: bool
    roll_back: bool
    cut_after: float | None
    repeat_at_once: bool
    think_seconds: float


def limits(shape: Shape, calls: int) -> dict[str, int]:
    """Return the maximum that each limit begins with."""
    many = 100 * shape.bookings_a_day
    return {
        "final": 4 * many,
        "short": 3 * many,
        "uploads": 7 * many,
        "second/final": 5 * many,
        "second/short": 3 * many,
        "second/uploads": 8 * many,
        "api_units": 3_000_000 * max(1, calls // _USUAL_CALLS),
    }


class Planner:
    """Plans all calls of a run."""

    def __init__(
        self, seed: int, shape: Shape, first_day: dt.date, clients: int, calls: int
    ) -> None:
        self._random = random.Random(f"{seed} {shape.name}")  # noqa: S311
        self._shape = shape
        self._first_day = first_day
        self._clients = clients
        self._calls = calls
        weights = dict(_WEIGHTS)
        longer = max(1, clients * calls / _USUAL_CALLS)
        # What is completed holds its slot for ever: a longer run must not run out of slots.
        weights["complete_upload"] /= longer
        # A change of a limit writes an entry for each of its days, of which a longer run makes
        # more: together they would grow with the square of its length.
        weights["record_usage"] /= math.sqrt(longer)
        weights["set_daily_limit"] /= math.sqrt(longer)
        self._functions, self._weights = list(weights), list(weights.values())
        self._maximums = {
            limit: self._values(limit, maximum)
            for limit, maximum in limits(shape, clients * calls).items()
        }
        # External units are told apart by their number, so each is used once.
        self._external = iter(range(1, 1_000_000))

    def _values(self, limit: str, maximum: int) -> Iterator[int]:
        """Yield maximums that the limit never had before, so that each names its call."""
        low, high = (maximum, 2 * maximum) if limit == "api_units" else (maximum // 2, 2 * maximum)
        enough = min(high - low, 200 + self._clients * self._calls // 50)
        values = self._random.sample(range(low, high), enough)
        return iter([value for value in values if value != maximum])

    def plan(self) -> list[list[Step]]:
        """Return the calls of each client."""
        steps: list[list[Step]] = [[] for _ in range(self._clients)]
        for number in range(self._calls):
            for client in range(self._clients):
                steps[client].append(self._step(client, number))
        return steps

    def _wish(self, draw: random.Random) -> Wish:
        shape = self._shape
        # Half of the wishes crowd on a few slots.
        slot = draw.randrange(12 if draw.random() < 0.4 else shape.slots_a_day)
        minute = slot * (1440 // shape.slots_a_day)
        return Wish(
            kind=draw.choices(("final", "short", "extra", "free"), (6, 4, 2, 1))[0],
            channel=DEFAULT if draw.random() < 0.7 else SECOND,
            date=self._first_day + dt.timedelta(days=draw.randrange(shape.days)),
            time=dt.time(minute // 60, minute % 60),
            video=f"video-{draw.randrange(400)}.mp4" if draw.random() < 0.3 else None,
            horizon_days=min(shape.days, draw.randint(1, 4)),
        )

    def _step(self, client: int, number: int) -> Step:
        draw = self._random
        function = draw.choices(self._functions, self._weights)[0]
        # Half of the changes are about the limit that all channels share.
        limit = draw.choice([*self._maximums, *["api_units"] * len(self._maximums)])
        maximum = None
        if function == "set_daily_limit" or (function == "override_day" and draw.random() < 0.7):
            maximum = next(self._maximums[limit], None)
            if maximum is None:
                function = "override_day"
        key = None
        if function in _KEYED:
            if draw.random() < self._shape.shared_keys:
                key = SHARED_KEY
            elif draw.random() < 0.3:
                key = f"client-{client}-{number}"
        cut = function in _CUT and draw.random() < 0.012
        if cut and key is None and function in _KEYED:
            key = f"client-{client}-{number}"
        often = 0.6 if function == "set_daily_limit" else 0.06
        in_transaction = not cut and draw.random() < often
        return Step(
            function=function,
            wish=self._wish(draw),
            pick=draw.random(),
            key=key,
            expect_version=draw.random() < 0.2,
            lease=draw.choice((None, dt.timedelta(milliseconds=20), dt.timedelta(minutes=5))),
            maximum=maximum,
            limit=limit,
            units=next(self._external) if function == "record_usage" else 0,
            more=tuple(self._wish(draw) for _ in range(draw.randint(1, 3)))
            if function == "reserve_slots"
            else (),
            all_or_nothing=draw.random() < 0.4,
            isolation=draw.choice(("read committed", "repeatable read", "serializable"))
            if in_transaction and function != "set_daily_limit" and draw.random() < 0.5
            else "read committed",
            in_transaction=in_transaction,
            roll_back=in_transaction and draw.random() < 0.3,
            cut_after=draw.random() * 0.006 if cut else None,
            repeat_at_once=draw.random() < 0.7,
            think_seconds=draw.random() * 0.006,
        )
