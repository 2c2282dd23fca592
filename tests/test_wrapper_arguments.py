"""What Python refuses before PostgreSQL could bend it, or report it obscurely."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import sessionmaker

from slotwarden import (
    DatabaseUnavailable,
    InvalidArgument,
    NonexistentLocalTime,
    Scheduler,
)
from slotwarden.arguments import as_duration, as_instant, as_text

DAY = dt.date(2027, 3, 1)
TEN = dt.time(10)
NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)

# Nobody listens there: what gets past the checks is DatabaseUnavailable.
scheduler = Scheduler("postgresql:///none?host=/nonexistent")

Anything = Any


def _call(method: str, *arguments: Anything, **named: Anything) -> Callable[[], object]:
    return lambda: getattr(scheduler, method)(*arguments, **named)


REFUSED = {
    "a str as date": ("date", _call("reserve_slot", "2027-03-01", "final", TEN)),
    "a datetime as date": ("date", _call("reserve_slot", NOON, "final", TEN)),
    "a str as time": ("time", _call("reserve_slot", DAY, "final", "10:00")),
    "a datetime as time": ("time", _call("reserve_slot", DAY, "final", NOON)),
    "a time with a zone": ("time", _call("reserve_slot", DAY, "final", TEN.replace(tzinfo=dt.UTC))),
    "the second of two times": ("time", _call("reserve_slot", DAY, "final", TEN.replace(fold=1))),
    "the same for a refusal": (
        "time",
        _call("try_reserve_slot", DAY, "final", TEN.replace(tzinfo=dt.UTC)),
    ),
    "bytes as text": ("type", _call("reserve_slot", DAY, b"final", TEN)),
    "a NUL": ("video", _call("reserve_slot", DAY, "final", TEN, video="a\0b")),
    "half a character": ("video", _call("reserve_slot", DAY, "final", TEN, video="\ud800")),
    "a NUL in the key": ("request_key", _call("reserve_slot", DAY, "final", TEN, request_key="\0")),
    "a naive datetime": (
        "publish_time",
        _call("reserve_slot_at", dt.datetime(2027, 3, 1, 12), "final"),  # noqa: DTZ001
    ),
    "a date as instant": ("publish_time", _call("reserve_slot_at", DAY, "final")),
    "an instant before year 1": (
        "publish_time",
        _call(
            "reserve_slot_at",
            dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "final",
        ),
    ),
    "a bool as id": ("reservation_id", _call("cancel_reservation", True)),
    "a float as id": ("reservation_id", _call("cancel_reservation", 1.0)),
    "an id of 65 bits": ("reservation_id", _call("cancel_reservation", 2**63)),
    "a version of 33 bits": (
        "expected_version",
        _call("cancel_reservation", 1, expected_version=2**31),
    ),
    "a datetime as day": ("day", _call("daily_status", NOON)),
    "a bool as number of days": ("days", _call("calendar", DAY, True)),
    "one str as several": ("share_limits", _call("create_channel", "a", share_limits="final")),
    "no batch": ("requests", _call("reserve_slots", None)),
    "no schedule": ("schedule", _call("import_langflix", 5)),
    "an infinite number in a schedule": (
        "schedule",
        _call("import_langflix", [{"id": float("inf")}]),
    ),
    "a lead of a billion days": (
        "upload_lead",
        _call("create_channel", "a", upload_lead=dt.timedelta.max),
    ),
    "a number as lead": ("upload_lead", _call("create_channel", "a", upload_lead=60)),
    "a number as flag": ("dry_run", _call("recalculate_usage", DAY, DAY, dry_run=1)),
    "a number of units too large": ("max", _call("set_daily_limit", "final", max=2**31)),
}


@pytest.mark.parametrize(("parameter", "call"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_parameter_named_and_nothing_sent(
    parameter: str, call: Callable[[], object]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert caught.value.parameter == parameter
    assert caught.value.sqlstate == "SWARG"
    assert parameter in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_what_is_right_is_sent() -> None:
    with pytest.raises(DatabaseUnavailable):
        scheduler.reserve_slot(DAY, "final", TEN, video="日本語", request_key="k")


def test_an_aware_datetime_that_its_own_zone_skips() -> None:
    skipped = dt.datetime(2027, 3, 14, 2, 30, tzinfo=ZoneInfo("America/New_York"))
    with pytest.raises(NonexistentLocalTime) as caught:
        scheduler.reserve_slot_at(skipped, "final")
    error = caught.value
    assert (error.date, error.time) == (dt.date(2027, 3, 14), dt.time(2, 30))
    assert error.time_zone == "America/New_York"


def test_both_of_two_equal_local_times_are_reached() -> None:
    first = dt.datetime(2027, 11, 7, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    assert as_instant("publish_time", first) == dt.datetime(2027, 11, 7, 5, 30, tzinfo=dt.UTC)
    second = as_instant("publish_time", first.replace(fold=1))
    assert second == dt.datetime(2027, 11, 7, 6, 30, tzinfo=dt.UTC)


def test_the_characters_of_an_enumeration_are_sent_not_its_name() -> None:
    class Kind(StrEnum):
        FINAL = "final"

    class Old(str, Enum):  # noqa: UP042
        FINAL = "final"

    for kind in (Kind.FINAL, Old.FINAL):
        assert type(as_text("type", kind)) is str
        assert as_text("type", kind) == "final"


def test_a_lead_of_days_is_elapsed_time() -> None:
    assert as_duration("upload_lead", dt.timedelta(days=1)) == "86400000000 microseconds"


def test_a_target_of_another_kind() -> None:
    for target in (sessionmaker(), None):
        with pytest.raises(TypeError, match="Engine, a Connection, a Session or a URL"):
            Scheduler(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("retries", [-1, True, 1.5])
def test_a_number_of_retries_that_cannot_be(retries: Anything) -> None:
    with pytest.raises(InvalidArgument):
        Scheduler("postgresql:///none", retries=retries)


@pytest.mark.parametrize("schema", ["", "a\0b", "s" * 64, "ä" * 32])
def test_a_schema_name_that_cannot_be(schema: str) -> None:
    with pytest.raises(InvalidArgument):
        Scheduler("postgresql:///none", schema=schema)
