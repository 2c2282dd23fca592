"""Bookings taken over from LangFlix, and calls that serve an application made for it."""

# The parameters are called as those of the SQL functions.
# ruff: noqa: A002

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .arguments import as_items, as_text
from .calls import Calls
from .exceptions import InvalidArgument
from .models import ExternalUsage, Reservation
from .records import CountedAt, Record

_VIDEOS_INSERT_UNITS = 1600


@dataclass(frozen=True, slots=True)
class ImportedRow(Record):
    """What came of a row of LangFlix's, or (without ``source_id``) of a day.

    ``action`` is ``imported``, ``conflict``, ``known`` (from an earlier
    import) or ``over_limit``; ``reason`` says why, of a conflict and of a day
    that is over its limit.
    """

    source_id: str | None
    action: str
    reservation_id: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ImportConflict(Record):
    """A row of another scheduler that an import could not book as it was.

    What the row said is given as texts, whatever they were.
    ``reservation_id`` is what it was booked as since.
    """

    import_conflict_id: int
    source: str
    source_id: str | None
    video_path: str | None
    video_type: str | None
    publish_time: str | None
    status: str | None
    youtube_video_id: str | None
    reason: str
    reservation_id: int | None
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class LangflixSetting(Record):
    """What a video type charges a limit; ``own``, if LangFlix's interface shows it.

    Without a limit (``limit_id`` None): the type charges none.
    ``posting_times`` are the channel's, of every day, such as ``10:00``.
    """

    video_type: str
    limit_id: str | None
    counted_at: CountedAt | None
    units: int | None
    max_units: int | None
    warn_percent: int | None
    own: bool
    time_zone: str
    posting_times: tuple[str, ...]


class Takeover(Calls):
    """The part of `slotwarden.Scheduler` for what comes from LangFlix."""

    def import_langflix(
        self,
        schedule: Iterable[Mapping[str, object]],
        *,
        source: str = "langflix",
        channel: str | None = None,
        dry_run: bool = False,
    ) -> list[ImportedRow]:
        """Take over the bookings of a LangFlix database; give what came of each row.

        Nothing is dropped: what cannot be booked is kept as a conflict. Rows
        that an earlier import has settled are left alone.

        Parameters
        ----------
        schedule : iterable of mapping
            The rows of its ``youtube_schedule``. Naive times are on the
            channel's clock.
        source : str
            Name of the database that they are from.
        channel : str, optional
            The channel to book them on.
        dry_run : bool
            Change nothing, and say what would be done.

        Raises
        ------
        InvalidArgument (SWARG), UnknownChannel (SWCHN), LockTimeout (55P03)
        """
        rows = [_plain(row) for row in as_items("schedule", schedule)]
        return self._rows(
            ImportedRow,
            "import_langflix",
            {
                "schedule": json.dumps(rows),
                "source": source,
                "channel": self._channel(channel),
                "dry_run": dry_run,
            },
            changes=not dry_run,
        )

    def list_import_conflicts(
        self, *, source: str | None = None, open: bool = True
    ) -> list[ImportConflict]:
        """List the rows that imports could not book, oldest first.

        Parameters
        ----------
        source : str, optional
            Only of this import.
        open : bool
            Only those that were not booked since.
        """
        return self._rows(ImportConflict, "list_import_conflicts", {"source": source, "open": open})

    def rebook_import_conflict(
        self,
        import_conflict_id: int,
        date: dt.date | None = None,
        time: dt.time | None = None,
        *,
        type: str | None = None,
        channel: str | None = None,
    ) -> Reservation:
        """Book the video of a conflict, at a local time or in the next free slot.

        Doing it again gives the same reservation, as long as that is live.

        Parameters
        ----------
        import_conflict_id : int
            The conflict.
        date, time : datetime.date, datetime.time, optional
            The slot; without both, the next free one.
        type : str, optional
            The video type; None is the row's.
        channel : str, optional
            The channel.

        Raises
        ------
        ReservationNotFound (SWNFD)
            There is no such conflict.
        UnknownChannel (SWCHN), UnknownVideoType (SWTYP), NonexistentLocalTime (SWGAP)
        BookingRefused
            As for `Scheduler.reserve_slot` and `Scheduler.reserve_next_slot`.
        LockTimeout (55P03)
            Also at once, while another call books the same conflict.
        """
        return self._row(
            Reservation,
            "rebook_import_conflict",
            import_conflict_id=import_conflict_id,
            date=date,
            time=time,
            type=type,
            channel=self._channel(channel),
        )

    def record_upload(
        self,
        video: str,
        youtube_video_id: str | None = None,
        *,
        status: str = "completed",
        channel: str | None = None,
    ) -> Reservation:
        """Say that a video was uploaded, for an application without lease tokens.

        Completes from ``scheduled`` as well, and whoever holds the lease.
        Saying the same again changes nothing.

        Parameters
        ----------
        video : str
            The video, as it was booked.
        youtube_video_id : str, optional
            What YouTube calls it.
        status : str
            ``completed`` (or ``uploaded``, which LangFlix says for it) or
            ``failed``.
        channel : str, optional
            The channel.

        Raises
        ------
        ReservationNotFound (SWNFD)
            The video has no reservation.
        IllegalTransition (SWSTA)
            It failed or was cancelled, or was uploaded as another video.
        DailyLimitReached, QuotaExhausted (SWLIM)
            It was planned for another day and does not fit into today.
        LockTimeout (55P03)
        """
        return self._row(
            Reservation,
            "record_upload",
            video=video,
            youtube_video_id=youtube_video_id,
            status=status,
            channel=self._channel(channel),
        )

    def account_upload(
        self,
        type: str,
        units: int = _VIDEOS_INSERT_UNITS,
        day: dt.date | None = None,
        *,
        channel: str | None = None,
    ) -> ExternalUsage | None:
        """Count an upload that an application reports: nothing, if a booking paid for it.

        Parameters
        ----------
        type : str
            Its video type.
        units : int
            What an upload without a booking takes; charged as far as it fits.
        day : datetime.date, optional
            The day; None is today in the limit's zone.
        channel : str, optional
            The channel.

        Returns
        -------
        ExternalUsage or None
            None: uploads of the type charge no limit that counts at upload.

        Raises
        ------
        UnknownChannel (SWCHN), UnknownVideoType (SWTYP), LockTimeout (55P03)
        """
        (accounted,) = self._executor.call(
            "account_upload",
            ExternalUsage.selected(),
            {"type": type, "units": units, "day": day, "channel": self._channel(channel)},
            lambda row: None if row[0] is None else ExternalUsage.from_values(row),
            changes=True,
        )
        return accounted

    def langflix_settings(self, *, channel: str | None = None) -> list[LangflixSetting]:
        """Give the settings of a channel that LangFlix's ``ScheduleConfig`` speaks of.

        Raises
        ------
        UnknownChannel (SWCHN)
        """
        return self._rows(LangflixSetting, "langflix_settings", {"channel": self._channel(channel)})


def _plain(value: object) -> object:
    """Give a value of a row as JSON has it; times keep their offset, or have none."""
    if isinstance(value, Mapping):
        return {as_text("schedule", name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str):
        return as_text("schedule", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument(
            f"schedule: a row cannot hold {value}, which JSON has no number for",
            detail={"parameter": "schedule"},
        )
    if value is None or isinstance(value, bool | int | float):
        return value
    raise InvalidArgument(
        f"schedule: a row cannot hold a {type(value).__name__}", detail={"parameter": "schedule"}
    )
