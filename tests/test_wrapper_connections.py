"""A database that is down, and a connection that is lost: never an assumption."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.engine.interfaces import IsolationLevel

from slotwarden import (
    DatabaseUnavailable,
    InvalidArgument,
    OutcomeUnknown,
    Reservation,
    Scheduler,
    SlotTaken,
    migrations,
    normalise_url,
    translated_errors,
)
from slotwarden.database import create_engine as slotwarden_engine
from wrapper_relay import Relay

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
ELEVEN = dt.time(11)

WaitUntilBlocked = Callable[[int], list[int]]


def _booked(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from slotwarden.reservation")) or 0)


def test_no_server_there() -> None:
    scheduler = Scheduler("postgresql:///none?host=/nonexistent")
    for call in (scheduler.calendar, lambda: scheduler.reserve_slot(DAY, "final", TEN)):
        with pytest.raises(DatabaseUnavailable) as caught:
            call()
        assert caught.value.retryable
        assert "No such file" in caught.value.message


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        scheduler = Scheduler(f"postgresql://127.0.0.1:{port}/none")
        with pytest.raises(DatabaseUnavailable, match="refused"):
            scheduler.reserve_slot(DAY, "final", TEN)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("made", [str, slotwarden_engine])
def test_no_server_to_migrate(driver: str, made: Callable[[str], Engine | str]) -> None:
    database = made(f"postgresql+{driver}:///none?host=/nonexistent")
    calls: dict[str, Callable[[], object]] = {
        "upgrade": lambda: migrations.upgrade(database),
        "downgrade": lambda: migrations.downgrade(database, revision="base"),
        "current": lambda: migrations.current(database),
    }
    for call in calls.values():
        with pytest.raises(DatabaseUnavailable, match="No such file"):
            call()


def test_a_callers_connection_to_no_server() -> None:
    engine = create_engine("postgresql+psycopg2:///none?host=/nonexistent")
    with pytest.raises(DatabaseUnavailable), translated_errors(), engine.begin() as connection:
        Scheduler(connection).calendar()


def test_too_many_clients(engine: Engine, database_url: str) -> None:
    role = f"crowded_{make_url(database_url).database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create role {role} login connection limit 0")
    try:
        scheduler = Scheduler(make_url(database_url).set(username=role))
        with pytest.raises(DatabaseUnavailable, match="too many connections"):
            scheduler.reserve_slot(DAY, "final", TEN)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop role {role}")


class _Waiting:
    """A booking that waits for a lock, in a backend that is known."""

    def __init__(
        self, engine: Engine, wait_until_blocked: WaitUntilBlocked, call: Callable[[], Any]
    ) -> None:
        self._threads = ThreadPoolExecutor(1)
        with engine.connect() as connection:
            self.pid = connection.scalar(text("select pg_backend_pid()"))
        self.call: Future[Any] = self._threads.submit(call)
        assert isinstance(self.pid, int)
        wait_until_blocked(self.pid)


def _one_connection(url: str) -> Engine:
    return slotwarden_engine(url, pool_size=1, max_overflow=0)


def test_a_backend_killed_in_the_middle_of_a_call(
    engine: Engine, database_url: str, wait_until_blocked: WaitUntilBlocked
) -> None:
    mine = _one_connection(database_url)
    with engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        waiting = _Waiting(
            mine,
            wait_until_blocked,
            lambda: Scheduler(mine).reserve_slot(DAY, "final", ELEVEN, request_key="k"),
        )
        with engine.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid)"), {"pid": waiting.pid})
        with pytest.raises(OutcomeUnknown) as caught:
            waiting.call.result()
    error = caught.value
    # libpq gives the server's last words or the end of the connection, as it happens.
    assert error.sqlstate in ("57P01", None)
    assert (error.function, error.request_key) == ("reserve_slot", "k")
    assert error.retryable
    assert not isinstance(error, DatabaseUnavailable)
    assert _booked(engine) == 1
    assert Scheduler(mine).reserve_slot(DAY, "final", ELEVEN, request_key="k").version == 1
    assert _booked(engine) == 2
    mine.dispose()


def test_a_backend_killed_in_a_callers_transaction(
    engine: Engine, database_url: str, wait_until_blocked: WaitUntilBlocked
) -> None:
    mine = _one_connection(database_url)

    def book() -> Reservation:
        with mine.begin() as connection:
            return Scheduler(connection).reserve_slot(DAY, "final", ELEVEN)

    with engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        waiting = _Waiting(mine, wait_until_blocked, book)
        with engine.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid)"), {"pid": waiting.pid})
        with pytest.raises(DatabaseUnavailable):
            waiting.call.result()
    assert _booked(engine) == 1
    mine.dispose()


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_an_answer_that_is_lost_leaves_the_outcome_unknown_and_the_key_settles_it(
    engine: Engine, database_url: str, driver: str
) -> None:
    with Relay(database_url) as relay:
        mine = slotwarden_engine(relay.url.set(drivername=f"postgresql+{driver}"))
        scheduler = Scheduler(mine)
        scheduler.calendar()
        relay.cut_after("reserve_slot")
        with pytest.raises(OutcomeUnknown) as caught:
            scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
        assert (caught.value.sqlstate, caught.value.request_key) == (None, "k")
        assert caught.value.retryable
        assert caught.value.hint
        assert _booked(engine) == 1
        again = scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
        mine.dispose()
    assert [entry.reservation_id for entry in Scheduler(engine).calendar(DAY, 1)] == [
        again.reservation_id
    ]


def test_without_a_key_nobody_is_told_to_repeat(engine: Engine, database_url: str) -> None:
    with Relay(database_url) as relay, Scheduler(relay.url) as scheduler:
        scheduler.calendar()
        relay.cut_after("reserve_slot")
        with pytest.raises(OutcomeUnknown) as caught:
            scheduler.reserve_slot(DAY, "final", TEN)
        assert not caught.value.retryable
        assert caught.value.request_key is None
        with pytest.raises(SlotTaken):
            scheduler.reserve_slot(DAY, "final", TEN)
    assert _booked(engine) == 1


def test_reading_leaves_nothing_in_doubt(database_url: str) -> None:
    with Relay(database_url) as relay, Scheduler(relay.url) as scheduler:
        calls: dict[str, Callable[[], object]] = {
            "calendar": scheduler.calendar,
            "daily_status": scheduler.daily_status,
            "recalculate_usage": lambda: scheduler.recalculate_usage(DAY, DAY, dry_run=True),
        }
        for name, call in calls.items():
            call()
            relay.cut_after(name)
            with pytest.raises(DatabaseUnavailable):
                call()


def test_a_callers_own_commit_that_is_lost(engine: Engine, database_url: str) -> None:
    with Relay(database_url) as relay:
        mine = slotwarden_engine(relay.url)
        relay.cut_after("COMMIT")
        with pytest.raises(OutcomeUnknown), translated_errors(), mine.begin() as connection:
            Scheduler(connection).reserve_slot(DAY, "final", TEN)
        mine.dispose()
    assert _booked(engine) == 1


def test_a_callers_statement_that_is_lost_has_committed_nothing(
    engine: Engine, database_url: str
) -> None:
    with Relay(database_url) as relay:
        mine = slotwarden_engine(relay.url)
        relay.cut_after("reserve_slot")
        with pytest.raises(DatabaseUnavailable), mine.begin() as connection:
            Scheduler(connection).reserve_slot(DAY, "final", TEN)
        mine.dispose()
    assert _booked(engine) == 0


def test_a_callers_connection_in_autocommit_is_in_doubt(engine: Engine, database_url: str) -> None:
    with Relay(database_url) as relay:
        mine = slotwarden_engine(relay.url, isolation_level="AUTOCOMMIT")
        with mine.connect() as connection:
            scheduler = Scheduler(connection)
            scheduler.calendar()
            relay.cut_after("reserve_slot")
            with pytest.raises(OutcomeUnknown):
                scheduler.reserve_slot(DAY, "final", TEN)
        mine.dispose()
    assert _booked(engine) == 1


def test_connections_that_died_in_the_pool_are_replaced(engine: Engine, database_url: str) -> None:
    # As after a restart of the server: nothing had been sent, so nothing is in doubt.
    mine = slotwarden_engine(database_url, pool_size=3)
    scheduler = Scheduler(mine)
    connections = [mine.connect() for _ in range(3)]
    pids = [connection.scalar(text("select pg_backend_pid()")) for connection in connections]
    for connection in connections:
        connection.close()
    with engine.connect() as connection:
        gone = connection.execute(
            text("select bool_and(pg_terminate_backend(pid, 5000)) from unnest(:pids) as pid"),
            {"pids": pids},
        )
        assert gone.scalar_one()
    assert scheduler.reserve_slot(DAY, "final", TEN).version == 1
    mine.dispose()


@pytest.mark.parametrize("isolation_level", ["READ COMMITTED", "AUTOCOMMIT"])
def test_a_connection_that_the_driver_has_closed(
    engine: Engine, isolation_level: IsolationLevel
) -> None:
    with engine.connect() as connection:
        connection.execution_options(isolation_level=isolation_level)
        driver = connection.connection.dbapi_connection
        assert driver is not None
        scheduler = Scheduler(connection)
        scheduler.calendar()
        driver.close()
        with pytest.raises(DatabaseUnavailable):
            scheduler.reserve_slot(DAY, "final", TEN)


def test_a_connection_closed_in_the_pool_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
    driver.close()
    assert Scheduler(engine).reserve_slot(DAY, "final", TEN).version == 1


def test_text_that_the_connection_cannot_carry(database_url: str) -> None:
    with Scheduler(f"{database_url}&client_encoding=latin1") as scheduler:
        assert scheduler.reserve_slot(DAY, "final", TEN, video="é").video_path == "é"
        with pytest.raises(InvalidArgument, match="encoding"):
            scheduler.reserve_slot(DAY, "final", ELEVEN, video="日本語")


def test_a_scheduler_closes_only_its_own_connections(engine: Engine, database_url: str) -> None:
    count = text(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and application_name = 'slotwarden'"
    )
    with Scheduler(database_url) as scheduler:
        scheduler.calendar()
        with engine.connect() as connection:
            assert connection.scalar(count) == 1
    with Scheduler(engine) as scheduler:
        scheduler.calendar()
    assert engine.pool.status().startswith("Pool size: 5  Connections in pool: 1")


def test_psycopg_works_too(engine: Engine, database_url: str) -> None:
    url = normalise_url(database_url).set(drivername="postgresql+psycopg")
    with Scheduler(url) as scheduler:
        at_ten = dt.datetime.combine(DAY, TEN, dt.UTC)
        booked = scheduler.reserve_slot_at(at_ten, "final", video="v", request_key="k")
        with pytest.raises(SlotTaken) as caught:
            scheduler.reserve_slot(DAY, "short", TEN)
        assert caught.value.reservation_id == booked.reservation_id
        refused = scheduler.try_reserve_slot(DAY, "short", TEN)
        assert isinstance(refused.refusal, SlotTaken)
        made = scheduler.create_channel(
            "other", upload_lead=dt.timedelta(days=1), share_limits=["api_units"]
        )
        assert made.upload_lead == dt.timedelta(days=1)
        assert scheduler.cancel_reservation(booked.reservation_id).version == 2
        assert not scheduler.calendar(DAY)
        assert scheduler.recalculate_usage(DAY, DAY) == []
    assert _booked(engine) == 1


def test_another_driver_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="pysqlite"):
        Scheduler(create_engine("sqlite://"))
