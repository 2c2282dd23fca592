"""From a row of a result to a frozen record, and from there to plain values."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from functools import cache
from operator import methodcaller
from typing import Any, Self, get_args, get_type_hints


class UploadStatus(StrEnum):
    """Where a reservation stands; the first three hold its slot."""

    SCHEDULED = "scheduled"
    UPLOADING = "uploading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CountedAt(StrEnum):
    """The day that a limit counts on: of the publish time, or of the upload."""

    PUBLISH = "publish"
    UPLOAD = "upload"


def _duration(value: dt.timedelta | Decimal) -> dt.timedelta:
    """Give a duration of `Record.selected`, which is in seconds."""
    return (
        value
        if isinstance(value, dt.timedelta)
        else dt.timedelta(microseconds=round(value * 1_000_000))
    )


# By the type of a field. A status is looked up in a cache of C's, as an enum's own look-up is slow.
_CONVERT: dict[object, Callable[[Any], Any]] = {
    # The session's TimeZone must not show in what a caller sees.
    dt.datetime: methodcaller("astimezone", dt.UTC),
    dt.timedelta: _duration,
    # Of a list, a frozen record would have no hash.
    tuple[str, ...]: tuple,
    UploadStatus: cache(UploadStatus),
    CountedAt: cache(CountedAt),
    uuid.UUID: lambda value: uuid.UUID(str(value)),
}

# How a field is selected; drivers read an interval in some of the styles of IntervalStyle only.
_SELECTED: dict[object, str] = {dt.timedelta: "extract(epoch from result.{})"}


def _conversion(hint: object) -> Callable[[Any], Any] | None:
    """Find how a field is converted whose type is ``hint``, or that or None."""
    return next((_CONVERT[kind] for kind in (hint, *get_args(hint)) if kind in _CONVERT), None)


_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (dt.datetime, dt.datetime.isoformat),
    (dt.date, dt.date.isoformat),
    (dt.time, dt.time.isoformat),
    (dt.timedelta, dt.timedelta.total_seconds),
    (Decimal, float),
    (uuid.UUID, str),
    (StrEnum, str),
    (tuple, list),
)


def _json_value(value: object) -> object:
    if isinstance(value, Record):
        return value.to_dict()
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            return plain(value)
    return value


class Record:
    """Base of the results; each field is a column of the same name."""

    __slots__ = ()

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """Names of the columns to read, in order; others are not asked for."""
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]

    @classmethod
    @cache
    def selected(cls) -> tuple[str, ...]:
        """Give what to select, of a ``result``, for `from_values`."""
        hints = get_type_hints(cls)
        return tuple(_SELECTED.get(hints[name], "result.{}").format(name) for name in cls.columns())

    @classmethod
    @cache
    def _conversions(cls) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
        hints = get_type_hints(cls)
        found = ((place, _conversion(hints[name])) for place, name in enumerate(cls.columns()))
        return tuple((place, convert) for place, convert in found if convert is not None)

    @classmethod
    def from_values(cls, row: Iterable[Any]) -> Self:
        """Build the record from the values of `columns`, in their order."""
        values = list(row)
        for place, convert in cls._conversions():
            if values[place] is not None:
                values[place] = convert(values[place])
        return cls(*values)

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Build the record from a row by column names; others are ignored.

        Raises
        ------
        KeyError
            The row lacks a column.
        """
        return cls.from_values(row[name] for name in cls.columns())

    def to_dict(self) -> dict[str, object]:
        """Give the record as plain values for JSON.

        Dates, times and instants become ISO 8601 strings (instants in UTC),
        durations seconds, percentages floats.
        """
        return {name: _json_value(getattr(self, name)) for name in self.columns()}
