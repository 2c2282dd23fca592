"""The two ways in which an import calls the database: for good, and as a rehearsal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from threading import Event
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

from slotwarden.database import transactional
from slotwarden.errors import translated_errors
from slotwarden.exceptions import LockTimeout, OutcomeUnknown, SlotwardenError, TransactionConflict
from slotwarden.importer.rows import Row
from slotwarden.models import Reservation
from slotwarden.scheduler import Scheduler

T = TypeVar("T")
Call = Callable[[Scheduler], T]

_ATTEMPTS = 4


class Caller(Protocol):
    """Carries calls out."""

    def do(self, call: Call[T]) -> T:
        """Make a call whose effect stays, so far as anything does."""
        ...

    def probe(self, call: Call[T]) -> T:
        """Make a call and take it back."""
        ...


class Committed:
    """Each call commits by itself."""

    def __init__(self, engine: Engine, schema: str, given_up: Event) -> None:
        self._transactional = transactional(engine)
        self._schema = schema
        self._given_up = given_up
        self._scheduler = Scheduler(engine, schema=schema)

    def do(self, call: Call[T]) -> T:
        """Make a call; repeat it while it waits in vain or its outcome is unknown."""
        return _persistently(
            lambda: call(self._scheduler), (LockTimeout, OutcomeUnknown), self._given_up
        )

    def probe(self, call: Call[T]) -> T:
        """Make a call in a transaction that is never committed."""
        with (
            translated_errors(schema=self._schema, commits=False),
            self._transactional.connect() as connection,
        ):
            return call(Scheduler(connection, schema=self._schema))


class Rehearsed:
    """All calls join one transaction, which its owner rolls back."""

    def __init__(self, connection: Connection, schema: str, given_up: Event) -> None:
        self._connection = connection
        self._given_up = given_up
        self._scheduler = Scheduler(connection, schema=schema)

    def do(self, call: Call[T]) -> T:
        """Make a call in a savepoint, so that a refusal leaves the transaction whole."""

        def attempt() -> T:
            with self._connection.begin_nested():
                return call(self._scheduler)

        return _persistently(attempt, (LockTimeout,), self._given_up)

    def probe(self, call: Call[T]) -> T:
        """Make a call in a savepoint, and go back to it."""
        savepoint = self._connection.begin_nested()
        try:
            return call(self._scheduler)
        finally:
            savepoint.rollback()


def rehearse(engine: Engine, schema: str, given_up: Event, work: Callable[[Caller], T]) -> T:
    """Carry out `work` in one transaction and roll it back; again if another one won.

    Holds the locks of every day that is booked until the end.
    """

    def attempt() -> T:
        with (
            translated_errors(schema=schema, commits=False),
            transactional(engine).connect() as connection,
        ):
            return work(Rehearsed(connection, schema, given_up))

    return _persistently(attempt, (TransactionConflict,), given_up)


def booking(
    row: Row, *, slot: dt.datetime | None = None, video: str | None = None, key: str | None = None
) -> Call[Reservation]:
    """Return the call that books `row`, in its own slot unless another is given."""
    when = slot or row.slot

    def call(scheduler: Scheduler) -> Reservation:
        if when.tzinfo is not None:
            return scheduler.reserve_slot_at(
                when, row.type, video=video, channel=row.channel, request_key=key
            )
        return scheduler.reserve_slot(
            when.date(), row.type, when.time(), video=video, channel=row.channel, request_key=key
        )

    return call


def _persistently(
    call: Callable[[], T], worth_repeating: tuple[type[SlotwardenError], ...], given_up: Event
) -> T:
    for _ in range(_ATTEMPTS - 1):
        try:
            return call()
        except worth_repeating:
            if given_up.is_set():
                raise
    return call()
