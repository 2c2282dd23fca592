"""An example week, for a workspace in which nothing was ever booked."""

from __future__ import annotations

import datetime as dt

from slotwarden.exceptions import BookingRefused
from slotwarden.models import Reservation
from slotwarden.scheduler import Scheduler

# Half of the days that a calendar can show, on each side.
_FAR = dt.timedelta(days=1800)
_DAY = dt.timedelta(days=1)
_WEEK_DAYS = 7

# Weekday, type, hour, video. Wednesday has all the finals and the quota that a day has.
_WEEK = (
    (0, "final", 10, "episodes/ep-041-the-lighthouse.mp4"),
    (0, "short", 14, "shorts/lighthouse-teaser.mp4"),
    (1, "short", 10, "shorts/behind-the-scenes-1.mp4"),
    (1, "final", 18, "episodes/ep-042-harbour-lights.mp4"),
    (2, "final", 10, "episodes/ep-043-the-crossing.mp4"),
    (2, "short", 12, "shorts/crossing-teaser.mp4"),
    (2, "final", 14, "episodes/ep-044-low-tide.mp4"),
    (2, "short", 16, "shorts/low-tide-teaser.mp4"),
    (2, "short", 18, "shorts/ask-the-crew.mp4"),
    (3, "short", 14, "shorts/behind-the-scenes-2.mp4"),
    (4, "final", 10, "episodes/ep-045-night-watch.mp4"),
    (4, "short", 13, "shorts/night-watch-teaser.mp4"),
    (4, "short", 18, "shorts/bloopers.mp4"),
    (5, "final", 14, "episodes/ep-046-landfall.mp4"),
    (6, "short", 10, "shorts/week-in-a-minute.mp4"),
)


def is_untouched(scheduler: Scheduler, today: dt.date) -> bool:
    """Tell whether nothing was ever booked on the scheduler's channel, within some ten years.

    Parameters
    ----------
    scheduler : Scheduler
        Names the channel.
    today : datetime.date
        The middle of what is looked at.
    """
    history = scheduler.usage_history(today - _FAR, today + _FAR)
    return not history and not scheduler.calendar(today - _FAR, 2 * _FAR.days)


def book_example_week(scheduler: Scheduler, today: dt.date) -> list[Reservation]:
    """Book the example week on the days of next week; what a limit refuses is left out.

    Parameters
    ----------
    scheduler : Scheduler
        Names the channel.
    today : datetime.date
        The channel's day.
    """
    monday = next_monday(today)
    booked = []
    for weekday, video_type, hour, video in _WEEK:
        try:
            booked.append(
                scheduler.reserve_slot(
                    monday + weekday * _DAY, video_type, dt.time(hour), video=video
                )
            )
        except BookingRefused:
            # The week is there to be looked at; a channel may have other limits.
            continue
    return booked


def next_monday(today: dt.date) -> dt.date:
    """Return the first day of the week after this one."""
    return today + (_WEEK_DAYS - today.weekday()) * _DAY
