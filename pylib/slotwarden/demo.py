"""Many callers fight over the slots of one week, in a schema that is made for it."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

import slotwarden
from slotwarden.audit import Audit, audit
from slotwarden.errors import translated_errors
from slotwarden.exceptions import SlotwardenError, TransactionConflict
from slotwarden.models import CalendarEntry
from slotwarden.scheduler import Scheduler

SCHEMA = "slotwarden_demo"
_MARK = "Made by slotwarden demo, which drops it when it runs again."
# Not the key that installing takes.
_LOCK = "select pg_try_advisory_lock(hashtext('slotwarden demo'))"
_UNLOCK = "select pg_advisory_unlock(hashtext('slotwarden demo'))"

# statement_timestamp() is when the statement arrived, created_at is read under the locks.
# Who is refused hundreds of times asks with try_, which looks for no free slot to offer instead.
_BOOK = """
select
  statement_timestamp() as arrived,
  (result.reservation).created_at as booked,
  result.outcome,
  result.detail
from slotwarden_demo.try_reserve_slot(
  p_date => :date, p_type => :type, p_time => :time, p_video => :video
) as result
"""

_RESERVED = "reserved"
_TYPES = ("final", "short")
# Half hours of the working day: few enough that callers meet in them.
_TIMES = tuple(dt.time(hour, minute) for hour in range(8, 22) for minute in (0, 30))
# The contested day is the third of its week; how many requests are for each day of it.
_WEIGHTS = (5, 15, 50, 15, 5, 5, 5)
_SAME_VIDEO = 0.05
_DAYS_AHEAD = 14
# Each caller tries its connection on a day of its own, where it meets nobody.
_LONG_AFTER = dt.date(9000, 1, 1)


class NotOurSchema(Exception):
    """The demo's schema is there, but the demo has not made it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one caller asks for."""

    date: dt.date
    video_type: str
    time: dt.time
    video: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a wish.

    Attributes
    ----------
    outcome : str
        ``reserved``, or a SQLSTATE.
    limit : str or None
        The limit that was reached.
    seconds : float
        From the call to its answer, as the caller sees it.
    locked_after : float or None
        Of a booking: seconds from the statement's arrival at the server until it was inserted,
        which takes the locks of its days: the wait for them, and two looks at the slot.
    """

    outcome: str
    limit: str | None
    seconds: float
    locked_after: float | None


@dataclass(frozen=True)
class Result:
    """What the demo shows."""

    first_day: dt.date
    callers: int
    seconds: float
    answers: Sequence[Answer]
    calendar: Sequence[CalendarEntry]
    audit: Audit

    @property
    def contested_day(self) -> dt.date:
        """The day that most of the wishes were for."""
        return self.first_day + dt.timedelta(days=_WEIGHTS.index(max(_WEIGHTS)))

    @cached_property
    def booked(self) -> list[Answer]:
        """The wishes that came true."""
        return [answer for answer in self.answers if answer.outcome == _RESERVED]

    @cached_property
    def turned_down(self) -> list[Answer]:
        """The wishes that did not."""
        return [answer for answer in self.answers if answer.outcome != _RESERVED]

    @cached_property
    def refused(self) -> dict[tuple[str, str | None], int]:
        """How many were refused, by SQLSTATE and limit, the most frequent first."""
        reasons = Counter((answer.outcome, answer.limit) for answer in self.turned_down)
        return dict(reasons.most_common())


def run_demo(
    engine: Engine,
    *,
    callers: int = 50,
    requests: int = 500,
    seed: int = 1,
    on_answer: Callable[[], None] | None = None,
) -> Result:
    """Let callers fight, then count what they got.

    Drops the schema `SCHEMA` and makes it anew; nothing else is touched. It stays afterwards, to be
    looked at.

    Parameters
    ----------
    engine : Engine
        With a pool of at least ``callers`` and one more.
    callers : int
        Threads, each with a connection of its own; they start together.
    requests : int
        Wishes, of all callers together.
    seed : int
        Decides the wishes; who wins is decided by the race.
    on_answer : callable, optional
        Called after each wish, from any thread.

    Raises
    ------
    NotOurSchema
        A schema of that name was not made by the demo; it is left alone.
    TransactionConflict
        Another demo is running on this database.
    """
    with translated_errors(schema=SCHEMA), _alone(engine) as connection:
        _fresh_schema(connection)
        slotwarden.migrations.upgrade(engine, schema=SCHEMA)
        first_day = _monday(connection)
        wishes = make_wishes(random.Random(seed), requests, first_day)  # noqa: S311
        answers, seconds = _fight(engine, wishes, callers, on_answer or (lambda: None))
        return Result(
            first_day=first_day,
            callers=callers,
            seconds=seconds,
            answers=answers,
            calendar=Scheduler(connection, schema=SCHEMA).calendar(first_day, len(_WEIGHTS)),
            audit=audit(connection, SCHEMA),
        )


def make_wishes(dice: random.Random, count: int, first_day: dt.date) -> list[Wish]:
    """Return wishes for a week: half of them for one day, some for the same video."""
    wishes: list[Wish] = []
    for number in range(count):
        day = dice.choices(range(len(_WEIGHTS)), weights=_WEIGHTS)[0]
        again = number > 0 and dice.random() < _SAME_VIDEO
        video = wishes[dice.randrange(number)].video if again else f"video-{number + 1:03}.mp4"
        wishes.append(
            Wish(
                first_day + dt.timedelta(days=day), dice.choice(_TYPES), dice.choice(_TIMES), video
            )
        )
    return wishes


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Give a connection that keeps other demos out until it is closed."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text(_LOCK)):
            raise TransactionConflict(
                "another demo is running on this database", hint="Wait until it has ended."
            )
        try:
            yield connection
        finally:
            # The lock is the session's, which the pool keeps. A lost session has lost it.
            with suppress(DBAPIError):
                connection.execute(text(_UNLOCK))


def _fresh_schema(connection: Connection) -> None:
    found = connection.execute(
        text(
            "select obj_description(oid, 'pg_namespace') as mark from pg_namespace"
            " where nspname = :schema"
        ),
        {"schema": SCHEMA},
    ).one_or_none()
    if found is not None and found.mark != _MARK:
        raise NotOurSchema(f"schema {SCHEMA} was not made by the demo, so it is left alone")
    # In one statement: a schema that is cut off here still carries its mark, or does not exist.
    connection.execute(
        text(
            f"do $$ begin drop schema if exists {SCHEMA} cascade; create schema {SCHEMA};"
            f" comment on schema {SCHEMA} is '{_MARK}'; end $$"
        )
    )


def _monday(connection: Connection) -> dt.date:
    today: dt.date = connection.scalar(text("select (now() at time zone 'utc')::date"))
    ahead = today + dt.timedelta(days=_DAYS_AHEAD)
    return ahead + dt.timedelta(days=-ahead.weekday() % 7)


def _warm_up(connection: Connection, statement: TextClause, number: int) -> None:
    """Let a new session load the functions, as those of an application's pool have."""
    day = _LONG_AFTER + dt.timedelta(days=number)
    values = {"date": day, "type": _TYPES[0], "time": _TIMES[0], "video": None}
    connection.execute(statement, values)
    connection.rollback()


def _fight(
    engine: Engine, wishes: Sequence[Wish], callers: int, on_answer: Callable[[], None]
) -> tuple[list[Answer], float]:
    began: list[float] = []
    start = threading.Barrier(callers, action=lambda: began.append(time.perf_counter()))
    given_up = threading.Event()
    statement = text(_BOOK)

    def answer(connection: Connection, wish: Wish) -> Answer:
        values = {
            "date": wish.date,
            "type": wish.video_type,
            "time": wish.time,
            "video": wish.video,
        }
        began = time.perf_counter()
        try:
            with translated_errors(schema=SCHEMA, commits=True):
                row = connection.execute(statement, values).one()
        except SlotwardenError as error:
            return Answer(error.sqlstate or "lost", None, time.perf_counter() - began, None)
        seconds = time.perf_counter() - began
        waited = None if row.booked is None else (row.booked - row.arrived).total_seconds()
        return Answer(row.outcome, (row.detail or {}).get("limit"), seconds, waited)

    def caller(number: int) -> list[Answer]:
        answers: list[Answer] = []
        try:
            with engine.connect() as connection:
                _warm_up(connection, statement, number)
                at_once = connection.execution_options(isolation_level="AUTOCOMMIT")
                start.wait()
                for wish in wishes[number::callers]:
                    if given_up.is_set():
                        break
                    answers.append(answer(at_once, wish))
                    on_answer()
        except BaseException:
            # Whoever waits for the others would wait for ever.
            start.abort()
            raise
        return answers

    with ThreadPoolExecutor(callers) as pool:
        try:
            done = [pool.submit(caller, number) for number in range(callers)]
            wait(done)
        except BaseException:
            given_up.set()
            start.abort()
            raise
        failures = [error for one in done if (error := one.exception()) is not None]
        for failure in failures:
            if not isinstance(failure, threading.BrokenBarrierError):
                raise failure
        seconds = time.perf_counter() - began[0]
        return [one for future in done for one in future.result()], seconds
