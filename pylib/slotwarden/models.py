"""What slotwarden's functions return, as frozen and typed records."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from .errors import SlotwardenError, error_for
from .records import CountedAt, Record, UploadStatus

__all__ = [
    "AvailableSlot",
    "BatchResult",
    "Blackout",
    "CalendarEntry",
    "Channel",
    "ChargeRule",
    "CountedAt",
    "DailyLimit",
    "DailyStatus",
    "ExternalUsage",
    "LimitDay",
    "PostingTime",
    "QuotaWarning",
    "Record",
    "Reservation",
    "ReservationOutcome",
    "UploadStatus",
    "UsageChange",
    "UsageDay",
    "VideoType",
]


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
class AvailableSlot(Record):
    """A slot that could be booked, on the clock of ``time_zone``."""

    day: dt.date
    local_time: dt.time
    publish_time: dt.datetime
    time_zone: str


@dataclass(frozen=True, slots=True)
class UsageDay(Record):
    """What was used of a limit on one day, in the limit's zone."""

    limit_id: str
    counted_at: CountedAt
    day: dt.date
    used_units: int
    max_units: int
    used_percent: Decimal
    overridden: bool
    version: int


@dataclass(frozen=True, slots=True)
class QuotaWarning(Record):
    """A limit of which ``warn_percent`` or more is used; ``message`` is for a person."""

    limit_id: str
    counted_at: CountedAt
    day: dt.date
    used_units: int
    max_units: int
    used_percent: Decimal
    warn_percent: Decimal
    resets_at: dt.datetime
    message: str


@dataclass(frozen=True, slots=True)
class ChannelEntry(Record):
    """A channel of the workspace, with the names of its video types in order."""

    channel_id: str
    time_zone: str
    upload_lead: dt.timedelta
    video_types: tuple[str, ...]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class PostingTime(Record):
    """A time on the channel's clock at which it likes to publish.

    ``iso_weekday`` is 1 (Monday) to 7 (Sunday); None is every day.
    """

    channel_id: str
    local_time: dt.time
    iso_weekday: int | None


@dataclass(frozen=True, slots=True)
class Blackout(Record):
    """A channel publishes nothing from ``from_time`` up to, not including, ``to_time``.

    None is without beginning, or without end.
    """

    blackout_id: int
    channel_id: str
    from_time: dt.datetime | None
    to_time: dt.datetime | None
    reason: str
    created_at: dt.datetime
    created_by: str

    @classmethod
    @cache
    def selected(cls) -> tuple[str, ...]:
        """As of `Record`; no driver knows an instant without end, so it is read as null."""
        endless = {
            "from_time": "nullif(result.from_time, '-infinity')",
            "to_time": "nullif(result.to_time, 'infinity')",
        }
        return tuple(endless.get(name, f"result.{name}") for name in cls.columns())


@dataclass(frozen=True, slots=True)
class ExternalUsage(Record):
    """Units of a limit that something else than a booking used."""

    external_usage_id: int
    limit_id: str
    day: dt.date
    units: int
    note: str | None
    created_at: dt.datetime
    created_by: str


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

    ``outcome`` is ``reserved`` or the SQLSTATE of the refusal, whose text and
    DETAIL are ``message`` and ``detail``.
    """

    outcome: str
    reservation: Reservation | None
    message: str | None
    detail: dict[str, Any] | None

    @property
    def reserved(self) -> bool:
        """Whether the slot was booked."""
        return self.reservation is not None

    @property
    def refusal(self) -> SlotwardenError | None:
        """The exception that `Scheduler.reserve_slot` would have raised; None if booked."""
        return error_for(self.outcome, self.message or "", detail=self.detail)


@dataclass(frozen=True, slots=True)
class BatchResult(Record):
    """What came of one wish of `Scheduler.reserve_slots`.

    ``item`` is its place in the batch, from 1; ``outcome`` is ``reserved`` or
    the SQLSTATE of the refusal, whose text and DETAIL are ``message`` and
    ``detail``.
    """

    item: int
    outcome: str
    reservation: Reservation | None
    message: str | None
    detail: dict[str, Any] | None

    @property
    def reserved(self) -> bool:
        """Whether the slot was booked."""
        return self.reservation is not None

    @property
    def refusal(self) -> SlotwardenError | None:
        """The exception that booking it alone would have raised; None if booked."""
        return error_for(self.outcome, self.message or "", detail=self.detail)
