"""Turns a planned step into a call, with what the run has to offer at that moment."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from .history import Op, State, World
from .model import instant_of
from .plan import Step, Wish

_RECENT = 60
_CALLS_A_KEY = 6
_IN_THE_PAST = dt.date(2020, 2, 29)


class Registry:
    """What clients tell each other: reservations, tokens, and what a shared key stands for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._booked: list[State] = []
        self._failed: list[State] = []
        self._uploading: list[State] = []
        self._uses = 0
        self._shared: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def tell(self, states: list[State]) -> None:
        with self._lock:
            for state in states:
                kept = {
                    "scheduled": self._booked,
                    "uploading": self._uploading,
                    "failed": self._failed,
                }.get(state.upload_status)
                if kept is not None:
                    kept.append(state)

    def pick(self, status: str, number: float) -> State | None:
        """Return one of the latest reservations that were last seen in a status."""
        with self._lock:
            kept = {"uploading": self._uploading, "failed": self._failed}.get(status, self._booked)
            recent = kept[-_RECENT:] or self._booked[-_RECENT:]
            # Mostly the very latest: several clients then take to the same one.
            return recent[-1 - int(number**3 * len(recent))] if recent else None

    def shared_key(self) -> str:
        """Return the key of the moment: a few calls in a row get the same."""
        with self._lock:
            self._uses += 1
            return f"shared-{self._uses // _CALLS_A_KEY}"

    def shared(
        self, key: str, function: str, arguments: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """Return what a shared key stands for: whoever comes first decides."""
        with self._lock:
            return self._shared.setdefault(key, (function, arguments))


def _booking(step: Step, wish: Wish, world: World) -> dict[str, Any]:
    asked: dict[str, Any] = {"p_type": wish.kind, "p_channel": wish.channel, "p_video": wish.video}
    zone = world.channels[wish.channel].time_zone
    if step.function == "reserve_slot_at":
        asked["p_publish_time"] = instant_of(zone, wish.date, wish.time)
    elif step.function == "reserve_next_slot":
        asked |= {"p_from": wish.date, "p_horizon_days": wish.horizon_days}
    else:
        day = _IN_THE_PAST if step.pick < 0.005 else wish.date
        asked |= {"p_date": day, "p_time": wish.time}
    return asked


def _on_reservation(step: Step, registry: Registry) -> dict[str, Any] | None:
    wanted = {"complete_upload": "uploading", "fail_upload": "uploading", "retry_upload": "failed"}
    state = registry.pick(wanted.get(step.function, "scheduled"), step.pick)
    if state is None:
        return None
    asked: dict[str, Any] = {"p_reservation_id": state.reservation_id}
    if step.function in ("reschedule_reservation", "retry_upload"):
        asked |= {"p_date": step.wish.date, "p_time": step.wish.time}
    if step.function in ("reschedule_reservation", "retry_upload", "cancel_reservation"):
        asked["p_expected_version"] = state.version if step.expect_version else None
    if step.function == "start_upload":
        asked["p_lease"] = step.lease
    if step.function in ("complete_upload", "fail_upload"):
        if state.lease_token is None:
            return None
        asked["p_token"] = state.lease_token
    if step.function == "complete_upload":
        asked["p_youtube_video_id"] = f"yt-{state.reservation_id}-{step.pick < 0.1}"
    return asked


def arguments_of(step: Step, world: World, registry: Registry) -> dict[str, Any] | None:
    """Return the arguments of a call; None: there is nothing yet to call it on."""
    if step.function in ("set_daily_limit", "override_day", "record_usage"):
        asked: dict[str, Any] = {"p_limit": step.limit}
        if step.function == "record_usage":
            # Mostly a day that nobody has used before, so that its row has to be made.
            later = dt.timedelta(days=int(step.pick * 2000) if step.pick > 0.2 else 0)
            return asked | {"p_units": step.units, "p_day": step.wish.date + later}
        if step.function == "override_day":
            asked["p_day"] = step.wish.date
        return asked | {"p_max": step.maximum}
    if step.function == "claim_due_uploads":
        return {"p_count": 1 + int(step.pick * 3), "p_lease": step.lease or _LEASE,
                "p_channel": None}  # fmt: skip
    if step.function.startswith(("reserve", "try")):
        return _booking(step, step.wish, world)
    return _on_reservation(step, registry)


_LEASE = dt.timedelta(milliseconds=50)
# Answered with rows of other tables than reservation.
OTHER_ROWS = frozenset({"set_daily_limit", "override_day", "record_usage"})
# Of functions that answer with an outcome beside the reservation.
OF_RESULT = ", ".join(["outcome", "detail", *(f"(reservation).{name}" for name in State._fields)])


def statement_of(op: Op) -> tuple[str, list[Any]]:
    """Return the SQL of a call and its parameters."""
    named = dict(op.arguments)
    if op.key is not None:
        named["p_request_key"] = op.key
    asked = ", ".join(f"{name} => %s" for name in named)
    call = f"slotwarden.{op.function}({asked})"
    if op.function in OTHER_ROWS:
        columns = "*"
    elif op.function == "try_reserve_slot":
        columns = OF_RESULT
    else:
        columns = ", ".join(State._fields)
    return f"select {columns} from {call}", list(named.values())


def batch_of(step: Step, world: World) -> tuple[list[dict[str, Any]], str]:
    """Return the items of a batch, and the batch as the function takes it."""
    items: list[dict[str, Any]] = []
    slots = set()
    for wish in (step.wish, *step.more):
        if (wish.channel, wish.date, wish.time) in slots:
            continue
        slots.add((wish.channel, wish.date, wish.time))
        item = _booking(step, wish, world) | {"p_date": wish.date, "p_video": None}
        items.append(item)
    requests = [
        {
            "type": item["p_type"],
            "channel": item["p_channel"],
            "date": item["p_date"].isoformat(),
            "time": item["p_time"].strftime("%H:%M"),
        }
        for item in items
    ]
    return items, json.dumps(requests)


def first_day() -> dt.date:
    """Return the first day of a run: to come in every zone, with time to spare."""
    return dt.datetime.now(ZoneInfo("America/New_York")).date() + dt.timedelta(days=3)
