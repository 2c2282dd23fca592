"""Routes that read a channel's days: settings, calendar, free slots, limits, warnings."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query

from slotwarden.takeover import LangflixSetting
from slotwarden.web.contract import READS
from slotwarden.web.inputs import ChannelName, Day, etag
from slotwarden.web.views import (
    BlackoutView,
    CalendarView,
    ChannelsView,
    ChannelView,
    ChargeView,
    EntryView,
    HistoryView,
    SlotView,
    StatusView,
    TypeView,
    UsageView,
    WarningView,
)
from slotwarden.web.workspace import Here, Workspace

router = APIRouter(prefix="/api", tags=["planning"], responses=READS)

From = Annotated[Day | None, Query(alias="from", description="First day; today if not given.")]
Days = Annotated[int, Query(ge=1, le=366, description="How many days.")]


@router.get("/channels", summary="List the channels of the picker")
def channels(here: Here) -> ChannelsView:
    """Return the channels that the application was started with, or all of the workspace."""
    token = here.settings.derived("feed") if here.settings.token is not None else None
    return ChannelsView(channels=here.channels(), feed_token=token)


@router.get("/channels/{channel}", summary="Show a channel")
def channel_settings(channel: ChannelName, here: Here) -> ChannelView:
    """Return zone, posting times of every day, and video types with what each is charged."""
    rows = here.scheduler.langflix_settings(channel=channel)
    zone = here.zone_of(channel)
    return ChannelView(
        channel=channel,
        time_zone=zone,
        local_now=here.local_now(zone).strftime("%Y-%m-%dT%H:%M:%S"),
        posting_times=list(rows[0].posting_times) if rows else [],
        types=[
            TypeView(video_type=name, charges=_charges(rows, name))
            for name in dict.fromkeys(row.video_type for row in rows)
        ],
    )


def _charges(rows: list[LangflixSetting], video_type: str) -> list[ChargeView]:
    return [
        ChargeView.model_validate(row)
        for row in rows
        if row.video_type == video_type and row.limit_id is not None
    ]


@router.get("/channels/{channel}/calendar", summary="Show the calendar")
def calendar(
    channel: ChannelName, here: Here, from_day: From = None, days: Days = 7
) -> CalendarView:
    """Return the reservations of some days, in order of time, without the cancelled."""
    first = from_day or _today(channel, here)
    entries = here.scheduler.calendar(first, days, channel=channel)
    return CalendarView(
        channel=channel,
        from_day=first,
        days=days,
        entries=[EntryView.of(entry, etag(entry.version)) for entry in entries],
    )


def _today(channel: str, here: Workspace) -> dt.date:
    return here.local_now(here.zone_of(channel)).date()


@router.get("/channels/{channel}/slots", summary="List free slots")
def slots(
    channel: ChannelName,
    here: Here,
    *,
    video_type: Annotated[str, Query(alias="type", min_length=1)],
    from_day: From = None,
    count: Annotated[int, Query(ge=1, le=1000)] = 10,
    horizon_days: Annotated[int, Query(ge=1, le=366)] = 14,
) -> list[SlotView]:
    """Return the next free slots, in the order in which ``next`` would book them."""
    found = here.scheduler.available_slots(
        video_type, from_day, count, channel=channel, horizon_days=horizon_days
    )
    return [SlotView.model_validate(slot) for slot in found]


@router.get("/channels/{channel}/blackouts", summary="List the blackouts")
def blackouts(channel: ChannelName, here: Here) -> list[BlackoutView]:
    """Return the spans in which the channel publishes nothing, as far as they are not over."""
    zone = here.zone_of(channel)
    return [
        BlackoutView(
            blackout_id=span.blackout_id,
            from_time=span.from_time,
            to_time=span.to_time,
            local_from=here.on_clock(span.from_time, zone),
            local_to=here.on_clock(span.to_time, zone),
            reason=span.reason,
        )
        for span in here.scheduler.list_blackouts(channel=channel)
    ]


@router.get("/channels/{channel}/status", summary="Show the limits on one day")
def status(
    channel: ChannelName,
    here: Here,
    day: Annotated[Day | None, Query(description="The day; today if not given.")] = None,
) -> list[StatusView]:
    """Return used and remaining units of each limit, each in its own zone."""
    rows = here.scheduler.daily_status(day, channel=channel)
    return [StatusView.model_validate(row) for row in rows]


@router.get("/channels/{channel}/usage", summary="Show the limits on some days")
def usage(
    channel: ChannelName, here: Here, from_day: From = None, days: Days = 7
) -> list[UsageView]:
    """Return each limit on each day, also where nothing is used yet."""
    first = from_day or _today(channel, here)
    # From 0 percent on, every limit is worth a warning.
    rows = here.scheduler.quota_warnings(first, days, channel=channel, percent=0)
    return [UsageView.model_validate(row) for row in rows]


@router.get("/channels/{channel}/warnings", summary="List what is nearly used up")
def warnings(
    channel: ChannelName,
    here: Here,
    *,
    from_day: From = None,
    days: Days = 1,
    percent: Annotated[
        float | None,
        Query(ge=0, le=100, description="Share from which to warn; each limit's own if not given."),
    ] = None,
) -> list[WarningView]:
    """Return the limits and days of which much is used."""
    rows = here.scheduler.quota_warnings(from_day, days, channel=channel, percent=percent)
    return [WarningView.model_validate(row) for row in rows]


@router.get("/channels/{channel}/history", summary="Show what was used")
def history(
    channel: ChannelName,
    here: Here,
    *,
    from_day: Annotated[Day | None, Query(alias="from")] = None,
    to_day: Annotated[Day | None, Query(alias="to")] = None,
    limit: Annotated[str | None, Query(description="Only this limit.")] = None,
) -> list[HistoryView]:
    """Return what was used day by day, latest first; without days, the last 30."""
    rows = here.scheduler.usage_history(from_day, to_day, channel=channel, limit=limit)
    return [HistoryView.model_validate(row) for row in rows]
