"""LangFlix's ``YouTubeScheduleManager`` over slotwarden."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Engine

from slotwarden.exceptions import (
    DailyLimitReached,
    IllegalTransition,
    InvalidArgument,
    ReservationNotFound,
    SlotwardenError,
)

from .booking import Wish, book, refusal_in_words
from .config import HORIZON_DAYS, VIDEO_TYPES, ChannelSettings, ScheduleConfig
from .connection import Database, Joined
from .failures import NoAvailableSlot, ScheduleConfigError, connection_errors
from .quota import DailyQuotaStatus, daily_quota, warnings_of
from .schedule import Calendar, calendar_of, schedule_of

_log = logging.getLogger(__name__)


class YouTubeScheduleManager:
    """LangFlix's scheduler, with the checks, locks and charges in PostgreSQL.

    It works on the channel ``default``.

    Parameters
    ----------
    config : ScheduleConfig, optional
        Before the first call, the database is set to it where it differs; that
        needs an administrator's role. None: the database's settings hold.
    engine : Engine, optional
        The database, instead of the one that ``DATABASE_URL`` names.
    session : Session, scoped_session or Connection, optional
        Calls join its transaction. What they refuse leaves it usable.
    schema : str, optional
        The workspace; None is ``SLOTWARDEN_SCHEMA``, else ``slotwarden``.

    Notes
    -----
    Naive times mean the channel's zone, and times returned are aware. Every
    method raises `DatabaseConnectionError`, a ``ValueError``, when the database
    cannot be reached, but for `schedule_video`, which says so; and
    `ScheduleConfigError`, a ``ValueError``, when the configuration cannot be
    applied. Nothing is connected to before the first call.
    """

    def __init__(
        self,
        config: ScheduleConfig | None = None,
        *,
        engine: Engine | None = None,
        session: Joined | None = None,
        schema: str | None = None,
    ) -> None:
        self._given = config
        self._applied = config is None
        self._database = Database(engine, session, schema)
        self._scheduler = self._database.scheduler

    @property
    def config(self) -> ScheduleConfig:
        """The configuration that was given; what it leaves out, as the database has it."""
        if self._given is not None and set(self._given.daily_limits) == set(VIDEO_TYPES):
            return self._given
        stored = self._settings().as_config()
        if self._given is None:
            return stored
        return dataclasses.replace(
            self._given, daily_limits={**stored.daily_limits, **self._given.daily_limits}
        )

    def apply_config(self) -> list[str]:
        """Set the database to the configuration; give what had to be changed.

        Raises
        ------
        ScheduleConfigError
            The role may not, or something in it cannot be expressed.
        """
        with connection_errors():
            if self._given is None:
                return []
            with self._database.surviving():
                rows = self._scheduler.langflix_settings()
            changes = ChannelSettings(rows).changes_to(self._given)
            self._database.apply(changes)
            self._applied = True
            return [change.description for change in changes]

    def get_next_available_slot(
        self, video_type: str, preferred_date: dt.date | None = None
    ) -> dt.datetime:
        """Give the next free slot within 14 days, as `schedule_video` would take it.

        It is not held: another call may book it meanwhile.

        Parameters
        ----------
        video_type : str
            ``final`` or ``short``.
        preferred_date : datetime.date, optional
            First day to look at; None is today.

        Raises
        ------
        ValueError
            ``Invalid video_type: ...``
        NoAvailableSlot
            Nothing is free.
        """
        _require_type(video_type)
        settings = self._settings()
        with connection_errors(), self._database.surviving():
            slots = self._scheduler.available_slots(
                video_type, preferred_date, 1, horizon_days=HORIZON_DAYS
            )
        if not slots:
            raise NoAvailableSlot(
                f"No available slots found for {video_type} within {HORIZON_DAYS} days",
                detail={"channel": self._scheduler.channel, "type": video_type},
            )
        return slots[0].publish_time.astimezone(ZoneInfo(settings.time_zone))

    def check_daily_quota(self, target_date: dt.date, lock: bool = False) -> DailyQuotaStatus:  # noqa: FBT001, FBT002
        """Tell what of a day is used and left. Writes nothing.

        Parameters
        ----------
        target_date : datetime.date
            The day.
        lock : bool
            Hold the day until the caller's transaction ends: nobody books,
            cancels or changes a limit there. Waits up to 5 s (`LockTimeout`).

        Raises
        ------
        InvalidArgument
            ``lock`` without a transaction of the caller's.
        """
        with connection_errors():
            if lock and not self._database.has_transaction:
                raise InvalidArgument(
                    "lock=True holds the day until your transaction ends, so it needs one",
                    detail={"parameter": "lock"},
                    hint="YouTubeScheduleManager(session=...).check_daily_quota(day, lock=True)",
                )
            settings = self._settings()
            # What is locked stays locked when a savepoint is released.
            with self._database.surviving():
                rows = (
                    self._scheduler.lock_day(target_date)
                    if lock
                    else self._scheduler.daily_status(target_date)
                )
        return daily_quota(target_date, settings, rows)

    def schedule_video(
        self, video_path: str, video_type: str, preferred_time: dt.datetime | None = None
    ) -> tuple[bool, str, dt.datetime | None]:
        """Book a slot for a video: exactly the preferred time, or the next free one.

        Parameters
        ----------
        video_path : str
            The video; it may have one live booking.
        video_type : str
            ``final`` or ``short``.
        preferred_time : datetime.datetime, optional
            The publish time; seconds are cut off.

        Returns
        -------
        tuple
            Whether it is booked, what to tell a person, and the publish time.
        """
        if video_type not in VIDEO_TYPES:
            return False, f"Invalid video_type: {video_type}", None
        wish = Wish(video_path, video_type, preferred_time)
        zone: dt.tzinfo = dt.UTC
        try:
            zone = channel_zone = ZoneInfo(self._settings().time_zone)
            with self._database.surviving():
                reservation = book(self._scheduler, wish, channel_zone)
        except ScheduleConfigError:
            raise
        except SlotwardenError as error:
            return False, refusal_in_words(error, wish, zone), None
        publish_time = reservation.scheduled_publish_time.astimezone(zone)
        return True, f"Video scheduled for {publish_time}", publish_time

    def get_schedule_calendar(self, start_date: dt.date, days: int = 7) -> Calendar:
        """List the bookings of some days, by the date on the channel's clock.

        What failed or was cancelled is listed as ``failed``, as in LangFlix.

        Parameters
        ----------
        start_date : datetime.date
            First day.
        days : int
            How many days.
        """
        settings = self._settings()
        first = start_date.date() if isinstance(start_date, dt.datetime) else start_date
        with connection_errors():
            return calendar_of(self._database, settings.time_zone, first, days)

    def update_quota_usage(
        self, video_type: str, quota_used: int = 1600, target_date: dt.date | None = None
    ) -> None:
        """Report an upload. A booked one has paid for itself, so nothing is charged twice.

        Parameters
        ----------
        video_type : str
            ``final`` or ``short``.
        quota_used : int
            Units that an upload without a booking took; charged as far as they
            fit into the day.
        target_date : datetime.date, optional
            The day; None is today.
        """
        _require_type(video_type)
        self._settle()
        with connection_errors(), self._database.surviving():
            self._scheduler.account_upload(video_type, quota_used, target_date)

    def get_quota_warnings(self) -> list[str]:
        """Tell what is nearly used up today, each limit by its own calendar."""
        settings = self._settings()
        threshold = (self._given or settings.as_config()).warning_threshold
        with connection_errors(), self._database.surviving():
            rows = self._scheduler.daily_status()
        return warnings_of(settings, rows, threshold)

    def update_schedule_with_video_id(
        self, video_path: str, youtube_video_id: str, status: str = "completed"
    ) -> bool:
        """Record that a video was uploaded, or (``failed``) that it was not.

        Parameters
        ----------
        video_path : str
            The video, as it was booked.
        youtube_video_id : str
            What YouTube calls it.
        status : str
            ``completed``, also straight from ``scheduled``; ``uploaded`` means
            the same. Or ``failed``.

        Returns
        -------
        bool
            False: the video has no booking that this can be said of; or its
            upload was planned for another day and does not fit into today's
            quota. The reason is logged.
        """
        self._settle()
        with connection_errors():
            try:
                with self._database.surviving():
                    self._scheduler.record_upload(
                        video_path, youtube_video_id or None, status=status
                    )
            except (ReservationNotFound, IllegalTransition, DailyLimitReached) as error:
                _log.warning("The upload of %s is not recorded: %s", video_path, error)
                return False
        return True

    def cancel_schedule(self, schedule_id: str) -> bool:
        """Cancel a booking by the id that the calendar shows.

        Returns
        -------
        bool
            False: there is none of that id, or its upload was started.
        """
        self._settle()
        with connection_errors():
            for row in schedule_of(self._database, schedule_id):
                if row["upload_status"] != "scheduled":
                    # LangFlix calls cancelled what will not happen anyway.
                    return bool(row["upload_status"] == "failed")
                try:
                    with self._database.surviving():
                        self._scheduler.cancel_reservation(row["reservation_id"])
                except IllegalTransition:
                    return False
                return True
        return False

    def _settle(self) -> None:
        if not self._applied:
            self.apply_config()

    def _settings(self) -> ChannelSettings:
        self._settle()
        with connection_errors(), self._database.surviving():
            return ChannelSettings(self._scheduler.langflix_settings())


def _require_type(video_type: str) -> None:
    if video_type not in VIDEO_TYPES:
        raise InvalidArgument(
            f"Invalid video_type: {video_type}. Must be 'final' or 'short'",
            detail={"parameter": "video_type"},
        )
