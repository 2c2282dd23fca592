"""From a row of a result to a frozen record, and from there to plain values."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Self


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


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "upload_status": UploadStatus,
    "counted_at": CountedAt,
    "lease_token": lambda value: uuid.UUID(str(value)),
}


def _python_value(column: str, value: object) -> object:
    if isinstance(value, dt.datetime):
        # The session's TimeZone must not show in what a caller sees.
        return value.astimezone(dt.UTC)
    convert = _CONVERT.get(column)
    return value if value is None or convert is None else convert(value)


_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (dt.datetime, dt.datetime.isoformat),
    (dt.date, dt.date.isoformat),
    (dt.time, dt.time.isoformat),
    (dt.timedelta, dt.timedelta.total_seconds),
    (Decimal, float),
    (uuid.UUID, str),
    (StrEnum, str),
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
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Build the record from a row by column names; others are ignored.

        Raises
        ------
        KeyError
            The row lacks a column.
        """
        return cls(**{name: _python_value(name, row[name]) for name in cls.columns()})

    def to_dict(self) -> dict[str, object]:
        """Give the record as plain values for JSON.

        Dates, times and instants become ISO 8601 strings (instants in UTC),
        durations seconds, percentages floats.
        """
        return {name: _json_value(getattr(self, name)) for name in self.columns()}
