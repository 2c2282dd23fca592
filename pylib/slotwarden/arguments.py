"""Checks of what a caller passes, before anything is sent.

Refused is what PostgreSQL or the driver would bend without a word (an offset
in a time of day, a clock time that its zone skips) or report in terms of its
own (an integer too large, a NUL in a text). Everything else is for the
database to judge.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from .exceptions import InvalidArgument, NonexistentLocalTime

T = TypeVar("T")

WITHOUT_END = object()
"""The instant after all others, of which no driver knows."""

_MICROSECOND = dt.timedelta(microseconds=1)


def _refusal(name: str, problem: str, hint: str | None = None) -> InvalidArgument:
    return InvalidArgument(f"{name} {problem}", detail={"parameter": name}, hint=hint)


def _wrong_type(name: str, wanted: str, value: object) -> InvalidArgument:
    return _refusal(name, f"must be {wanted}, not {type(value).__name__}")


def as_text(name: str, value: object) -> str:
    """Accept a string that PostgreSQL can store: no NUL, no half surrogates."""
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    # The characters themselves: an enum's own str() may say something else.
    plain = str.__str__(value)
    if "\0" in plain:
        raise _refusal(name, "contains a NUL character, which PostgreSQL cannot store")
    try:
        plain.encode()
    except UnicodeEncodeError as error:
        raise _refusal(name, "is not valid Unicode text") from error
    return plain


def as_texts(name: str, value: object) -> list[str]:
    """Accept several strings; a single one is a mistake, not its characters."""
    if not isinstance(value, list | tuple | set | frozenset):
        raise _wrong_type(name, "a list of str", value)
    return [as_text(name, item) for item in value]


def as_items(name: str, value: Iterable[T]) -> Iterable[T]:
    """Accept whatever can be gone through; what its items are is looked at one by one."""
    if not isinstance(value, Iterable):
        raise _wrong_type(name, "a list", value)
    return value


def as_flag(name: str, value: object) -> bool:
    """Accept True and False only."""
    if not isinstance(value, bool):
        raise _wrong_type(name, "a bool", value)
    return value


def as_integer(name: str, value: object) -> int:
    """Accept a whole number of 32 bits."""
    return _whole_number(name, value, 32)


def as_bigint(name: str, value: object) -> int:
    """Accept a whole number of 64 bits."""
    return _whole_number(name, value, 64)


def _whole_number(name: str, value: object, bits: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an int", value)
    bound = 1 << (bits - 1)
    if not -bound <= value < bound:
        raise _refusal(name, f"does not fit into {bits} bits")
    return int(value)


def as_date(name: str, value: object) -> dt.date:
    """Accept a calendar day; a datetime would lose its time."""
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise _wrong_type(name, "a datetime.date", value)
    return value


def as_wall_clock(name: str, value: object) -> dt.time:
    """Accept a time of day on the channel's clock, so one without a zone."""
    if not isinstance(value, dt.time):
        raise _wrong_type(name, "a datetime.time", value)
    if value.tzinfo is not None:
        raise _refusal(
            name,
            "has a time zone, but times of day are on the channel's clock",
            "Leave the zone out, or use reserve_slot_at for an instant.",
        )
    if value.fold:
        raise _refusal(
            name,
            "has fold=1, but a time that occurs twice means the first",
            "Use reserve_slot_at for the second.",
        )
    return value


def as_wall_clocks(name: str, value: object) -> list[dt.time]:
    """Accept several times of day on the channel's clock."""
    if not isinstance(value, list | tuple | set | frozenset):
        raise _wrong_type(name, "a list of datetime.time", value)
    return [as_wall_clock(name, item) for item in value]


def as_instant(name: str, value: object) -> dt.datetime:
    """Accept an aware datetime whose zone has that time; gives it in UTC.

    Raises
    ------
    NonexistentLocalTime
        The zone's clock skips it: what instant is meant cannot be known.
    """
    if not isinstance(value, dt.datetime):
        raise _wrong_type(name, "a datetime.datetime", value)
    if value.utcoffset() is None:
        raise _refusal(
            name,
            "has no time zone",
            "Add a tzinfo, or use reserve_slot for the channel's clock.",
        )
    try:
        instant = value.astimezone(dt.UTC)
        shown = instant.astimezone(value.tzinfo)
    except OverflowError as error:
        raise _refusal(name, "is outside the years 1 to 9999") from error
    if shown.replace(tzinfo=None) != value.replace(tzinfo=None):
        raise NonexistentLocalTime(
            f"{value.replace(tzinfo=None)} does not exist in {value.tzinfo}",
            detail={
                "date": value.date().isoformat(),
                "time": value.time().isoformat(),
                "time_zone": str(value.tzinfo),
            },
            hint="Give an offset, or a time that this zone has.",
        )
    return instant


def as_end(name: str, value: object) -> dt.datetime | str:
    """Accept an instant, or `WITHOUT_END`."""
    return "infinity" if value is WITHOUT_END else as_instant(name, value)


def as_duration(name: str, value: object) -> str:
    """Accept a timedelta, as microseconds: PostgreSQL's days may have 23 hours."""
    if not isinstance(value, dt.timedelta):
        raise _wrong_type(name, "a datetime.timedelta", value)
    microseconds = value // _MICROSECOND
    if abs(microseconds) >= 1 << 63:
        raise _refusal(name, "is longer than PostgreSQL can count")
    return f"{microseconds} microseconds"


def as_token(name: str, value: object) -> str:
    """Accept a uuid.UUID, as text, which every driver binds."""
    if not isinstance(value, uuid.UUID):
        raise _wrong_type(name, "a uuid.UUID", value)
    return str(value)


def as_percentage(name: str, value: object) -> Decimal:
    """Accept a finite number, as the decimal that its text shows."""
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise _wrong_type(name, "a number", value)
    share = Decimal(str(value))
    if not share.is_finite():
        raise _refusal(name, "must be a finite number")
    return share


# A name means the same in every function; so its check is found by name.
_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "all_or_nothing": as_flag,
    "append": as_flag,
    "blackout_id": as_bigint,
    "channel": as_text,
    "count": as_integer,
    "counted_at": as_text,
    "date": as_date,
    "day": as_date,
    "days": as_integer,
    "dry_run": as_flag,
    "error_message": as_text,
    "expected_version": as_integer,
    "from": as_date,
    "horizon_days": as_integer,
    "import_conflict_id": as_bigint,
    "iso_weekday": as_integer,
    "lease": as_duration,
    "like": as_text,
    "limit": as_text,
    "max": as_integer,
    "note": as_text,
    "open": as_flag,
    "percent": as_percentage,
    "profile": as_text,
    "publish_time": as_instant,
    "reason": as_text,
    "recharge": as_flag,
    "request_key": as_text,
    "requests": as_text,
    "reservation_id": as_bigint,
    "schedule": as_text,
    "share_limits": as_texts,
    "source": as_text,
    "status": as_text,
    "time": as_wall_clock,
    "time_zone": as_text,
    "times": as_wall_clocks,
    "to": as_date,
    "token": as_token,
    "type": as_text,
    "units": as_integer,
    "upload_lead": as_duration,
    "video": as_text,
    "warn_percent": as_integer,
    "youtube_video_id": as_text,
}

# Except where a span is one of instants.
_CHECKS_OF: dict[tuple[str, str], Callable[[str, object], Any]] = {
    ("add_blackout", "from"): as_instant,
    ("add_blackout", "to"): as_end,
    ("list_blackouts", "from"): as_instant,
}


class Check(NamedTuple):
    """How an argument is checked, and the SQL parameter (``p_...``) that it is."""

    name: str
    parameter: str
    check: Callable[[str, object], Any]


def checks_of(function: str, names: Iterable[str]) -> tuple[Check, ...]:
    """Find the checks of a function's arguments."""
    return tuple(
        Check(name, f"p_{name}", _CHECKS_OF.get((function, name)) or _CHECKS[name])
        for name in names
    )


def check_arguments(checks: Iterable[Check], arguments: Mapping[str, object]) -> dict[str, Any]:
    """Give the values to bind, by the name of the SQL parameter.

    None is passed on: whether a function takes null is for it to say.

    Raises
    ------
    InvalidArgument
        SWARG, with ``parameter``.
    NonexistentLocalTime
        SWGAP, of an aware datetime.
    """
    return {
        parameter: None if (value := arguments[name]) is None else check(name, value)
        for name, parameter, check in checks
    }
