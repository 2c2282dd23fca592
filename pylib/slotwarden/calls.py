"""The one way in which every method of a scheduler calls its SQL function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from .arguments import as_text
from .execution import Executor, Target
from .models import Reservation
from .records import Record

R = TypeVar("R", bound=Record)

NESTED_RESERVATION = tuple(f"(result.reservation).{name}" for name in Reservation.columns())
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
        (made,) = self._rows(record, function, arguments, changes=True)
        return made

    def _rows(
        self,
        record: type[R],
        function: str,
        arguments: Mapping[str, object],
        *,
        changes: bool = False,
    ) -> list[R]:
        return self._executor.call(
            function, record.selected(), arguments, record.from_values, changes=changes
        )


def nested_reservation(values: Sequence[Any]) -> Reservation | None:
    """Build the reservation of `NESTED_RESERVATION`; None where the result has none."""
    return None if values[0] is None else Reservation.from_values(values)
