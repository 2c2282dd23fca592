"""Calls of the scheduler's methods with values of every kind, and what may come of one."""

from __future__ import annotations

import datetime as dt
import inspect
import uuid
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fuzz_values import MEGABYTE, TEXTS, json_values, plain_texts
from fuzz_world import DAY, GAP_DAY, OVERLAP_DAY, World
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sessions import ADMIN
from slotwarden import BookingWish, Scheduler, SlotwardenError

_NEW_YORK = ZoneInfo("America/New_York")
_EARLY = dt.timezone(dt.timedelta(hours=14))

# In place of anything: values of other types, and the edges of Python's own.
ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf"), Decimal("NaN"),
    Decimal("1e400"), b"final", "a\0b", "\ud800", "x" * MEGABYTE, [], {}, object(), ["final"],
    dt.date.min, dt.date.max, DAY, GAP_DAY, OVERLAP_DAY, dt.time.max, dt.time(2, 30),
    dt.time(1, 30, fold=1), dt.time(10, 0, 30), dt.time(10, tzinfo=dt.UTC),
    dt.datetime(2031, 3, 7, 10), dt.datetime.min, dt.datetime.max,  # noqa: DTZ001, DTZ901
    dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime.min.replace(tzinfo=_EARLY),
    dt.datetime(2031, 3, 9, 2, 30, tzinfo=_NEW_YORK),
    dt.datetime(2031, 11, 2, 1, 30, tzinfo=_NEW_YORK),
    dt.timedelta.max, dt.timedelta.min, dt.timedelta(microseconds=1), uuid.UUID(int=0), "no-uuid",
    *TEXTS,
]  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A method of the scheduler that calls a function of the API."""

    name: str
    parameters: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, repr=False)
class MethodCall:
    """A call as it is drawn; `state` is that of the caller's transaction."""

    state: str
    method: Method
    arguments: dict[str, Any]

    def __repr__(self) -> str:
        return f"<{self.state}: {self.method.name}({str(self.arguments)[:2000]})>"


def public_methods(scheduler: type[Scheduler]) -> list[Method]:
    """Return the methods of a scheduler; one that is new is among them."""
    found = []
    for name, method in inspect.getmembers(scheduler, inspect.isfunction):
        if name.startswith("_") or name == "close":
            continue
        parameters = list(inspect.signature(method).parameters.values())[1:]
        found.append(
            Method(
                name,
                tuple((p.name, str(p.annotation), p.default is p.empty) for p in parameters),
            )
        )
    return found


def _wishes(world: World) -> st.SearchStrategy[list[Any]]:
    def mostly(meant: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(meant, meant, meant, st.sampled_from(ODD))

    wish = st.builds(
        BookingWish,
        mostly(st.sampled_from(world.names["type"])),
        date=mostly(_days()),
        time=mostly(_clock_times()),
        publish_time=st.one_of(st.none(), st.none(), st.none(), mostly(_instants())),
        video=mostly(st.none()),
        channel=mostly(st.none()),
        request_key=mostly(st.none()),
    )
    return st.lists(st.one_of(wish, wish, wish, wish, st.sampled_from(ODD)), max_size=4)


def _days() -> st.SearchStrategy[dt.date]:
    return st.dates(DAY, DAY + dt.timedelta(days=20))


def _clock_times() -> st.SearchStrategy[dt.time]:
    return st.integers(0, 47).map(lambda half: dt.time(half // 2, half % 2 * 30))


def _instants() -> st.SearchStrategy[dt.datetime]:
    return st.builds(dt.datetime.combine, _days(), _clock_times(), st.just(dt.UTC))


def _meant(name: str, annotation: str, world: World) -> st.SearchStrategy[Any]:
    """Draw what a parameter is meant to be given, by its name or else by its annotation."""
    if name == "requests":
        return _wishes(world)
    if name == "token":
        return st.sampled_from([uuid.UUID(token) for token in world.names["token"]])
    if name in world.names:
        known = st.sampled_from(world.names[name])
        return st.lists(known, max_size=2) if "Sequence" in annotation else known
    if name in world.numbers:
        return st.sampled_from(world.numbers[name])
    of_annotation: dict[str, st.SearchStrategy[Any]] = {
        "Iterable[Mapping": json_values(world),
        "Sequence[dt.time": st.lists(_clock_times(), max_size=3),
        "dt.datetime": _instants(),
        "dt.date": _days(),
        "dt.timedelta": st.just(dt.timedelta(minutes=15)),
        "dt.time": _clock_times(),
        "bool": st.booleans(),
        "int": st.integers(1, 14),
        "float": st.floats(0, 100),
        "str": st.one_of(st.just("fuzz"), plain_texts()),
    }
    for kind, values in of_annotation.items():
        if kind in annotation:
            return values
    return st.sampled_from(ODD)


def drawn_methods(methods: list[Method], world: World) -> st.SearchStrategy[MethodCall]:
    """Draw a method and its arguments: most are meant, some are odd."""
    states = st.sampled_from(["open"] * 12 + ["read only", "aborted"])

    def of(method: Method) -> st.SearchStrategy[MethodCall]:
        def drawn(name: str, annotation: str) -> st.SearchStrategy[Any]:
            meant = _meant(name, annotation, world)
            return st.one_of(meant, meant, meant, meant, st.sampled_from(ODD))

        arguments = st.fixed_dictionaries(
            {name: drawn(name, kind) for name, kind, required in method.parameters if required},
            optional={
                name: drawn(name, kind)
                for name, kind, required in method.parameters
                if not required
            },
        )
        return st.builds(MethodCall, states, st.just(method), arguments)

    return st.one_of([of(method) for method in methods])


def call_method(connection: Connection, call: MethodCall) -> str:
    """Make a call in a transaction that has begun, and return the SQLSTATE of what came of it.

    Anything else than an error of slotwarden's, or one that PostgreSQL has of the caller's
    transaction, is raised.
    """
    begin = "set transaction read only; " if call.state == "read only" else ""
    connection.exec_driver_sql(f"{begin}set local role {ADMIN}")
    if call.state == "aborted":
        with suppress(DBAPIError):
            connection.exec_driver_sql("select 1 / 0")
    try:
        getattr(Scheduler(connection), call.method.name)(**call.arguments)
    except SlotwardenError as error:
        said = error.message.strip()
        return error.sqlstate if error.sqlstate and said else f"unclear: {error!r}"
    except DBAPIError as error:
        code = getattr(error.orig, "pgcode", None)
        if code not in {"25006", "25P02"}:
            raise
        return str(code)
    return "00000"
