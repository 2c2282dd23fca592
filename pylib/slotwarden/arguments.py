"""Checks of what a caller passes, before anything is sent.

Refused is what PostgreSQL or the driver would bend without a word (an offset
in a time of day, a clock time that its zone skips) or report in terms of its
own (an integer too large, a NUL in a text). Everything else is for the
database to judge.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from .exceptions import InvalidArgument, NonexistentLocalTime

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


def as_duration(name: str, value: object) -> str:
    """Accept a timedelta, as microseconds: PostgreSQL's days may have 23 hours."""
    if not isinstance(value, dt.timedelta):
        raise _wrong_type(name, "a datetime.timedelta", value)
    return f"{value // _MICROSECOND} microseconds"


# A name means the same in every function; so its check is found by name.
_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "channel": as_text,
    "counted_at": as_text,
    "date": as_date,
    "day": as_date,
    "days": as_integer,
    "dry_run": as_flag,
    "expected_version": as_integer,
    "from": as_date,
    "like": as_text,
    "limit": as_text,
    "max": as_integer,
    "publish_time": as_instant,
    "recharge": as_flag,
    "request_key": as_text,
    "reservation_id": as_bigint,
    "share_limits": as_texts,
    "time": as_wall_clock,
    "time_zone": as_text,
    "to": as_date,
    "type": as_text,
    "units": as_integer,
    "upload_lead": as_duration,
    "video": as_text,
    "warn_percent": as_integer,
}


def check_arguments(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Give the values to bind, by the name of the SQL parameter (``p_...``).

    None is passed on: whether a function takes null is for it to say.

    Raises
    ------
    InvalidArgument
        SWARG, with ``parameter``.
    NonexistentLocalTime
        SWGAP, of an aware datetime.
    """
    return {
        f"p_{name}": None if value is None else _CHECKS[name](name, value)
        for name, value in arguments.items()
    }
