"""Routes that change something: reserve, move, cancel, retry, and batches."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from slotwarden.batches import BookingWish
from slotwarden.models import Reservation
from slotwarden.web.contract import WRITES
from slotwarden.web.inputs import (
    ChannelName,
    Day,
    ExpectedVersion,
    Instant,
    RequestKey,
    ReservationId,
    TimeOfDay,
    etag,
)
from slotwarden.web.views import BatchItemView, BatchView, ReservationView
from slotwarden.web.workspace import Here

router = APIRouter(prefix="/api", tags=["booking"], responses=WRITES)

VideoType = Annotated[str, Field(min_length=1, description="final, short, or another.")]
Video = Annotated[
    str | None, Field(min_length=1, description="What the application calls its video.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Wish(_Body):
    """A slot: ``date`` and ``time`` on the channel's clock, or else ``publish_time``."""

    type: VideoType
    date: Day | None = None
    time: TimeOfDay | None = None
    publish_time: Instant | None = None
    video: Video = None

    @model_validator(mode="after")
    def _names_one_slot(self) -> Wish:
        local = (self.date is not None, self.time is not None)
        if any(local) != all(local) or all(local) == (self.publish_time is not None):
            raise ValueError("give date and time, or publish_time")
        return self


class BatchWish(Wish):
    """A slot of a channel, with a key of its own if wanted."""

    channel: str | None = None
    request_key: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class NextWish(_Body):
    """The first free slot from a day on; ``append``: only after the last booking."""

    type: VideoType
    from_day: Annotated[Day | None, Field(alias="from")] = None
    horizon_days: Annotated[int, Field(ge=1, le=366)] = 14
    append: bool = False
    video: Video = None


class Move(_Body):
    """Another time, on the channel's clock."""

    date: Day
    time: TimeOfDay


class Batch(_Body):
    """Many bookings in one transaction."""

    requests: Annotated[list[BatchWish], Field(min_length=1, max_length=1000)]
    all_or_nothing: bool = True


def _answer(reservation: Reservation, response: Response) -> ReservationView:
    response.headers["etag"] = etag(reservation.version)
    return ReservationView.of(reservation)


@router.post("/channels/{channel}/reservations", status_code=201, summary="Reserve a slot")
def reserve(
    channel: ChannelName, wish: Wish, key: RequestKey, here: Here, response: Response
) -> ReservationView:
    """Book exactly this slot."""
    if wish.publish_time is not None:
        booked = here.scheduler.reserve_slot_at(
            wish.publish_time, wish.type, video=wish.video, channel=channel, request_key=key
        )
    else:
        assert wish.date is not None and wish.time is not None  # noqa: S101, PT018
        booked = here.scheduler.reserve_slot(
            wish.date, wish.type, wish.time, video=wish.video, channel=channel, request_key=key
        )
    return _answer(booked, response)


@router.post(
    "/channels/{channel}/reservations/next", status_code=201, summary="Reserve the next free slot"
)
def reserve_next(
    channel: ChannelName, wish: NextWish, key: RequestKey, here: Here, response: Response
) -> ReservationView:
    """Find and book the first free slot, in one transaction."""
    booked = here.scheduler.reserve_next_slot(
        wish.type,
        wish.from_day,
        horizon_days=wish.horizon_days,
        video=wish.video,
        channel=channel,
        append=wish.append,
        request_key=key,
    )
    return _answer(booked, response)


def _new_time(
    reservation_id: ReservationId, move: Move, version: ExpectedVersion, key: RequestKey
) -> dict[str, Any]:
    return {
        "reservation_id": reservation_id,
        "date": move.date,
        "time": move.time,
        "expected_version": version,
        "request_key": key,
    }


NewTime = Annotated[dict[str, Any], Depends(_new_time)]


@router.patch("/reservations/{reservation_id}", summary="Move a reservation")
def reschedule(new_time: NewTime, here: Here, response: Response) -> ReservationView:
    """Move a scheduled reservation to another time of its channel."""
    return _answer(here.scheduler.reschedule_reservation(**new_time), response)


@router.delete("/reservations/{reservation_id}", summary="Cancel a reservation")
def cancel(
    reservation_id: ReservationId, version: ExpectedVersion, here: Here, response: Response
) -> ReservationView:
    """Cancel a scheduled reservation and give its slot and units back."""
    return _answer(
        here.scheduler.cancel_reservation(reservation_id, expected_version=version), response
    )


@router.post("/reservations/{reservation_id}/retry", summary="Retry a failed upload")
def retry(new_time: NewTime, here: Here, response: Response) -> ReservationView:
    """Give a failed upload a new time and another attempt."""
    return _answer(here.scheduler.retry_upload(**new_time), response)


@router.post("/batch", summary="Reserve many slots")
def reserve_many(batch: Batch, key: RequestKey, here: Here) -> BatchView:
    """Book a batch in one transaction.

    With ``all_or_nothing`` the first refusal is the answer, and nothing is booked. Else each is
    booked or refused by itself. An Idempotency-Key counts for each item that has no key of its
    own.
    """
    wishes = [
        BookingWish(
            each.type,
            date=each.date,
            time=each.time,
            publish_time=each.publish_time,
            video=each.video,
            channel=each.channel,
            request_key=each.request_key or (key and f"{key}#{place}"),
        )
        for place, each in enumerate(batch.requests, start=1)
    ]
    results = here.scheduler.reserve_slots(wishes, all_or_nothing=batch.all_or_nothing)
    return BatchView(
        reserved=sum(result.reserved for result in results),
        results=[BatchItemView.of(result) for result in results],
    )
