"""The stream of live updates, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from slotwarden.web.contract import READS
from slotwarden.web.inputs import ChannelName, Day
from slotwarden.web.live import Live, Span
from slotwarden.web.problems import Problem
from slotwarden.web.workspace import Here

router = APIRouter(prefix="/api", tags=["planning"], responses=READS)

_BACK_AFTER_MILLISECONDS = 2000
_MOST_DAYS = 62


def _span(
    request: Request,
    channel: ChannelName,
    here: Here,
    *,
    first: Annotated[Day, Query(alias="from", description="First day.")],
    days: Annotated[int, Query(ge=1, le=_MOST_DAYS, description="How many days.")] = 7,
) -> Span:
    """Refuse what cannot be followed, while there is still an answer to refuse with."""
    if request.app.state.live.full:
        raise Problem(
            503, "TooManyStreams", "Too many live connections", "Close a page, or ask again later."
        )
    here.scheduler.calendar(first, days, channel=channel)
    here.scheduler.usage_history(first, first, channel=channel)
    return Span(channel, first, days)


@router.get(
    "/channels/{channel}/events",
    summary="Follow changes",
    response_class=EventSourceResponse,
)
async def events(
    request: Request, span: Annotated[Span, Depends(_span)]
) -> AsyncIterator[ServerSentEvent]:
    """Send an event ``state`` at once, and whenever something in these days has changed.

    Its data are ``{"fingerprint": "..."}``, or null there while the database is away. What has
    changed is for the caller to read.
    """
    live: Live = request.app.state.live
    async for state in live.follow(span):
        yield ServerSentEvent(
            event="state",
            data={"fingerprint": state.fingerprint},
            retry=_BACK_AFTER_MILLISECONDS,
        )
