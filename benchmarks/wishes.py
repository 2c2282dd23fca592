"""Which slot the n-th booking of a round asks for, in Python and in SQL."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from benchmarks.cells import CHANNELS, NEXT, POOL, SHAPES, WINDOW_CHANNELS

# Ten hours keep the quota day in California and the day in UTC the same.
FIRST_MINUTE = 600
_NEVER = 1 << 40
# Bookings a second that a round's days are enough for.
_FASTEST = 50_000
# With each window of days of the next free slot, so many bookings are made before it is full.
WINDOW_DAYS = 14
WINDOW_ROOM = 5


@dataclass(frozen=True)
class Wish:
    """A slot that somebody asks for, in UTC; `pool` tells whose limits it is charged to."""

    channel: str
    pool: str
    day: dt.date
    time: dt.time


@dataclass(frozen=True)
class Plan:
    """The wishes of one round of a shape, from a first day that nobody has booked.

    The first wish is number `shift`, for who must keep out of others' way.
    """

    shape: str
    first: dt.date
    shift: int = 0

    @property
    def _period(self) -> int:
        return SHAPES[self.shape].period or _NEVER

    def wish(self, n: int) -> Wish:
        """Return the n-th wish."""
        shape = SHAPES[self.shape]
        turn, place = divmod(n + self.shift, self._period)
        day, channel = divmod(place, shape.channels)
        minute = FIRST_MINUTE + turn
        pool = f"{shape.prefix}0" if shape.channels == POOL else f"{shape.prefix}{channel}"
        return Wish(
            f"{shape.prefix}{channel}",
            pool,
            self.first + dt.timedelta(day),
            dt.time(minute // 60, minute % 60),
        )

    def channel_sql(self, n: str) -> str:
        """Return SQL for the channel of wish `n`, an expression."""
        shape = SHAPES[self.shape]
        return f"'{shape.prefix}' || ({n}::bigint % {self._period} % {shape.channels})"

    def day_sql(self, n: str) -> str:
        """Return SQL for the day of wish `n`."""
        return (
            f"(date '{self.first}' + "
            f"({n}::bigint % {self._period} / {SHAPES[self.shape].channels})::integer)"
        )

    def time_sql(self, n: str) -> str:
        """Return SQL for the time of wish `n`."""
        return (
            f"(time '00:00' + ({FIRST_MINUTE} + {n}::bigint / {self._period})"
            " * interval '1 minute')"
        )

    def window_channel_sql(self, n: str) -> str:
        """Return SQL for the channel in whose window of days call `n` looks for a free slot."""
        return f"'n' || ({n}::bigint / {WINDOW_ROOM} % {WINDOW_CHANNELS})"

    def window_day_sql(self, n: str) -> str:
        """Return SQL for the first day of that window."""
        return (
            f"(date '{self.first}' + "
            f"({n}::bigint / {WINDOW_ROOM} / {WINDOW_CHANNELS} * {WINDOW_DAYS})::integer)"
        )


def calls_of_next(clients: int, seconds: float) -> int:
    """Return how many calls each client makes where each costs preparation."""
    return max(5, int(120 * seconds / clients) + 1)


def days_of_round(shape: str, seconds: float) -> int:
    """Return how many days a round of so many seconds must have for itself."""
    if SHAPES[shape].period:
        return SHAPES[shape].period // SHAPES[shape].channels
    if shape in NEXT:
        # Clients that share the calls may each be rounded up.
        return (calls_of_next(1, seconds) + 5 * 128) * WINDOW_DAYS // WINDOW_CHANNELS + WINDOW_DAYS
    return int(seconds * _FASTEST) // CHANNELS + WINDOW_DAYS
