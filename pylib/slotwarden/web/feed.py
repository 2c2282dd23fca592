"""The iCalendar feed of a channel, for the calendars that people already have."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from icalendar import Calendar, Event

from slotwarden.models import CalendarEntry, UploadStatus
from slotwarden.web.contract import READS
from slotwarden.web.inputs import ChannelName
from slotwarden.web.workspace import Here

router = APIRouter(prefix="/api", tags=["planning"], responses=READS)

MEDIA_TYPE = "text/calendar"

_PAST_DAYS = 30
# A moment has no length, but most calendars do not show what has none.
_SHOWN_LENGTH = dt.timedelta(minutes=15)


@router.get(
    "/channels/{channel}/calendar.ics",
    summary="Subscribe to the calendar",
    response_class=Response,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        304: {"description": "Nothing has changed since If-None-Match."},
    },
)
def feed(
    channel: ChannelName,
    here: Here,
    request: Request,
    *,
    days: Annotated[int, Query(ge=1, le=366, description="How many days ahead.")] = 90,
    token: Annotated[
        str | None,
        Query(description="The feed's own token, where one is needed: calendars send no headers."),
    ] = None,
) -> Response:
    """Return the last 30 days and those ahead, as RFC 5545 has it."""
    del token  # Checked before any route is chosen.
    first = here.now().date() - dt.timedelta(days=_PAST_DAYS)
    entries = here.scheduler.calendar(first, _PAST_DAYS + days, channel=channel)
    tag = _tag(entries)
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    made = calendar_of(channel, entries, schema=here.schema, now=here.now())
    return Response(made.to_ical(), media_type=MEDIA_TYPE, headers=headers)


def calendar_of(
    channel: str, entries: list[CalendarEntry], *, schema: str, now: dt.datetime
) -> Calendar:
    """Make an iCalendar object.

    Parameters
    ----------
    channel : str
        Names the calendar.
    entries : list of CalendarEntry
        What it holds; instants stay in UTC, which needs no table of zones.
    schema : str
        The workspace, for identifiers that do not meet those of another.
    now : datetime.datetime
        When it is made.
    """
    made = Calendar()
    made.add("prodid", "-//slotwarden//slotwarden web//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", f"slotwarden: {channel}")
    if entries:
        made.add("x-wr-timezone", entries[0].time_zone)
    for entry in entries:
        made.add_component(_event(entry, schema, now))
    return made


def _event(entry: CalendarEntry, schema: str, now: dt.datetime) -> Event:
    made = Event()
    made.add("uid", f"{entry.reservation_id}@{schema}.slotwarden")
    made.add("dtstamp", now)
    made.add("dtstart", entry.publish_time)
    made.add("dtend", entry.publish_time + _SHOWN_LENGTH)
    made.add("summary", f"{entry.video_type}: {entry.video_path or 'no video named'}")
    made.add("sequence", entry.version)
    failed = entry.upload_status is UploadStatus.FAILED
    made.add("status", "TENTATIVE" if failed else "CONFIRMED")
    made.add("categories", [entry.video_type, str(entry.upload_status)])
    made.add("transp", "TRANSPARENT")
    made.add("description", f"Reservation {entry.reservation_id}, {entry.upload_status}")
    if entry.youtube_video_id:
        # What a worker said it is: anything.
        made.add("url", f"https://youtu.be/{quote(entry.youtube_video_id, safe='')}")
    return made


def _tag(entries: list[CalendarEntry]) -> str:
    digest = hashlib.sha256(repr(entries).encode("utf-8", "backslashreplace"))
    return f'"{digest.hexdigest()[:32]}"'
