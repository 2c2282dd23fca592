"""Deciding the rows of an import, one after the other, in as many groups at once as allowed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event

from sqlalchemy import Engine

from slotwarden.exceptions import (
    BlackedOut,
    BookingRefused,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidArgument,
    LockTimeout,
    OutcomeUnknown,
    SlotInPast,
    SlotTaken,
    SlotwardenError,
    TransactionConflict,
    UnknownChannel,
    VideoAlreadyBooked,
)
from slotwarden.importer.calls import Caller, Committed, booking, rehearse
from slotwarden.importer.groups import Group, grouped
from slotwarden.importer.lookup import limits_of, server_time, zones_of
from slotwarden.importer.rows import Row
from slotwarden.models import Reservation, UploadStatus

# These say nothing about the row: the import cannot go on.
_NOT_ABOUT_THE_ROW = (DatabaseUnavailable, OutcomeUnknown, LockTimeout, TransactionConflict)
_HOLDING = (UploadStatus.SCHEDULED, UploadStatus.UPLOADING, UploadStatus.COMPLETED)
# Days begin on a quarter of an hour in every zone of today.
_MINUTES_OF_ONE_DAY = 15


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a row.

    Attributes
    ----------
    row : Row
        The row.
    reservation : Reservation or None
        What it holds.
    before : bool
        An earlier run booked it.
    refusal : SlotwardenError or None
        Why it holds nothing.
    """

    row: Row
    reservation: Reservation | None = None
    before: bool = False
    refusal: SlotwardenError | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to import.

    Attributes
    ----------
    schema : str
        The workspace.
    create_channels : bool
        Create channels that are missing, each with limits of its own like the default channel's.
    time_zone : str
        The zone of channels that are created.
    dry_run : bool
        Roll everything back.
    connections : int
        How many groups to work on at once.
    """

    schema: str = "slotwarden"
    create_channels: bool = False
    time_zone: str = "UTC"
    dry_run: bool = False
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every row with its decision, in the order of the file, and the channels that were made."""

    decisions: tuple[Decision, ...]
    channels_created: tuple[str, ...]


def import_rows(
    engine: Engine, rows: Sequence[Row], plan: Plan, on_row: Callable[[], None] | None = None
) -> Outcome:
    """Book rows in order of publish time, then of the file.

    Running it again books nothing twice: each row has a request key of its own. What was refused
    is decided again.

    Parameters
    ----------
    engine : Engine
        With a pool of at least ``plan.connections``.
    rows : sequence of Row
        In the order of the file.
    plan : Plan
        How.
    on_row : callable, optional
        Called after each row, from any thread.

    Raises
    ------
    DatabaseUnavailable, OutcomeUnknown, LockTimeout, TransactionConflict
        The rows that were decided stay so; run it again to go on.
    InvalidArgument
        The order of the rows cannot be known; nothing was booked.
    """
    work = _Import(engine, plan, on_row or (lambda: None))
    return work.run(rows)


class _GivenUp(Exception):
    """Another group has failed, or the user has had enough."""


class _Import:
    def __init__(self, engine: Engine, plan: Plan, on_row: Callable[[], None]) -> None:
        self._engine = engine
        self._plan = plan
        self._on_row = on_row
        self._began = dt.datetime.max.replace(tzinfo=dt.UTC)
        self._given_up = Event()

    def run(self, rows: Sequence[Row]) -> Outcome:
        self._began = server_time(self._engine)
        decisions: list[Decision] = []
        created: list[str] = []
        with ThreadPoolExecutor(self._plan.connections) as pool:
            try:
                groups = self._groups(rows, pool)
                for done in as_completed([pool.submit(self._decide, group) for group in groups]):
                    channel, decided = done.result()
                    decisions += decided
                    created += [channel] if channel is not None else []
            except BaseException:
                self._given_up.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        decisions.sort(key=lambda decision: decision.row.line)
        return Outcome(tuple(decisions), tuple(sorted(created)))

    def _groups(self, rows: Sequence[Row], pool: ThreadPoolExecutor) -> list[Group]:
        channels = list(dict.fromkeys(row.channel for row in rows))
        limits = limits_of(self._engine, self._plan.schema, channels, pool)
        zones = dict.fromkeys(channels, self._plan.time_zone)
        local = {row.channel for row in rows if row.publish_time.tzinfo is None}
        existing = [channel for channel in channels if limits[channel] is not None]
        if local.intersection(existing):
            for channel in existing:
                del zones[channel]
            zones |= zones_of(self._engine, self._plan.schema, existing)
        return grouped(rows, limits, zones)

    def _decide(self, group: Group) -> tuple[str | None, list[Decision]]:
        def work(caller: Caller) -> tuple[str | None, list[Decision]]:
            created, refusal = self._create(group, caller)
            if refusal is not None:
                return None, [self._tell(Decision(row, refusal=refusal)) for row in group.rows]
            decisions = [self._tell(self._book(row, caller)) for row in self._unless_stopped(group)]
            return created, _in_turn(decisions, caller)

        if self._plan.dry_run:
            return rehearse(self._engine, self._plan.schema, self._given_up, work)
        return work(Committed(self._engine, self._plan.schema, self._given_up))

    def _unless_stopped(self, group: Group) -> Iterator[Row]:
        for row in group.rows:
            if self._given_up.is_set():
                raise _GivenUp
            yield row

    def _tell(self, decision: Decision) -> Decision:
        self._on_row()
        return decision

    def _create(self, group: Group, caller: Caller) -> tuple[str | None, SlotwardenError | None]:
        channel = group.new_channel
        if channel is None or not self._plan.create_channels:
            return None, None
        zone = self._plan.time_zone
        try:
            caller.do(lambda scheduler: scheduler.create_channel(channel, time_zone=zone))
        except InvalidArgument as error:
            try:
                caller.do(lambda scheduler: scheduler.daily_status(channel=channel))
            except (UnknownChannel, InvalidArgument):
                return None, error
            # Somebody else has created it meanwhile.
            return None, None
        return channel, None

    def _book(self, row: Row, caller: Caller) -> Decision:
        try:
            held = caller.do(booking(row, video=row.video, key=row.request_key))
        except _NOT_ABOUT_THE_ROW:
            raise
        except SlotwardenError as error:
            return Decision(row, refusal=error)
        if held.upload_status not in _HOLDING:
            # A person took it back; an import does not know better.
            return Decision(row, refusal=_given_back(held))
        return Decision(row, held, before=held.created_at < self._began)


def _given_back(reservation: Reservation) -> IllegalTransition:
    number, status = reservation.reservation_id, reservation.upload_status
    return IllegalTransition(
        f"an earlier run booked it as reservation {number}, which is {status} since",
        detail={"reservation_id": number, "status": str(status)},
        hint="Reserve the slot again by hand if that is wanted.",
    )


def _in_turn(decisions: Sequence[Decision], caller: Caller) -> list[Decision]:
    """Give refused rows the reason that they were refused for in their turn.

    A later run finds in the way what an earlier one booked for rows that come after: a row that
    was refused for a daily limit would now be told that its slot is taken.
    """
    turns: Mapping[int, int] = {
        decision.reservation.reservation_id: turn
        for turn, decision in enumerate(decisions)
        if decision.reservation is not None
    }
    told = []
    for turn, decision in enumerate(decisions):
        refusal = decision.refusal
        if isinstance(refusal, SlotTaken | VideoAlreadyBooked):
            refusal = _reason_in_turn(decision.row, refusal, turn, turns, caller)
        told.append(Decision(decision.row, decision.reservation, decision.before, refusal))
    return told


def _reason_in_turn(
    row: Row,
    refusal: SlotTaken | VideoAlreadyBooked,
    turn: int,
    turns: Mapping[int, int],
    caller: Caller,
) -> SlotwardenError:
    """Ask again as if what was booked for later rows were not there; nothing is booked."""
    video: str | None = row.video
    slot = row.slot
    others = _minutes_nearby(slot)
    reason: SlotwardenError = refusal
    while True:
        if isinstance(reason, VideoAlreadyBooked) and _is_later(reason, turn, turns):
            video = None
        elif (isinstance(reason, SlotTaken) and _is_later(reason, turn, turns)) or (
            # Another minute only stands in for the row's own: what is wrong with it is no reason.
            slot != row.slot and isinstance(reason, SlotTaken | SlotInPast | BlackedOut)
        ):
            free = next(others, None)
            if free is None:
                return refusal
            slot = free
        else:
            return reason
        try:
            caller.probe(booking(row, slot=slot, video=video))
        except BookingRefused as error:
            reason = error
        else:
            # Nothing else speaks against it: in its turn the row was not there yet.
            return refusal


def _is_later(refusal: SlotTaken | VideoAlreadyBooked, turn: int, turns: Mapping[int, int]) -> bool:
    holder = refusal.reservation_id
    return holder is not None and turns.get(holder, -1) > turn


def _minutes_nearby(slot: dt.datetime) -> Iterator[dt.datetime]:
    """Yield the other minutes of the same quarter of an hour, which count on the same days."""
    first = slot.minute - slot.minute % _MINUTES_OF_ONE_DAY
    for minute in range(first, first + _MINUTES_OF_ONE_DAY):
        if minute != slot.minute:
            yield slot.replace(minute=minute)
