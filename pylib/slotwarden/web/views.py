"""What routes answer with, as the OpenAPI document shows it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from slotwarden.channels import clock_of
from slotwarden.models import (
    BatchResult,
    CalendarEntry,
    CountedAt,
    Reservation,
    UploadStatus,
)

LocalTime = Annotated[
    dt.time, PlainSerializer(lambda time: time.strftime("%H:%M"), return_type=str)
]
Percent = Annotated[Decimal, PlainSerializer(float, return_type=float)]


class View(BaseModel):
    """Base of the answers; made from a record's attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class ReservationView(View):
    """A video's booking of a slot. ``local_date`` and ``local_time`` are on its zone's clock.

    A zone that this Python does not know is shown as UTC.
    """

    reservation_id: int
    channel_id: str
    video_type: str
    video_path: str | None
    scheduled_publish_time: dt.datetime
    local_date: dt.date
    local_time: LocalTime
    time_zone: str
    upload_time: dt.datetime
    upload_status: UploadStatus
    attempt: int
    youtube_video_id: str | None
    error_message: str | None
    version: int
    created_at: dt.datetime
    created_by: str

    @classmethod
    def of(cls, reservation: Reservation) -> Self:
        """Show a reservation; its lease token is the uploader's secret and stays behind."""
        shown = {name: getattr(reservation, name) for name in Reservation.columns()}
        # What is booked must not fail for a zone that PostgreSQL alone knows.
        clock = clock_of(reservation.time_zone)
        local = reservation.scheduled_publish_time.astimezone(clock)
        shown |= {
            "local_date": local.date(),
            "local_time": local.time(),
            "time_zone": str(clock),
        }
        return cls(**shown)


class EntryView(View):
    """A reservation as the calendar shows it; ``etag`` is what If-Match takes."""

    reservation_id: int
    day: dt.date
    local_time: LocalTime
    publish_time: dt.datetime
    video_type: str
    video_path: str | None
    upload_status: UploadStatus
    youtube_video_id: str | None
    error_message: str | None
    version: int
    etag: str

    @classmethod
    def of(cls, entry: CalendarEntry, tag: str) -> Self:
        """Show an entry of the calendar."""
        return cls(etag=tag, **{name: getattr(entry, name) for name in _OF_ENTRY})


_OF_ENTRY = [name for name in EntryView.model_fields if name != "etag"]


class CalendarView(View):
    """The reservations of some days, without the cancelled."""

    channel: str
    from_day: dt.date = Field(serialization_alias="from")
    days: int
    entries: list[EntryView]


class BlackoutView(View):
    """A span in which a channel publishes nothing, up to, not including, its end.

    ``local_from`` and ``local_to`` are on the channel's clock. Null is without beginning or end.
    """

    blackout_id: int
    from_time: dt.datetime | None
    to_time: dt.datetime | None
    local_from: dt.datetime | None
    local_to: dt.datetime | None
    reason: str


class SlotView(View):
    """A slot that is free at the moment."""

    day: dt.date
    local_time: LocalTime
    publish_time: dt.datetime
    time_zone: str


class ChargeView(View):
    """What an upload of a type takes from a limit."""

    limit_id: str
    counted_at: CountedAt
    units: int
    max_units: int
    warn_percent: int


class TypeView(View):
    """A video type of a channel."""

    video_type: str
    charges: list[ChargeView]


class ChannelView(View):
    """A channel as the page needs it; ``local_now`` is the present on its clock."""

    channel: str
    time_zone: str
    local_now: str
    posting_times: list[str]
    types: list[TypeView]


class ChannelsView(View):
    """What the channel picker offers, and where this workspace's feeds are."""

    channels: list[str]
    feed_token: str | None


class StatusView(View):
    """A limit on one day of its own zone; ``version`` is the ledger's."""

    limit_id: str
    counted_at: CountedAt
    time_zone: str
    day: dt.date
    used_units: int
    max_units: int
    remaining_units: int
    used_percent: Percent
    overridden: bool
    version: int
    resets_at: dt.datetime


class UsageView(View):
    """A limit on one day, which ends at ``resets_at``."""

    limit_id: str
    counted_at: CountedAt
    day: dt.date
    used_units: int
    max_units: int
    used_percent: Percent
    resets_at: dt.datetime


class WarningView(UsageView):
    """A limit of which at least ``warn_percent`` is used; ``message`` is for a person."""

    warn_percent: Percent
    message: str


class HistoryView(View):
    """What was used of a limit on one day."""

    limit_id: str
    counted_at: CountedAt
    day: dt.date
    used_units: int
    max_units: int
    used_percent: Percent
    overridden: bool
    version: int


class BatchItemView(View):
    """What came of one wish; ``outcome`` is ``reserved`` or the SQLSTATE of the refusal."""

    item: int
    outcome: str
    reservation: ReservationView | None
    detail: str | None
    fields: dict[str, Any] | None

    @classmethod
    def of(cls, result: BatchResult) -> Self:
        """Show what came of a wish."""
        booked = result.reservation
        return cls(
            item=result.item,
            outcome=result.outcome,
            reservation=None if booked is None else ReservationView.of(booked),
            detail=result.message,
            fields=result.detail,
        )


class BatchView(View):
    """What came of a batch."""

    reserved: int
    results: list[BatchItemView]


class ProblemView(BaseModel):
    """An error (RFC 9457); other members depend on what it is."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    name: str
    sqlstate: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    hint: str | None = None
    resets_at: dt.datetime | None = None
