"""What an engine's scheduler repeats, and what nobody repeats."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.engine import Connection

from slotwarden import LockTimeout, Reservation, Scheduler, TransactionConflict
from wrapper_relay import Relay

T = TypeVar("T")
WaitUntilBlocked = Callable[[int], list[int]]

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
ELEVEN = dt.time(11)


def _pid(connection: Connection) -> int:
    return int(connection.scalar(text("select pg_backend_pid()")) or 0)


def _booked(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from slotwarden.reservation")) or 0)


def _drift(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(connection.execute(text("select * from slotwarden.usage_drift")))


class InBackground:
    """One call in a thread of its own, through an engine whose only backend is known."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg2"), pool_size=1, max_overflow=0
        )
        with self.engine.connect() as connection:
            self.pid = _pid(connection)
        self._threads = ThreadPoolExecutor(1)

    def run(self, call: Callable[[], T]) -> Future[T]:
        return self._threads.submit(call)

    def close(self) -> None:
        self._threads.shutdown()
        self.engine.dispose()


@pytest.fixture
def background(database_url: str) -> Iterator[Callable[[str], InBackground]]:
    """Open an `InBackground`; the argument is added to the URL."""
    opened: list[InBackground] = []

    def open_one(more: str = "") -> InBackground:
        opened.append(InBackground(database_url + more))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def _conflict_at_repeatable_read(
    engine: Engine,
    background: Callable[[str], InBackground],
    wait_until_blocked: WaitUntilBlocked,
    retries: int,
) -> Future[Reservation]:
    """Let a booking wait, with its snapshot taken, for another that then commits."""
    late = background("&options=-cdefault_transaction_isolation%3Drepeatable%5C%20read")
    with engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        scheduler = Scheduler(late.engine, retries=retries)
        call = late.run(lambda: scheduler.reserve_slot(DAY, "final", ELEVEN))
        assert wait_until_blocked(late.pid) == [_pid(connection)]
    return call


def test_a_conflict_is_repeated(
    engine: Engine,
    background: Callable[[str], InBackground],
    wait_until_blocked: WaitUntilBlocked,
) -> None:
    call = _conflict_at_repeatable_read(engine, background, wait_until_blocked, retries=3)
    assert call.result().version == 1
    assert _booked(engine) == 2
    assert _drift(engine) == []


def test_a_conflict_that_lasts_is_repeated_as_often_as_was_asked(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slotwarden.execution._LONGEST_PAUSE", 0)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            """
            create schema torn;
            create sequence torn.calls;
            create function torn.add_video_type(p_type text, p_channel text)
            returns table (channel_id text, video_type text) language plpgsql as $$
            begin
              perform nextval('torn.calls');
              raise serialization_failure;
            end $$;
            """
        )
    with (
        Scheduler(database_url, schema="torn", retries=1100) as scheduler,
        pytest.raises(TransactionConflict),
    ):
        scheduler.add_video_type("teaser")
    with engine.connect() as connection:
        assert connection.scalar(text("select last_value from torn.calls")) == 1101


def test_a_conflict_without_retries_is_raised(
    engine: Engine,
    background: Callable[[str], InBackground],
    wait_until_blocked: WaitUntilBlocked,
) -> None:
    call = _conflict_at_repeatable_read(engine, background, wait_until_blocked, retries=0)
    with pytest.raises(TransactionConflict) as caught:
        call.result()
    assert caught.value.sqlstate == "40001"
    assert caught.value.retryable
    assert _booked(engine) == 1


def test_a_callers_transaction_is_not_repeated(
    engine: Engine,
    background: Callable[[str], InBackground],
    wait_until_blocked: WaitUntilBlocked,
) -> None:
    late = background("")
    started = threading.Event()
    raised: list[BaseException] = []

    def book() -> None:
        with late.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("select 1"))
            started.set()
            try:
                Scheduler(connection).reserve_slot(DAY, "final", ELEVEN)
            except TransactionConflict as error:
                raised.append(error)
                assert connection.in_transaction()

    with engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        call = late.run(book)
        started.wait()
        wait_until_blocked(late.pid)
    call.result()
    assert len(raised) == 1
    assert _booked(engine) == 1


@pytest.mark.parametrize("retries", [3, 0])
def test_a_deadlock_is_a_conflict(
    engine: Engine,
    background: Callable[[str], InBackground],
    wait_until_blocked: WaitUntilBlocked,
    retries: int,
) -> None:
    # The call's own detector must be the first to look.
    late = background("&options=-cdeadlock_timeout%3D300")
    day = text("select from slotwarden.limit_day where limit_id = :limit and day = :day for update")
    Scheduler(engine).reserve_slot(DAY, "final", TEN)
    scheduler = Scheduler(late.engine, retries=retries)
    with engine.begin() as connection:
        connection.exec_driver_sql("set local deadlock_timeout = '20s'")
        first, second = connection.scalars(
            text("select limit_id from slotwarden.limit_day order by day, limit_id")
        )
        connection.execute(day, {"limit": second, "day": DAY})
        call = late.run(lambda: scheduler.reserve_slot(DAY, "final", ELEVEN))
        wait_until_blocked(late.pid)
        connection.execute(day, {"limit": first, "day": DAY})
    if retries:
        assert call.result().version == 1
    else:
        with pytest.raises(TransactionConflict) as caught:
            call.result()
        assert caught.value.sqlstate == "40P01"
    assert _booked(engine) == (2 if retries else 1)


def test_a_lock_timeout_is_not_repeated(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "alter function slotwarden.reserve_slot set lock_timeout = '100ms'"
        )
    with Relay(database_url) as relay, Scheduler(relay.url) as scheduler:
        scheduler.calendar()
        relay.messages.clear()
        with engine.begin() as connection:
            Scheduler(connection).reserve_slot(DAY, "final", TEN)
            with pytest.raises(LockTimeout) as caught:
                scheduler.reserve_slot(DAY, "final", ELEVEN)
        assert caught.value.retryable
        assert len(relay.messages) == 1
