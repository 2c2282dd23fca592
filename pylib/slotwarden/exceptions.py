"""What slotwarden refuses, and what can go wrong on the way to the database.

Each refusal has a SQLSTATE of five characters, a message for a person, a JSON
object for a program (DETAIL) and a HINT; here they are exceptions with typed
attributes. `slotwarden.errors` makes them from what a driver reports, and is
the module to import them from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class _Detail(Generic[T]):
    """A member of DETAIL as a typed attribute; None where it is not known."""

    def __init__(self, key: str, convert: Callable[[Any], T]) -> None:
        self._key = key
        self._convert = convert

    @overload
    def __get__(self, error: None, owner: type) -> Self: ...
    @overload
    def __get__(self, error: SlotwardenError, owner: type) -> T | None: ...
    def __get__(self, error: SlotwardenError | None, owner: type) -> Self | T | None:
        if error is None:
            return self
        value = error.detail.get(self._key)
        try:
            return None if value is None else self._convert(value)
        except (TypeError, ValueError):
            # An odd DETAIL must not hide the refusal that it belongs to.
            return None


def _instant(value: str) -> dt.datetime:
    return dt.datetime.fromisoformat(value).astimezone(dt.UTC)


def _local_times(values: list[str]) -> tuple[dt.datetime, ...]:
    return tuple(dt.datetime.fromisoformat(value) for value in values)


class SlotwardenError(Exception):
    """Base of everything that slotwarden raises.

    Attributes
    ----------
    sqlstate : str or None
        The SQLSTATE; None when no server sent one (a lost connection).
    message : str
        For a person; also ``str(error)``.
    detail : dict
        The parsed DETAIL; empty when there is none. A subclass's attributes
        read from it and are None where it lacks them, as in errors of direct
        writes, which carry no DETAIL of slotwarden's. Instants are in UTC.
    hint : str or None
        The next step.
    retryable : bool
        Whether nothing took effect and the same call may succeed later.
    """

    sqlstate: str | None = None
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        detail: Mapping[str, Any] | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = dict(detail or {})
        self.hint = hint
        if sqlstate is not None:
            self.sqlstate = sqlstate
        if hint:
            self.add_note(f"HINT: {hint}")


class InvalidArgument(SlotwardenError, ValueError):
    """SWARG: a value that the function cannot take; also refused by the wrapper."""

    sqlstate = "SWARG"
    parameter = _Detail("parameter", lambda value: str(value).removeprefix("p_"))


class UnknownChannel(SlotwardenError):
    """SWCHN: no such channel."""

    sqlstate = "SWCHN"
    channel = _Detail("channel", str)


class UnknownVideoType(SlotwardenError):
    """SWTYP: the channel defines no such video type."""

    sqlstate = "SWTYP"
    channel = _Detail("channel", str)
    video_type = _Detail("type", str)


class NonexistentLocalTime(SlotwardenError):
    """SWGAP: the clocks of ``time_zone`` skip that time.

    ``nearest`` are the local times before and after the gap, without tzinfo.
    """

    sqlstate = "SWGAP"
    date = _Detail("date", dt.date.fromisoformat)
    time = _Detail("time", dt.time.fromisoformat)
    time_zone = _Detail("time_zone", str)
    nearest = _Detail("nearest", _local_times)


class RequestKeyReused(SlotwardenError):
    """SWKEY: the key stands for a call with other arguments."""

    sqlstate = "SWKEY"
    request_key = _Detail("request_key", str)
    function = _Detail("function", str)


class BookingRefused(SlotwardenError):
    """Base of the refusals that depend on time and on other bookings, not on a mistake."""


class SlotInPast(BookingRefused):
    """SWPST: the publish time has passed, by the server's clock (``now``)."""

    sqlstate = "SWPST"
    publish_time = _Detail("publish_time", _instant)
    now = _Detail("now", _instant)


class BlackedOut(BookingRefused):
    """SWBLK: the channel publishes nothing from ``start`` to ``end`` (None: without end)."""

    sqlstate = "SWBLK"
    channel = _Detail("channel", str)
    publish_time = _Detail("publish_time", _instant)
    start = _Detail("from", _instant)
    end = _Detail("to", _instant)
    reason = _Detail("reason", str)


class VideoAlreadyBooked(BookingRefused):
    """SWDUP: the video has a live reservation on the channel already."""

    sqlstate = "SWDUP"
    channel = _Detail("channel", str)
    video = _Detail("video", str)
    reservation_id = _Detail("reservation_id", int)
    publish_time = _Detail("publish_time", _instant)


class SlotTaken(BookingRefused):
    """SWTKN: ``reservation_id`` holds the slot."""

    sqlstate = "SWTKN"
    channel = _Detail("channel", str)
    publish_time = _Detail("publish_time", _instant)
    reservation_id = _Detail("reservation_id", int)


class DailyLimitReached(BookingRefused):
    """SWLIM: ``units`` more would pass ``max`` of ``limit`` on ``day`` (in the limit's zone).

    ``used`` and the ledger's ``version`` are those that the refusal was
    decided by. ``counted_at`` is ``publish`` or ``upload``.
    """

    sqlstate = "SWLIM"
    limit = _Detail("limit", str)
    counted_at = _Detail("counted_at", str)
    day = _Detail("day", dt.date.fromisoformat)
    used = _Detail("used", int)
    max = _Detail("max", int)
    units = _Detail("units", int)
    version = _Detail("version", int)


class QuotaExhausted(DailyLimitReached):
    """SWLIM of a limit that is counted on the day of the upload."""


class NoSlotAvailable(BookingRefused):
    """SWNON: nothing is free in the ``horizon_days`` that begin with ``from_date``."""

    sqlstate = "SWNON"
    channel = _Detail("channel", str)
    video_type = _Detail("type", str)
    from_date = _Detail("from", dt.date.fromisoformat)
    horizon_days = _Detail("horizon_days", int)


class ReservationNotFound(SlotwardenError):
    """SWNFD: no such reservation, or no such import conflict.

    Only what it was looked for by is set: ``reservation_id``, ``request_key``
    (its reservation was deleted since), ``video`` or ``import_conflict_id``.
    """

    sqlstate = "SWNFD"
    reservation_id = _Detail("reservation_id", int)
    request_key = _Detail("request_key", str)
    video = _Detail("video", str)
    import_conflict_id = _Detail("import_conflict_id", int)


class IllegalTransition(SlotwardenError):
    """SWSTA: not from the reservation's present ``status``."""

    sqlstate = "SWSTA"
    reservation_id = _Detail("reservation_id", int)
    status = _Detail("status", str)


class StaleVersion(SlotwardenError):
    """SWVER: the reservation is at ``version`` by now, not at ``expected_version``."""

    sqlstate = "SWVER"
    reservation_id = _Detail("reservation_id", int)
    version = _Detail("version", int)
    expected_version = _Detail("expected_version", int)


class LockTimeout(SlotwardenError):
    """55P03: other transactions held the day for longer than the call may wait (5 s)."""

    sqlstate = "55P03"
    retryable = True


class TransactionConflict(SlotwardenError):
    """40001, 40P01: a concurrent transaction won; the whole transaction may be repeated."""

    sqlstate = "40001"
    retryable = True


class DatabaseUnavailable(SlotwardenError):
    """The database could not be reached, or was lost with nothing committed."""

    retryable = True


class OutcomeUnknown(SlotwardenError):
    """The connection was lost after the committing statement was sent.

    Whether it took effect cannot be known from here: no subclass of
    `DatabaseUnavailable`, so that nobody repeats it by mistake. ``retryable``
    with a ``request_key`` only: the same call with the same key settles it.

    Also raised where the statement was carried out, as ``message`` then says,
    but its answer cannot be read, say by a type that the application registered.
    """

    function = _Detail("function", str)
    request_key = _Detail("request_key", str)

    def __init__(
        self,
        message: str,
        *,
        detail: Mapping[str, Any] | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(message, detail=detail, hint=hint, sqlstate=sqlstate)
        self.retryable = self.request_key is not None
