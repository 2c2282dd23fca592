"""What routes take: days and times as texts, and the two headers of a careful caller."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, TypeAlias

from fastapi import Depends, Header, Path
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from slotwarden.web.paths import name_in
from slotwarden.web.problems import Problem

_LONGEST_KEY = 200
_STRONG_TAG = re.compile(r'"(\d{1,9})"')
_DAY = r"^\d{4}-\d{2}-\d{2}$"
_TIME = r"^\d{2}:\d{2}$"


def _day(value: object) -> dt.date:
    # Pydantic would read a number as seconds since 1970.
    if not isinstance(value, str) or not re.fullmatch(_DAY, value, re.ASCII):
        raise ValueError("a day is written as 2027-03-01")
    return dt.date.fromisoformat(value)


def _time(value: object) -> dt.time:
    # An offset would be dropped without a word further on.
    if not isinstance(value, str) or not re.fullmatch(_TIME, value, re.ASCII):
        raise ValueError("a time of day is on the channel's clock and written as 14:00")
    return dt.time.fromisoformat(value)


def _instant(value: object) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError("an instant is written as 2027-03-01T14:00:00+01:00")  # noqa: TRY004
    found = dt.datetime.fromisoformat(value)
    if found.utcoffset() is None:
        raise ValueError("an instant needs an offset, as in 2027-03-01T14:00:00+01:00")
    return found


Day = Annotated[
    dt.date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2027-03-01"]}),
]
"""A day on the channel's clock."""

TimeOfDay = Annotated[
    dt.time,
    BeforeValidator(_time),
    WithJsonSchema(
        {"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["14:00"]}
    ),
]
"""A time on the channel's clock, to the minute."""

Instant = Annotated[
    dt.datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2027-03-01T14:00:00+01:00"]}
    ),
]
"""A point in time, with its offset."""

ChannelName: TypeAlias = Annotated[
    str,
    AfterValidator(name_in),
    Path(description="The channel; a / in its name is sent as %2F."),
]
ReservationId: TypeAlias = Annotated[int, Path(description="The reservation.")]


def _request_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Makes the call safe to repeat: the same key and arguments give the same"
            " reservation.",
            min_length=1,
            max_length=_LONGEST_KEY,
        ),
    ] = None,
) -> str | None:
    return idempotency_key


def _expected_version(
    if_match: Annotated[
        str | None,
        Header(
            description="The version of the reservation as it was read, in quotes: its ETag, and"
            " the etag of a calendar's entry. Refused with 409 if it has changed since. One tag"
            ' such as "3", or *.',
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _STRONG_TAG.fullmatch(if_match.strip())
    if found is None:
        raise Problem(
            422, "InvalidRequest", "Invalid request", 'If-Match takes one tag, such as "3", or *'
        )
    return int(found[1])


RequestKey = Annotated[str | None, Depends(_request_key)]
ExpectedVersion = Annotated[int | None, Depends(_expected_version)]


def etag(version: int) -> str:
    """Return the tag of a reservation's version."""
    return f'"{version}"'
