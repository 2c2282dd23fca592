"""The Python face of the SQL API: one method for each function, under its name."""

# The parameters are called as those of the SQL functions.
# ruff: noqa: A002

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from .administration import Administration
from .batches import Batches
from .calls import NESTED_RESERVATION, nested_reservation
from .models import DailyStatus, Reservation, ReservationOutcome
from .openings import Openings
from .reading import Reading
from .takeover import Takeover
from .uploads import Uploads

_OUTCOME_COLUMNS = ("result.outcome", "result.message", "result.detail", *NESTED_RESERVATION)


def _outcome(row: Sequence[Any]) -> ReservationOutcome:
    outcome, message, detail, *reservation = row
    return ReservationOutcome(outcome, nested_reservation(reservation), message, detail)


class Scheduler(Batches, Uploads, Reading, Openings, Administration, Takeover):
    """Books publish slots; checks, locks and charges happen in PostgreSQL.

    Parameters
    ----------
    target : Engine, Connection, Session, scoped_session, URL or str
        An engine, or a URL to make one from: each call is one statement that
        commits by itself, in one round trip, and conflicts (40001, 40P01) are
        repeated. A connection or session: each call joins the transaction
        there; nothing is committed, rolled back or repeated behind the
        caller's back, and after an error the transaction is the caller's to
        roll back (or a savepoint of it; `try_reserve_slot` refuses without an
        error). Pending objects of a session are not flushed first.
    schema : str
        The workspace.
    channel : str
        The channel where a method is given none.
    retries : int
        How often a conflict is repeated, with short random pauses. A
        `LockTimeout` is not: the call has waited long enough.

    Notes
    -----
    Parameters mean the same in every method. ``date`` and ``time`` are the
    channel's wall clock, whole minutes, a time that occurs twice meaning the
    first. Instants are aware datetimes; naive ones are refused. ``video`` is
    whatever the application calls its video. ``request_key`` makes a call
    safe to repeat: the same key and arguments give the same reservation.

    Every method may also raise `InvalidArgument` (SWARG), `DatabaseUnavailable`
    and, when it changes something, `TransactionConflict` (40001, 40P01) and
    `OutcomeUnknown`. What is not slotwarden's, such as 57014 when the caller's
    statement timeout strikes, stays SQLAlchemy's exception.

    With an engine a scheduler may be shared between threads, as the engine
    may. It keeps no state of a session, so poolers in transaction mode work.
    """

    def reserve_slot(
        self,
        date: dt.date,
        type: str,
        time: dt.time,
        *,
        video: str | None = None,
        channel: str | None = None,
        request_key: str | None = None,
    ) -> Reservation:
        """Book exactly that local time. Locks the days it charges, for 5 s at most.

        Raises
        ------
        UnknownChannel (SWCHN), UnknownVideoType (SWTYP)
        NonexistentLocalTime (SWGAP)
            With the ``nearest`` valid times.
        RequestKeyReused (SWKEY)
        SlotInPast (SWPST), BlackedOut (SWBLK)
        VideoAlreadyBooked (SWDUP), SlotTaken (SWTKN)
        DailyLimitReached, QuotaExhausted (SWLIM)
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "reserve_slot",
            date=date,
            type=type,
            time=time,
            video=video,
            channel=self._channel(channel),
            request_key=request_key,
        )

    def reserve_slot_at(
        self,
        publish_time: dt.datetime,
        type: str,
        *,
        video: str | None = None,
        channel: str | None = None,
        request_key: str | None = None,
    ) -> Reservation:
        """Book the slot at an instant; otherwise as `reserve_slot`.

        Raises
        ------
        NonexistentLocalTime (SWGAP)
            The zone of ``publish_time`` itself skips that time.
        """
        return self._row(
            Reservation,
            "reserve_slot_at",
            publish_time=publish_time,
            type=type,
            video=video,
            channel=self._channel(channel),
            request_key=request_key,
        )

    def try_reserve_slot(
        self,
        date: dt.date,
        type: str,
        time: dt.time,
        *,
        video: str | None = None,
        channel: str | None = None,
        request_key: str | None = None,
    ) -> ReservationOutcome:
        """Book as `reserve_slot` does, and give a refusal back instead of raising it.

        So the caller's transaction goes on when the slot is taken (SWTKN), a
        limit reached (SWLIM), the video booked already (SWDUP) or the channel
        blacked out (SWBLK); everything else is raised.
        """
        (outcome,) = self._executor.call(
            "try_reserve_slot",
            _OUTCOME_COLUMNS,
            {
                "date": date,
                "type": type,
                "time": time,
                "video": video,
                "channel": self._channel(channel),
                "request_key": request_key,
            },
            _outcome,
            changes=True,
        )
        return outcome

    def cancel_reservation(
        self, reservation_id: int, *, expected_version: int | None = None
    ) -> Reservation:
        """Cancel a scheduled reservation and give its slot and units back.

        Cancelling it again changes nothing.

        Parameters
        ----------
        reservation_id : int
            The reservation.
        expected_version : int, optional
            Refuse if it has changed since this version was read.

        Raises
        ------
        ReservationNotFound (SWNFD), IllegalTransition (SWSTA), StaleVersion (SWVER)
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "cancel_reservation",
            reservation_id=reservation_id,
            expected_version=expected_version,
        )

    def reserve_next_slot(
        self,
        type: str,
        from_date: dt.date | None = None,
        *,
        horizon_days: int = 14,
        video: str | None = None,
        channel: str | None = None,
        append: bool = False,
        request_key: str | None = None,
    ) -> Reservation:
        """Find and book the next free slot, in one transaction.

        Of each day the posting times come first, then the full hours from
        09:00 to 21:00, then the next day. Callers of one channel queue, so
        each gets a slot of its own, in order.

        Parameters
        ----------
        type : str
            The video type.
        from_date : datetime.date, optional
            First day on the channel's clock; None is today.
        horizon_days : int
            How many days to look at, the first included.
        append : bool
            Only after the channel's last booking, where gaps are filled else.

        Raises
        ------
        UnknownChannel (SWCHN), UnknownVideoType (SWTYP)
        RequestKeyReused (SWKEY), VideoAlreadyBooked (SWDUP)
        NoSlotAvailable (SWNON)
            Nothing is free within the horizon.
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "reserve_next_slot",
            type=type,
            **{"from": from_date},
            horizon_days=horizon_days,
            video=video,
            channel=self._channel(channel),
            append=append,
            request_key=request_key,
        )

    def reschedule_reservation(
        self,
        reservation_id: int,
        date: dt.date,
        time: dt.time,
        *,
        expected_version: int | None = None,
        request_key: str | None = None,
    ) -> Reservation:
        """Move a scheduled reservation to another local time of its channel.

        Old and new days are locked in order and charged as one net change, so
        a move within a full day passes. Moving it to where it is changes nothing.

        Raises
        ------
        ReservationNotFound (SWNFD), NonexistentLocalTime (SWGAP)
        RequestKeyReused (SWKEY), IllegalTransition (SWSTA), StaleVersion (SWVER)
        SlotInPast (SWPST), BlackedOut (SWBLK), SlotTaken (SWTKN)
        DailyLimitReached, QuotaExhausted (SWLIM)
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "reschedule_reservation",
            reservation_id=reservation_id,
            date=date,
            time=time,
            expected_version=expected_version,
            request_key=request_key,
        )

    def lock_day(self, day: dt.date, *, channel: str | None = None) -> list[DailyStatus]:
        """Hold a day of a channel until the caller's transaction ends; tell its status.

        Meanwhile nobody books, cancels or changes a maximum there. The day is
        taken in the zone of each limit.

        Raises
        ------
        InvalidArgument
            Each call commits by itself here, as with an engine or a URL, so
            nothing would be held.
        UnknownChannel (SWCHN), LockTimeout (55P03)
        """
        self._executor.require_transaction("lock_day")
        return self._rows(
            DailyStatus, "lock_day", {"day": day, "channel": self._channel(channel)}, changes=True
        )
