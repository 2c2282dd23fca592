"""slotwarden books publish slots inside PostgreSQL: no slot twice, no day over its limit.

`Scheduler` has a method for each SQL function; it returns the records of
`slotwarden.models` and raises the exceptions of `slotwarden.errors`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import migrations as migrations
    from .batches import BookingWish
    from .database import create_engine, normalise_url
    from .errors import translate_error, translated_errors
    from .exceptions import (
        BlackedOut,
        BookingRefused,
        DailyLimitReached,
        DatabaseUnavailable,
        IllegalTransition,
        InvalidArgument,
        LockTimeout,
        NonexistentLocalTime,
        NoSlotAvailable,
        OutcomeUnknown,
        QuotaExhausted,
        RequestKeyReused,
        ReservationNotFound,
        SlotInPast,
        SlotTaken,
        SlotwardenError,
        StaleVersion,
        TransactionConflict,
        UnknownChannel,
        UnknownVideoType,
        VideoAlreadyBooked,
    )
    from .models import (
        AvailableSlot,
        BatchResult,
        Blackout,
        CalendarEntry,
        Channel,
        ChannelEntry,
        ChargeRule,
        CountedAt,
        DailyLimit,
        DailyStatus,
        ExternalUsage,
        LimitDay,
        PostingTime,
        QuotaWarning,
        Reservation,
        ReservationOutcome,
        UploadStatus,
        UsageChange,
        UsageDay,
        VideoType,
    )
    from .scheduler import Scheduler

__all__ = [
    "AvailableSlot",
    "BatchResult",
    "BlackedOut",
    "Blackout",
    "BookingRefused",
    "BookingWish",
    "CalendarEntry",
    "Channel",
    "ChannelEntry",
    "ChargeRule",
    "CountedAt",
    "DailyLimit",
    "DailyLimitReached",
    "DailyStatus",
    "DatabaseUnavailable",
    "ExternalUsage",
    "IllegalTransition",
    "InvalidArgument",
    "LimitDay",
    "LockTimeout",
    "NoSlotAvailable",
    "NonexistentLocalTime",
    "OutcomeUnknown",
    "PostingTime",
    "QuotaExhausted",
    "QuotaWarning",
    "RequestKeyReused",
    "Reservation",
    "ReservationNotFound",
    "ReservationOutcome",
    "Scheduler",
    "SlotInPast",
    "SlotTaken",
    "SlotwardenError",
    "StaleVersion",
    "TransactionConflict",
    "UnknownChannel",
    "UnknownVideoType",
    "UploadStatus",
    "UsageChange",
    "UsageDay",
    "VideoAlreadyBooked",
    "VideoType",
    "create_engine",
    "normalise_url",
    "translate_error",
    "translated_errors",
]

# Where the names above are, the lightest first.
_HOMES = ("exceptions", "models", "errors", "database", "batches", "scheduler")


def __getattr__(name: str) -> object:
    """Import what is asked for, and no more: SQLAlchemy and Alembic take most of the time."""
    if name == "migrations":
        return importlib.import_module(".migrations", __name__)
    if name in __all__:
        for home in _HOMES:
            found = getattr(importlib.import_module(f".{home}", __name__), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what can be asked for."""
    return sorted({*globals(), *__all__, "migrations"})
