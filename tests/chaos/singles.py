"""Single calls, each written down as a history wants it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from histories.calls import first_day, statement_of
from histories.history import Op
from histories.plan import SECOND
from histories.workload import Client, _now
from slotwarden import Reservation, Scheduler

# Charges a day of its own for each publish day; there is room for thousands of them.
KIND = "extra"


def slot(number: int, day: int = 0) -> dict[str, Any]:
    """Return the arguments of a booking; another number is another slot of the day."""
    return {
        "p_date": first_day() + dt.timedelta(days=day),
        "p_type": KIND,
        "p_time": dt.time(number // 60 % 24, number % 60),
        "p_channel": SECOND,
        "p_video": None,
    }


def booking(key: str, number: int, day: int = 0, *, client: int = 1000) -> Op:
    """Return a booking that begins now."""
    op = Op(client, number, "reserve_slot", slot(number, day), key)
    op.start, op.wall_start = time.monotonic(), _now()
    op.end, op.wall_end = op.start, op.wall_start
    return op


def end(op: Op, outcome: str) -> Op:
    """Write down that a call ended now."""
    op.end, op.wall_end, op.outcome = time.monotonic(), _now(), outcome
    return op


def book(client: Client, key: str, number: int, day: int = 0) -> Op:
    """Book through a client, and return the call with its outcome."""
    op = client._op("reserve_slot", slot(number, day), key)
    client.ops.append(op)
    client._call(op, *statement_of(op))
    return op


def through(scheduler: Scheduler, op: Op) -> Reservation:
    """Make a call through the Python wrapper."""
    asked = op.arguments
    return scheduler.reserve_slot(
        asked["p_date"],
        asked["p_type"],
        asked["p_time"],
        channel=asked["p_channel"],
        request_key=op.key,
    )
