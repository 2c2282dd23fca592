"""What two calls are made on: an own pair of days for each case, and the model beside it."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model import Refused, Reservation, Wish
from model_settings import Workspace
from support import Outcome, PgConnection, attempt, call_sql, query, scalar

OPERATIONS = (
    "reserve",
    "next",
    "cancel",
    "reschedule",
    "start",
    "complete",
    "fail",
    "retry",
    "override",
)
SETTINGS = (
    "same day",
    "two days",
    "same slot",
    "at the limit",
    "same reservation",
    "same key",
)
KEYED = frozenset({"reserve", "next", "reschedule", "retry"})
NEEDED = {
    "cancel": "scheduled",
    "reschedule": "scheduled",
    "start": "scheduled",
    "complete": "uploading",
    "fail": "uploading",
    "retry": "failed",
}
_IN_PLACE = frozenset({"cancel", "start", "complete", "fail"})
_TAKES = frozenset({"reserve", "next", "retry"})
_LIMIT = "final"
_PLENTY = 20


@dataclass(frozen=True)
class Target:
    """A reservation, in PostgreSQL and in the model."""

    reservation_id: int
    number: int
    token: str | None
    model_token: int | None


@dataclass(frozen=True)
class Call:
    """One of the two calls: SQL, and what it is in the model."""

    function: str
    sql: str
    parameters: list[Any]
    in_model: Callable[[Workspace], Any]


@dataclass
class Scene:
    """One case: days that no other case uses, and what has been done on them."""

    db: PgConnection
    first_day: dt.date
    model: Workspace
    ids: dict[int, int] = field(default_factory=dict)

    @property
    def other_day(self) -> dt.date:
        return self.first_day + dt.timedelta(days=1)

    def do(self, call: Call) -> tuple[Any, Any]:
        """Make a call, in PostgreSQL and in the model, that succeeds in both."""
        outcome = attempt(self.db, call.sql, *call.parameters)
        wanted = call.in_model(self.model)
        return outcome.row, wanted

    def booked(self, day: dt.date, time: dt.time, status: str = "scheduled") -> Target:
        """Book a slot and lead the booking to a status."""
        row, wanted = self.do(reserve(day, time))
        target = Target(row.reservation_id, wanted.number, None, None)
        self.ids[target.number] = target.reservation_id
        if status in ("uploading", "failed"):
            row, wanted = self.do(on_target("start", target))
            target = Target(target.reservation_id, target.number, row.lease_token, wanted.token)
        if status == "failed":
            self.do(on_target("fail", target))
        return target

    def limit_to(self, day: dt.date, free_units: int) -> None:
        """Set the maximum of a day, so that so many units are left."""
        self.do(override(day, self.model.used[_LIMIT, day] + free_units))


def _called(function: str, in_model: Callable[[Workspace], Any], **named: Any) -> Call:
    sql, parameters = call_sql(function, **named)
    return Call(function, sql, parameters, in_model)


def reserve(day: dt.date, time: dt.time, key: str | None = None) -> Call:
    """Return a booking of a slot."""
    wish = Wish("default", "final", dt.datetime.combine(day, time), key=key)
    return _called("reserve_slot", lambda m: m.book("reserve_slot", wish),
                   day=day, kind="final", at=time, key=key)  # fmt: skip


def override(day: dt.date, maximum: int) -> Call:
    """Return a change of a day's maximum."""

    def in_model(model: Workspace) -> None:
        model.limits[_LIMIT].overrides[day] = maximum

    return _called("override_day", in_model, p_limit=_LIMIT, p_day=day, p_max=maximum)


def on_target(
    operation: str, target: Target, to: dt.datetime | None = None, key: str | None = None
) -> Call:
    """Return a call on a reservation."""
    number, found = target.number, {"p_reservation_id": target.reservation_id}
    # Without a token of its own it is finished with one that was never given.
    finish = found | {"p_token": target.token or str(uuid.uuid4())}
    token = target.model_token or -1
    if operation in ("reschedule", "retry"):
        assert to is not None
        function = "retry_upload" if operation == "retry" else "reschedule_reservation"
        return _called(function, lambda m: m.move(function, number, to, None, key),
                       **found, p_date=to.date(), p_time=to.time(), p_request_key=key)  # fmt: skip
    if operation == "cancel":
        return _called("cancel_reservation", lambda m: m.cancel(number, None), **found)
    if operation == "start":
        return _called("start_upload", lambda m: m.start(number, None), **found)
    if operation == "complete":
        return _called("complete_upload", lambda m: m.complete(number, token, None), **finish)
    return _called("fail_upload", lambda m: m.fail(number, token, None), **finish)


def _next(day: dt.date, key: str | None = None) -> Call:
    wish = Wish("default", "final", dt.datetime.combine(day, dt.time()), key=key)
    return _called("reserve_next_slot", lambda m: m.book_next(wish, day, 1, append=False),
                   p_type="final", p_from=day, p_horizon_days=1, p_request_key=key)  # fmt: skip


def _call(
    operation: str, day: dt.date, slot: dt.time, target: Target | None, to: dt.datetime
) -> Call:
    if operation == "reserve":
        return reserve(day, slot)
    if operation == "next":
        return _next(day)
    if operation == "override":
        return override(day, _PLENTY // 2)
    assert target is not None
    return on_target(operation, target, to)


def _on_one_slot(scene: Scene, first: str, second: str) -> tuple[Call, Call]:
    """Lay out two calls about one slot: what frees it is its holder's, what takes it is another's.

    Without a call that is the holder's, the slot is free.
    """
    day, slot = scene.first_day, dt.time(10)
    to = dt.datetime.combine(day, slot)
    statuses = [NEEDED[each] for each in (first, second) if each in _IN_PLACE]
    holder = scene.booked(day, slot, statuses[0]) if statuses else None
    calls = []
    for operation, hour in ((first, 15), (second, 16)):
        target = holder
        if operation in ("reschedule", "retry"):
            target = scene.booked(day, dt.time(hour), NEEDED[operation])
        calls.append(_call(operation, day, slot, target, to))
    return calls[0], calls[1]


def prepare(scene: Scene, setting: str, first: str, second: str) -> tuple[Call, Call]:
    """Lay out a case, and return its two calls."""
    day, other = scene.first_day, scene.other_day
    for each in (day, other):
        scene.do(override(each, _PLENTY))
    if setting == "same slot":
        return _on_one_slot(scene, first, second)
    if setting == "same key":
        key, to = f"both on {day}", dt.datetime.combine(day, dt.time(10))
        if first in NEEDED:
            call = on_target(first, scene.booked(day, dt.time(9), NEEDED[first]), to, key)
        else:
            call = _next(day, key) if first == "next" else reserve(day, dt.time(10), key)
        return call, call
    if setting == "same reservation":
        target = scene.booked(day, dt.time(9), NEEDED[first])
        slots = (dt.datetime.combine(day, dt.time(10)), dt.datetime.combine(other, dt.time(11)))
        return on_target(first, target, slots[0]), on_target(second, target, slots[1])
    days = (day, other) if setting == "two days" else (day, day)
    calls = []
    for operation, own, time in zip((first, second), days, (10, 11), strict=True):
        own_target: Target | None = None
        if operation in NEEDED:
            own_target = scene.booked(own, dt.time(time, 30), NEEDED[operation])
        to_day = own
        if operation == "reschedule":
            # Across each other, where there are two days.
            to_day = other if own == day else day
            if setting == "at the limit":
                to_day = own
        to = dt.datetime.combine(to_day, dt.time(time, 45))
        calls.append(_call(operation, own, dt.time(time), own_target, to))
    if setting == "at the limit":
        scene.limit_to(day, 1 if first in _TAKES else 0)
    return calls[0], calls[1]


@dataclass(frozen=True)
class Came:
    """What came of a call, in words that PostgreSQL and the model share."""

    code: str | None
    status: str | None = None
    version: int | None = None
    publish_time: dt.datetime | None = None


def came_of(outcome: Outcome) -> Came:
    """Return what came of a call of PostgreSQL."""
    if outcome.sqlstate is not None:
        # Giving way to a change is told as 40001; a lost race for the ledger would be, too, but
        # cannot happen to a call that holds its days.
        lost_race = "wrote it first" in outcome.message
        return Came("lost race" if lost_race else outcome.sqlstate)
    row = outcome.row
    if not hasattr(row, "upload_status"):
        return Came(None)
    return Came(None, row.upload_status, row.version, row.scheduled_publish_time)


def came_in_model(call: Call, model: Workspace) -> Came:
    """Make a call in a model, and return what came of it."""
    try:
        result = call.in_model(model)
    except Refused as refusal:
        return Came(refusal.code)
    if not isinstance(result, Reservation):
        return Came(None)
    return Came(None, result.status, result.version, result.publish_time)


def serially(scene: Scene, *calls: Call) -> tuple[list[Came], Workspace]:
    """Return what comes of calls one after the other, by the model, and its state after them."""
    model = copy.deepcopy(scene.model)
    return [came_in_model(call, model) for call in calls], model


def state_of(scene: Scene) -> tuple[Counter[Any], Counter[Any]]:
    """Return the reservations of a case and the usage of its days, from the tables."""
    rows = query(
        scene.db,
        "select scheduled_publish_time, upload_status, attempt, version"
        " from slotwarden.reservation where local_date between %s and %s",
        scene.first_day, scene.other_day,
    )  # fmt: skip
    used = query(
        scene.db,
        "select day, sum(units) from slotwarden.usage_ledger"
        " where limit_id = %s and day between %s and %s group by day having sum(units) <> 0",
        _LIMIT, scene.first_day, scene.other_day,
    )  # fmt: skip
    return Counter(tuple(row) for row in rows), Counter({day: int(units) for day, units in used})


def state_in_model(model: Workspace) -> tuple[Counter[Any], Counter[Any]]:
    """Return the same of a model."""
    rows = Counter(
        (each.publish_time, each.status, each.attempt, each.version)
        for each in model.reservations.values()
    )
    used = {day: units for (limit, day), units in model.used.items() if limit == _LIMIT and units}
    return rows, Counter(used)


def scene_on(db: PgConnection, first_day: dt.date) -> Scene:
    """Return an empty case that begins on a day."""
    model = Workspace(scalar(db, "select clock_timestamp()"))
    model.limits["api_units"].max_units = 1_000_000_000
    return Scene(db, first_day, model)
