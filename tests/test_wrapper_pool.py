"""A call through an engine asks the driver itself, and is a call through its pool all the same."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg2.extensions import cursor as PgCursor  # noqa: N812
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from slotwarden import InvalidArgument, OutcomeUnknown, Scheduler, SlotTaken
from slotwarden.database import create_engine
from wrapper_relay import Relay

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
ELEVEN = dt.time(11)


@pytest.fixture(params=["psycopg2", "psycopg"])
def driver_url(request: pytest.FixtureRequest, database_url: str) -> str:
    return database_url.replace("postgresql:", f"postgresql+{request.param}:")


@pytest.fixture
def mine(driver_url: str) -> Iterator[Engine]:
    made = create_engine(driver_url)
    yield made
    made.dispose()


def _use_three_connections(engine: Engine) -> None:
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        connection.close()


def test_a_listener_learns_of_each_statement(mine: Engine) -> None:
    scheduler = Scheduler(mine)
    scheduler.reserve_slot(DAY, "final", TEN)
    heard: list[str] = []

    @event.listens_for(mine, "before_cursor_execute")
    def hear(*arguments: Any) -> None:
        heard.append(arguments[2])

    assert scheduler.reserve_slot(DAY, "final", ELEVEN).version == 1
    assert len(heard) == 1
    assert ".reserve_slot(p_date => " in heard[0]
    with mine.connect() as connection:
        assert connection.scalar(text("select count(*) from slotwarden.reservation")) == 2


def test_a_listener_to_errors_learns_of_a_refusal(mine: Engine) -> None:
    scheduler = Scheduler(mine)
    scheduler.reserve_slot(DAY, "final", TEN)
    heard: list[BaseException] = []

    @event.listens_for(mine, "handle_error")
    def hear(context: Any) -> None:
        heard.append(context.original_exception)

    with pytest.raises(SlotTaken):
        scheduler.reserve_slot(DAY, "final", TEN)
    assert len(heard) == 1


def test_a_log_of_statements_has_them_all(mine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(mine)
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"):
        scheduler.reserve_slot(DAY, "final", TEN)
    assert any(".reserve_slot(p_date => " in message for message in caplog.messages)


def test_a_listener_to_the_pool_learns_of_each_call(mine: Engine) -> None:
    heard: list[str] = []
    event.listen(mine, "checkout", lambda *_: heard.append("out"))
    event.listen(mine, "checkin", lambda *_: heard.append("in"))
    scheduler = Scheduler(mine)
    heard.clear()
    scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(SlotTaken):
        scheduler.reserve_slot(DAY, "final", TEN)
    # The first opens the pool's connection, over which SQLAlchemy itself looks around.
    assert heard[-4:] == ["out", "in", "out", "in"]


def test_a_refusal_gives_the_connection_back_as_it_was(mine: Engine) -> None:
    scheduler = Scheduler(mine)
    scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(SlotTaken):
        scheduler.reserve_slot(DAY, "final", TEN)
    assert (mine.pool.checkedin(), mine.pool.checkedout()) == (1, 0)  # type: ignore[attr-defined]
    with mine.connect() as connection:
        connection.execute(text("create temporary table t ()"))
        connection.rollback()
        assert connection.scalar(text("select to_regclass('t')")) is None


@pytest.mark.parametrize("hidden", [False, True])
def test_what_is_not_ours_has_its_statement_and_hides_what_it_must(
    driver_url: str, hidden: bool
) -> None:
    mine = create_engine(driver_url, hide_parameters=hidden)
    with pytest.raises(DBAPIError, match='schema "elsewhere" does not exist') as caught:
        Scheduler(mine, schema="elsewhere").reserve_slot(DAY, "final", TEN, video="a secret")
    error = caught.value
    assert type(error).__name__ == "ProgrammingError"
    assert error.statement is not None
    assert ".reserve_slot(p_date => " in error.statement
    assert ("a secret" in str(error)) is not hidden
    assert error.__cause__ is error.orig
    assert not error.connection_invalidated
    mine.dispose()


def test_a_lost_connection_takes_the_idle_ones_with_it(driver_url: str) -> None:
    with Relay(driver_url) as relay:
        mine = create_engine(relay.url.set(drivername=make_url(driver_url).drivername))
        scheduler = Scheduler(mine)
        scheduler.calendar()
        _use_three_connections(mine)
        assert mine.pool.checkedin() == 3  # type: ignore[attr-defined]
        relay.cut_after("reserve_slot")
        with pytest.raises(OutcomeUnknown):
            scheduler.reserve_slot(DAY, "final", TEN)
        assert (mine.pool.checkedin(), mine.pool.checkedout()) == (0, 0)  # type: ignore[attr-defined]
        with pytest.raises(SlotTaken):
            scheduler.reserve_slot(DAY, "final", TEN)
        mine.dispose()


class _Interrupted(PgCursor):  # type: ignore[misc]
    """Where the user presses Ctrl+C while the booking is on its way."""

    def execute(self, statement: Any, values: Any = None) -> None:
        super().execute(statement, values)
        if b".reserve_slot(" in self.query:
            raise KeyboardInterrupt


def test_an_interrupted_call_leaves_no_connection_in_doubt(database_url: str) -> None:
    mine = create_engine(database_url, connect_args={"cursor_factory": _Interrupted})
    scheduler = Scheduler(mine)
    scheduler.calendar()
    with mine.connect() as connection:
        before = connection.scalar(text("select pg_backend_pid()"))
    with pytest.raises(KeyboardInterrupt):
        scheduler.reserve_slot(DAY, "final", TEN)
    assert mine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with mine.connect() as connection:
        assert connection.scalar(text("select pg_backend_pid()")) != before
    mine.dispose()


def test_threads_that_share_one_connection_are_refused(driver_url: str) -> None:
    mine = create_engine(driver_url, poolclass=StaticPool)
    with pytest.raises(InvalidArgument, match="share one connection") as caught:
        Scheduler(mine)
    assert caught.value.hint
    with mine.begin() as connection:
        assert Scheduler(connection).reserve_slot(DAY, "final", TEN).version == 1
    mine.dispose()


@pytest.mark.parametrize(
    "options", [{"stream_results": True}, {"yield_per": 1}, {"no_parameters": True}]
)
def test_the_applications_execution_options_change_no_call(
    driver_url: str, options: dict[str, Any]
) -> None:
    mine = create_engine(driver_url, execution_options=options)
    event.listen(mine, "before_cursor_execute", lambda *_: None)
    scheduler = Scheduler(mine)
    scheduler.reserve_slot(DAY, "final", TEN)
    scheduler.reserve_slot(DAY, "final", ELEVEN)
    with pytest.raises(SlotTaken):
        scheduler.reserve_slot(DAY, "final", TEN)
    assert [entry.local_time for entry in scheduler.calendar(DAY, 1)] == [TEN, ELEVEN]
    for level in ("AUTOCOMMIT", "READ COMMITTED"):
        with mine.connect() as connection:
            connection.execution_options(isolation_level=level)
            assert len(Scheduler(connection).calendar(DAY, 1)) == 2
            with pytest.raises(SlotTaken):
                Scheduler(connection).reserve_slot(DAY, "final", TEN)
    mine.dispose()


@pytest.mark.parametrize("watched", [False, True])
def test_a_call_without_arguments_sends_its_percent_signs_as_they_are_meant(
    driver_url: str, watched: bool
) -> None:
    mine = create_engine(driver_url, execution_options={"no_parameters": True})
    if watched:
        event.listen(mine, "before_cursor_execute", lambda *_: None)
    with mine.begin() as connection:
        connection.exec_driver_sql(
            """
            create schema "100%";
            create function "100%".list_channels() returns table (
              channel_id text, time_zone text, upload_lead interval, video_types text[],
              created_at timestamptz
            )
            language sql as $$ select * from slotwarden.list_channels() $$;
            """
        )
    (entry,) = Scheduler(mine, schema="100%").list_channels()
    assert entry.channel_id == "default"
    mine.dispose()
