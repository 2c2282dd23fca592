"""The Python face of the SQL API: one method for each function, under its name."""

# The parameters are called as those of the SQL functions.
# ruff: noqa: A002

from __future__ import annotations

import datetime as dt

from .administration import Administration
from .models import (
    CalendarEntry,
    DailyStatus,
    Reservation,
    ReservationOutcome,
)


class Scheduler(Administration):
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
        reservation = [f"(result.reservation).{name}" for name in Reservation.columns()]
        (row,) = self._executor.call(
            "try_reserve_slot",
            ["result.outcome", "result.detail", *reservation],
            {
                "date": date,
                "type": type,
                "time": time,
                "video": video,
                "channel": self._channel(channel),
                "request_key": request_key,
            },
            changes=True,
        )
        booked = None if row["reservation_id"] is None else Reservation.from_row(row)
        return ReservationOutcome(row["outcome"], booked, row["detail"])

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

    def daily_status(
        self, day: dt.date | None = None, *, channel: str | None = None
    ) -> list[DailyStatus]:
        """Tell used and remaining units of each limit of a channel, on a day.

        Parameters
        ----------
        day : datetime.date, optional
            Taken in the zone of each limit; None is today there.
        channel : str, optional
            The channel.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            DailyStatus, "daily_status", {"day": day, "channel": self._channel(channel)}
        )

    def calendar(
        self,
        from_date: dt.date | None = None,
        days: int = 7,
        *,
        channel: str | None = None,
    ) -> list[CalendarEntry]:
        """List the reservations of some days of a channel's calendar, in order of time.

        Parameters
        ----------
        from_date : datetime.date, optional
            First day on the channel's clock; None is today.
        days : int
            How many days.
        channel : str, optional
            The channel.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(
            CalendarEntry,
            "calendar",
            {"from": from_date, "days": days, "channel": self._channel(channel)},
        )
