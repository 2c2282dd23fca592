"""The uploads of what is booked: begun under a lease, ended with its token."""

from __future__ import annotations

import datetime as dt
import uuid

from .calls import Calls
from .models import ExternalUsage, Reservation

_QUARTER_OF_AN_HOUR = dt.timedelta(minutes=15)


class Uploads(Calls):
    """The uploading part of `slotwarden.Scheduler`, for workers.

    Beginning an upload gives the reservation a ``lease_token``, which ending
    it asks for. Once the lease has run out `claim_due_uploads` may give the
    upload to another worker, and the token is dead.
    """

    def start_upload(
        self, reservation_id: int, *, lease: dt.timedelta | None = None
    ) -> Reservation:
        """Begin the upload of a scheduled reservation, now.

        Units that count at upload move to today; if they do not fit there, it
        is refused and stays scheduled.

        Parameters
        ----------
        reservation_id : int
            The reservation.
        lease : datetime.timedelta, optional
            How long the worker may take, in elapsed time; None is for ever.

        Raises
        ------
        ReservationNotFound (SWNFD), IllegalTransition (SWSTA)
        DailyLimitReached, QuotaExhausted (SWLIM)
        LockTimeout (55P03)
        """
        return self._row(Reservation, "start_upload", reservation_id=reservation_id, lease=lease)

    def claim_due_uploads(
        self,
        count: int = 1,
        *,
        lease: dt.timedelta = _QUARTER_OF_AN_HOUR,
        channel: str | None = None,
    ) -> list[Reservation]:
        """Begin uploads that are due, each for this caller alone; give them in order of time.

        Due are scheduled ones whose upload time has come, and those whose
        lease has run out: a new attempt, charged again. What another worker is
        claiming is skipped; what does not fit into its day stays.

        Parameters
        ----------
        count : int
            How many at most.
        lease : datetime.timedelta
            How long the worker may take, in elapsed time.
        channel : str, optional
            Only this channel's; None is any channel's, not the scheduler's.

        Raises
        ------
        UnknownChannel (SWCHN), LockTimeout (55P03)
        """
        return self._rows(
            Reservation,
            "claim_due_uploads",
            {"count": count, "lease": lease, "channel": channel},
            changes=True,
        )

    def complete_upload(
        self, reservation_id: int, token: uuid.UUID, youtube_video_id: str | None = None
    ) -> Reservation:
        """Say that the upload is done; saying the same again changes nothing.

        Parameters
        ----------
        reservation_id : int
            The reservation.
        token : uuid.UUID
            Its ``lease_token``, from the call that began this attempt.
        youtube_video_id : str, optional
            What YouTube calls the video.

        Raises
        ------
        ReservationNotFound (SWNFD), LockTimeout (55P03)
        IllegalTransition (SWSTA)
            It is not uploading, or not under this token.
        """
        return self._row(
            Reservation,
            "complete_upload",
            reservation_id=reservation_id,
            token=token,
            youtube_video_id=youtube_video_id,
        )

    def fail_upload(
        self, reservation_id: int, token: uuid.UUID, error_message: str | None = None
    ) -> Reservation:
        """Say that the upload came to nothing; saying it again changes nothing.

        The slot and its posting limits are given back; units that count at
        upload stay spent.

        Parameters
        ----------
        reservation_id : int
            The reservation.
        token : uuid.UUID
            Its ``lease_token``, from the call that began this attempt.
        error_message : str, optional
            What went wrong, of which the first 2,500 characters are kept.

        Raises
        ------
        ReservationNotFound (SWNFD), LockTimeout (55P03)
        IllegalTransition (SWSTA)
            It is not uploading, or not under this token.
        """
        return self._row(
            Reservation,
            "fail_upload",
            reservation_id=reservation_id,
            token=token,
            error_message=error_message,
        )

    def retry_upload(
        self,
        reservation_id: int,
        date: dt.date,
        time: dt.time,
        *,
        expected_version: int | None = None,
        request_key: str | None = None,
    ) -> Reservation:
        """Book a new slot for a failed upload, as a new attempt, charged in full.

        Raises
        ------
        ReservationNotFound (SWNFD), NonexistentLocalTime (SWGAP)
        RequestKeyReused (SWKEY), IllegalTransition (SWSTA), StaleVersion (SWVER)
        SlotInPast (SWPST), BlackedOut (SWBLK)
        VideoAlreadyBooked (SWDUP), SlotTaken (SWTKN)
        DailyLimitReached, QuotaExhausted (SWLIM)
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "retry_upload",
            reservation_id=reservation_id,
            date=date,
            time=time,
            expected_version=expected_version,
            request_key=request_key,
        )

    def record_usage(
        self, limit: str, units: int, day: dt.date | None = None, *, note: str | None = None
    ) -> ExternalUsage:
        """Count units that something else than a booking has used.

        Parameters
        ----------
        limit : str
            The limit.
        units : int
            How many.
        day : datetime.date, optional
            In the limit's zone; None is today there.
        note : str, optional
            What used them.

        Raises
        ------
        DailyLimitReached, QuotaExhausted (SWLIM)
            They would pass the maximum: nothing is recorded.
        LockTimeout (55P03)
        """
        return self._row(
            ExternalUsage, "record_usage", limit=limit, units=units, day=day, note=note
        )
