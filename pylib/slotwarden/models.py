"""What slotwarden's functions return, as frozen and typed records."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from .errors import SlotwardenError, error_for


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


@dataclass(frozen=True, slots=True)
class Reservation(Record):
    """A video's booking of a slot. Instants are aware, in UTC.

    ``local_date`` is the day on the channel's clock, whose zone was
    ``time_zone`` at booking.
    """

    reservation_id: int
    channel_id: str
    video_type: str
    video_path: str | None
    scheduled_publish_time: dt.datetime
    upload_time: dt.datetime
    local_date: dt.date
    time_zone: str
    upload_status: UploadStatus
    attempt: int
    lease_token: uuid.UUID | None
    lease_expires_at: dt.datetime | None
    youtube_video_id: str | None
    error_message: str | None
    version: int
    charged_at: dt.datetime
    created_at: dt.datetime
    created_by: str

    @property
    def local_publish_time(self) -> dt.datetime:
        """The publish time on the channel's clock, aware of its zone."""
        return self.scheduled_publish_time.astimezone(ZoneInfo(self.time_zone))


@dataclass(frozen=True, slots=True)
class Channel(Record):
    """A YouTube channel; uploads run ``upload_lead`` before the publish time."""

    channel_id: str
    time_zone: str
    upload_lead: dt.timedelta
    created_at: dt.datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class VideoType(Record):
    """A type of video that a channel defines."""

    channel_id: str
    video_type: str


@dataclass(frozen=True, slots=True)
class DailyLimit(Record):
    """A named maximum of units a day; ``time_zone`` None is the channel's."""

    limit_id: str
    max_units: int
    time_zone: str | None
    counted_at: CountedAt
    warn_percent: int


@dataclass(frozen=True, slots=True)
class LimitDay(Record):
    """The maximum in force on one day, in the limit's zone."""

    limit_id: str
    day: dt.date
    max_units: int
    overridden: bool


@dataclass(frozen=True, slots=True)
class ChargeRule(Record):
    """What one upload of a type on a channel takes from a limit."""

    channel_id: str
    video_type: str
    limit_id: str
    units: int


@dataclass(frozen=True, slots=True)
class DailyStatus(Record):
    """A limit on one day of its own zone; it starts afresh at ``resets_at``."""

    limit_id: str
    counted_at: CountedAt
    time_zone: str
    day: dt.date
    used_units: int
    max_units: int
    remaining_units: int
    used_percent: Decimal
    overridden: bool
    version: int
    resets_at: dt.datetime


@dataclass(frozen=True, slots=True)
class CalendarEntry(Record):
    """A reservation as a calendar shows it, on the clock of ``time_zone``."""

    day: dt.date
    local_time: dt.time
    publish_time: dt.datetime
    time_zone: str
    reservation_id: int
    video_type: str
    video_path: str | None
    upload_status: UploadStatus
    youtube_video_id: str | None
    error_message: str | None
    version: int


@dataclass(frozen=True, slots=True)
class UsageChange(Record):
    """What a recalculation changed, would change, or could not (``refused``)."""

    reservation_id: int | None
    limit_id: str
    day: dt.date
    action: str
    units_before: int
    units_after: int
    detail: str | None


@dataclass(frozen=True, slots=True)
class ReservationOutcome(Record):
    """What came of `Scheduler.try_reserve_slot`.

    ``outcome`` is ``reserved`` or the SQLSTATE of the refusal, ``detail`` what
    the refusal's DETAIL would have been.
    """

    outcome: str
    reservation: Reservation | None
    detail: dict[str, Any] | None

    @property
    def reserved(self) -> bool:
        """Whether the slot was booked."""
        return self.reservation is not None

    @property
    def refusal(self) -> SlotwardenError | None:
        """The exception that `Scheduler.reserve_slot` would have raised; None if booked."""
        return error_for(self.outcome, f"refused: {self.outcome}", detail=self.detail)
