"""Many bookings in one round trip."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from .arguments import as_date, as_instant, as_items, as_text, as_wall_clock
from .calls import NESTED_RESERVATION, Calls, nested_reservation
from .exceptions import InvalidArgument, NonexistentLocalTime
from .models import BatchResult

_RESULT_COLUMNS = (
    "result.item",
    "result.outcome",
    "result.message",
    "result.detail",
    *NESTED_RESERVATION,
)


@dataclass(frozen=True, slots=True)
class BookingWish:
    """One booking of a batch.

    A ``date`` with a ``time`` is on the channel's clock, as for
    `Scheduler.reserve_slot`; a ``publish_time`` is an instant, an aware
    datetime, as for `Scheduler.reserve_slot_at`.
    """

    type: str
    _: KW_ONLY
    date: dt.date | None = None
    time: dt.time | None = None
    publish_time: dt.datetime | None = None
    video: str | None = None
    channel: str | None = None
    request_key: str | None = None


class Batches(Calls):
    """The part of `slotwarden.Scheduler` that books many at once."""

    def reserve_slots(
        self, requests: Sequence[BookingWish], *, all_or_nothing: bool = True
    ) -> list[BatchResult]:
        """Book a batch in one round trip; give a result for each wish, in their order.

        The days of all are locked first, in order; the wishes are decided in
        order of their publish times.

        Parameters
        ----------
        requests : sequence of BookingWish
            At most 1,000.
        all_or_nothing : bool
            The first refusal is raised, with its ``item`` in ``detail``, and
            nothing is booked. If False, each is booked or refused by itself.

        Raises
        ------
        InvalidArgument (SWARG), NonexistentLocalTime (SWGAP)
            Before anything is sent: a value that no wish can have.
        BookingRefused and others
            All or nothing: those of `Scheduler.reserve_slot`.
        LockTimeout (55P03)
        """
        wishes = as_items("requests", requests)
        items = [self._item(place, wish) for place, wish in enumerate(wishes, start=1)]
        return self._executor.call(
            "reserve_slots",
            _RESULT_COLUMNS,
            {"requests": json.dumps(items), "all_or_nothing": all_or_nothing},
            _result,
            changes=True,
        )

    def _item(self, place: int, wish: BookingWish) -> dict[str, str]:
        if not isinstance(wish, BookingWish):
            raise InvalidArgument(
                f"item {place}: must be a BookingWish, not {type(wish).__name__}",
                detail={"parameter": "requests", "item": place},
            )
        try:
            return _texts(wish, self._channel(wish.channel))
        except (InvalidArgument, NonexistentLocalTime) as error:
            raise type(error)(
                f"item {place}: {error.message}",
                detail={**error.detail, "item": place},
                hint=error.hint,
            ) from error


def _result(row: Sequence[Any]) -> BatchResult:
    item, outcome, message, detail, *reservation = row
    return BatchResult(item, outcome, nested_reservation(reservation), message, detail)


def _texts(wish: BookingWish, channel: str) -> dict[str, str]:
    """Give a wish as JSON's texts; they are left out where there is no value."""
    texts = {
        "type": wish.type,
        "channel": channel,
        "video": wish.video,
        "request_key": wish.request_key,
    }
    item = {name: as_text(name, text) for name, text in texts.items() if text is not None}
    if wish.date is not None:
        item["date"] = as_date("date", wish.date).isoformat()
    if wish.time is not None:
        item["time"] = as_wall_clock("time", wish.time).isoformat()
    if wish.publish_time is not None:
        item["publish_time"] = as_instant("publish_time", wish.publish_time).isoformat()
    return item
