"""``schedule_video``: a booking, told in LangFlix's words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from slotwarden.exceptions import (
    DailyLimitReached,
    DatabaseUnavailable,
    NoSlotAvailable,
    OutcomeUnknown,
    QuotaExhausted,
    SlotTaken,
    SlotwardenError,
    UnknownVideoType,
    VideoAlreadyBooked,
)
from slotwarden.models import Reservation
from slotwarden.scheduler import Scheduler

from .config import HORIZON_DAYS


@dataclass(frozen=True, slots=True)
class Wish:
    """A video to be booked, at a time or in the next free slot."""

    video_path: str
    video_type: str
    preferred_time: dt.datetime | None


def book(scheduler: Scheduler, wish: Wish, zone: ZoneInfo) -> Reservation:
    """Book a slot; seconds are cut off, and a naive time is on the clock of the zone."""
    kind, video = wish.video_type, wish.video_path
    if wish.preferred_time is None:
        return scheduler.reserve_next_slot(kind, horizon_days=HORIZON_DAYS, video=video)
    minute = wish.preferred_time.replace(second=0, microsecond=0)
    if minute.tzinfo is None and minute.fold:
        minute = minute.replace(tzinfo=zone)
    if minute.tzinfo is not None:
        return scheduler.reserve_slot_at(minute, kind, video=video)
    return scheduler.reserve_slot(minute.date(), kind, minute.time(), video=video)


def refusal_in_words(error: SlotwardenError, wish: Wish, zone: dt.tzinfo) -> str:
    """Tell why a video is not booked, as LangFlix would."""
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words(error, wish, zone)
    return error.message + _and_hint(error)


def _and_hint(error: SlotwardenError) -> str:
    return f". {error.hint}" if error.hint else ""


def _quota_exhausted(error: QuotaExhausted, _wish: Wish, _zone: dt.tzinfo) -> str:
    remaining = max((error.max or 0) - (error.used or 0), 0)
    return f"Insufficient API quota. Remaining: {remaining}/{error.units} required"


def _limit_reached(error: DailyLimitReached, wish: Wish, _zone: dt.tzinfo) -> str:
    return (
        f"No remaining quota for {wish.video_type} videos on {error.day}."
        f" Used: {error.used}/{error.max}"
    )


def _booked_already(error: VideoAlreadyBooked, _wish: Wish, zone: dt.tzinfo) -> str:
    held = error.publish_time
    return f"Video is already scheduled for {held.astimezone(zone) if held else 'another time'}"


# The first that fits.
_WORDS: tuple[tuple[type[SlotwardenError], Callable[[Any, Wish, dt.tzinfo], str]], ...] = (
    (QuotaExhausted, _quota_exhausted),
    (DailyLimitReached, _limit_reached),
    (SlotTaken, lambda error, *_: f"Requested time slot is occupied{_and_hint(error)}"),
    (
        NoSlotAvailable,
        lambda *_: (
            f"Requested time slot is occupied. No available slots found within {HORIZON_DAYS} days"
        ),
    ),
    (VideoAlreadyBooked, _booked_already),
    (UnknownVideoType, lambda _error, wish, _zone: f"Invalid video_type: {wish.video_type}"),
    (
        DatabaseUnavailable,
        lambda *_: "Database connection failed. Please ensure PostgreSQL is running.",
    ),
    (
        OutcomeUnknown,
        lambda *_: (
            "Database connection failed. Whether the video was scheduled is unknown:"
            " look at the calendar before trying again."
        ),
    ),
)
