"""Whose transaction a call belongs to, and what is repeated."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from conftest import ServerAddress
from slotwarden import (
    Reservation,
    Scheduler,
    SlotTaken,
    UnknownChannel,
)
from wrapper_relay import Relay

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
ELEVEN = dt.time(11)


def _booked(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from slotwarden.reservation")) or 0)


def _drift(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(connection.execute(text("select * from slotwarden.usage_drift")))


def test_an_engine_commits_each_call(engine: Engine) -> None:
    Scheduler(engine).reserve_slot(DAY, "final", TEN)
    assert _booked(engine) == 1


def test_a_connections_rollback_takes_the_booking_back(engine: Engine) -> None:
    with engine.connect() as connection:
        booked = Scheduler(connection).reserve_slot(DAY, "final", TEN)
        assert booked.reservation_id
        assert _booked(engine) == 0
        connection.rollback()
    assert _booked(engine) == 0
    assert Scheduler(engine).daily_status(DAY)[0].used_units == 0
    assert _drift(engine) == []


def test_a_connections_commit_is_the_callers(engine: Engine) -> None:
    with engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        assert connection.in_transaction()
        assert _booked(engine) == 0
    assert _booked(engine) == 1


def test_after_an_error_the_transaction_is_the_callers_to_roll_back(engine: Engine) -> None:
    with engine.connect() as connection:
        scheduler = Scheduler(connection)
        scheduler.reserve_slot(DAY, "final", TEN)
        with pytest.raises(SlotTaken), connection.begin_nested():
            scheduler.reserve_slot(DAY, "final", TEN)
        scheduler.reserve_slot(DAY, "final", ELEVEN)
        connection.commit()
    assert _booked(engine) == 2


def test_try_reserve_slot_leaves_the_transaction_alive(engine: Engine) -> None:
    with engine.begin() as connection:
        scheduler = Scheduler(connection)
        first = scheduler.try_reserve_slot(DAY, "final", TEN)
        second = scheduler.try_reserve_slot(DAY, "final", TEN)
        third = scheduler.try_reserve_slot(DAY, "final", ELEVEN)
    assert [each.reserved for each in (first, second, third)] == [True, False, True]
    assert first.outcome == "reserved"
    assert first.refusal is None
    assert isinstance(first.reservation, Reservation)
    assert second.outcome == "SWTKN"
    assert isinstance(second.refusal, SlotTaken)
    assert second.refusal.reservation_id == first.reservation.reservation_id
    assert _booked(engine) == 2


@pytest.mark.parametrize("scoped", [False, True])
def test_a_session_is_joined(engine: Engine, scoped: bool) -> None:
    make = sessionmaker(engine)
    session: Session | scoped_session[Session] = scoped_session(make) if scoped else make()
    scheduler = Scheduler(session)
    scheduler.reserve_slot(DAY, "final", TEN)
    assert session.scalar(text("select count(*) from slotwarden.reservation")) == 1
    session.rollback()
    assert _booked(engine) == 0
    scheduler.reserve_slot(DAY, "final", TEN)
    session.commit()
    scheduler.reserve_slot(DAY, "final", ELEVEN)
    session.close()
    assert _booked(engine) == 1


def test_a_closed_connection_stays_sqlalchemys_error(engine: Engine) -> None:
    with engine.connect() as connection:
        pass
    with pytest.raises(InvalidRequestError):
        Scheduler(connection).calendar()


def test_one_booking_is_one_round_trip(database_url: str) -> None:
    # The application's engine as it comes, with other uses of its pool between.
    with Relay(database_url) as relay:
        engine = create_engine(relay.url)
        scheduler = Scheduler(engine)
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        relay.messages.clear()
        for hour in range(3):
            scheduler.try_reserve_slot(DAY, "final", dt.time(hour))
        assert len(relay.messages) == 3
        assert all(sent.startswith("select ") for sent in relay.messages)

        relay.messages.clear()
        with pytest.raises(UnknownChannel):
            scheduler.reserve_slot(DAY, "final", TEN, channel="nobody")
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        scheduler.calendar()
        sent = [message.split(" ")[0] for message in relay.messages]
        assert sent == ["select", "BEGIN", "select", "ROLLBACK", "select"]
        engine.dispose()


def test_one_booking_is_one_statement_in_the_servers_log(
    engine: Engine, server: ServerAddress
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"alter database {engine.url.database} set log_statement to 'all'"
        )
    engine.dispose()
    with engine.connect() as connection:
        pid = connection.scalar(text("select pg_backend_pid()"))
    log = Path(server.log_file)
    before = log.stat().st_size
    Scheduler(engine).reserve_slot(DAY, "final", TEN)
    with log.open(encoding="utf-8") as lines:
        lines.seek(before)
        logged = [line for line in lines if f"[{pid}]" in line]
    assert len(logged) == 1
    assert ".reserve_slot(p_date => " in logged[0]


def test_nothing_that_a_pooler_in_transaction_mode_would_lose(database_url: str) -> None:
    with Relay(database_url) as relay, Scheduler(relay.url) as scheduler:
        scheduler.calendar()
        relay.messages.clear()
        booked = scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
        scheduler.cancel_reservation(booked.reservation_id)
        scheduler.daily_status()
        # Parse and Bind would be a prepared statement, SET a session's state.
        assert len(relay.messages) == 3
        assert all(sent.startswith("select ") for sent in relay.messages)


def test_the_applications_own_isolation_level_is_left_as_it_was(database_url: str) -> None:
    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    engine = create_engine(url, isolation_level="SERIALIZABLE", pool_size=1, max_overflow=0)
    Scheduler(engine).reserve_slot(DAY, "final", TEN)
    with engine.connect() as connection:
        assert connection.scalar(text("show transaction_isolation")) == "serializable"
        connection.execute(text("create temporary table t ()"))
        connection.rollback()
        assert connection.scalar(text("select to_regclass('t')")) is None
    engine.dispose()
