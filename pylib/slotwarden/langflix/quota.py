"""What of a day is used and left, in LangFlix's numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from slotwarden.models import DailyStatus
from slotwarden.takeover import LangflixSetting

from .config import ChannelSettings

# The largest maximum that a limit can have.
_UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class DailyQuotaStatus:
    """What of a day is used and left: videos of each type, and units of the quota.

    The videos are those published on that day of the channel's calendar, the
    quota is that of the day of the same date in YouTube's zone. Of what has no
    limit, a thousand million remain.
    """

    date: dt.date
    final_used: int
    final_remaining: int
    short_used: int
    short_remaining: int
    quota_used: int
    quota_remaining: int
    quota_percentage: float


def daily_quota(
    date: dt.date, settings: ChannelSettings, rows: Iterable[DailyStatus]
) -> DailyQuotaStatus:
    """Give the limits of a day as LangFlix knows them."""
    days = {row.limit_id: row for row in rows}
    final_used, final_remaining = _videos(settings.limit("final"), days)
    short_used, short_remaining = _videos(settings.limit("short"), days)
    quota = _day_of(settings.quota, days)
    used, maximum = (quota.used_units, quota.max_units) if quota else (0, _UNLIMITED)
    return DailyQuotaStatus(
        date=date,
        final_used=final_used,
        final_remaining=final_remaining,
        short_used=short_used,
        short_remaining=short_remaining,
        quota_used=used,
        quota_remaining=max(maximum - used, 0),
        quota_percentage=100 * used / maximum if maximum else 100.0,
    )


def warnings_of(
    settings: ChannelSettings, rows: Iterable[DailyStatus], threshold: float
) -> list[str]:
    """Tell what is nearly used up, in LangFlix's sentences."""
    days = {row.limit_id: row for row in rows}
    status = daily_quota(dt.date.min, settings, days.values())
    quota = _day_of(settings.quota, days)
    warnings = []
    if quota and status.quota_percentage >= threshold:
        warnings.append(
            f"API quota usage is {status.quota_percentage:.1f}%"
            f" ({quota.used_units}/{quota.max_units})"
        )
    for kind, remaining in (("final", status.final_remaining), ("short", status.short_remaining)):
        if remaining <= 1:
            warnings.append(f"Only {remaining} {kind} video slot(s) remaining today")
    return warnings


def _day_of(setting: LangflixSetting | None, days: dict[str, DailyStatus]) -> DailyStatus | None:
    return days.get(setting.limit_id or "") if setting else None


def _videos(setting: LangflixSetting | None, days: dict[str, DailyStatus]) -> tuple[int, int]:
    day = _day_of(setting, days)
    if setting is None or day is None:
        return 0, _UNLIMITED
    units = setting.units or 1
    # Rounded against the caller: a part of a video is used up.
    return -(-day.used_units // units), day.remaining_units // units
