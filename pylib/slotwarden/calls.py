"""The one way in which every method of a scheduler calls its SQL function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from .arguments import as_text
from .execution import Executor, Target
from .models import Reservation
from .records import Record

R = TypeVar("R", bound=Record)

NESTED_RESERVATION = [f"(result.reservation).{name}" for name in Reservation.columns()]
"""Columns of a reservation that a result has as one of its own."""


class Calls:
    """A target, a workspace and a default channel, and calls through them."""

    def __init__(
        self,
        target: Target,
        *,
        schema: str = "slotwarden",
        channel: str = "default",
        retries: int = 3,
    ) -> None:
        self.schema = as_text("schema", schema)
        self.channel = as_text("channel", channel)
        self._executor = Executor(target, schema=self.schema, retries=retries)

    def close(self) -> None:
        """Close the connections opened for a URL; a caller's own stay as they are."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _channel(self, channel: str | None) -> str:
        return self.channel if channel is None else channel

    def _row(self, record: type[R], function: str, **arguments: object) -> R:
        (row,) = self._executor.call(function, _columns(record), arguments, changes=True)
        return record.from_row(row)

    def _rows(
        self,
        record: type[R],
        function: str,
        arguments: Mapping[str, object],
        *,
        changes: bool = False,
    ) -> list[R]:
        rows = self._executor.call(function, _columns(record), arguments, changes=changes)
        return [record.from_row(row) for row in rows]


def nested_reservation(row: Mapping[Any, Any]) -> Reservation | None:
    """Build the reservation of `NESTED_RESERVATION`; None where the result has none."""
    return None if row["reservation_id"] is None else Reservation.from_row(row)


def _columns(record: type[Record]) -> list[str]:
    return [f"result.{name}" for name in record.columns()]
