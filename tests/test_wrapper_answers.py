"""What a session's settings, or an application's own types, do to the answer of a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg2.extensions
import pytest
from psycopg.adapt import Loader
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DataError

from slotwarden import InvalidArgument, OutcomeUnknown, Scheduler
from slotwarden.database import create_engine

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
LEAD = dt.timedelta(days=40, hours=3, seconds=5, microseconds=7)

Way: TypeAlias = Callable[[Engine], Any]


@pytest.fixture(params=["psycopg2", "psycopg"])
def mine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url.replace("postgresql:", f"postgresql+{request.param}:"))
    yield made
    made.dispose()


@contextmanager
def _pooled(engine: Engine) -> Iterator[Engine]:
    yield engine


@contextmanager
def _watched(engine: Engine) -> Iterator[Engine]:
    event.listen(engine, "before_cursor_execute", lambda *_: None)
    yield engine


@contextmanager
def _autocommitting(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _joining(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


COMMITTING = pytest.mark.parametrize("way", [_pooled, _watched, _autocommitting])
EVERY_WAY = pytest.mark.parametrize("way", [_pooled, _watched, _autocommitting, _joining])


def _booked(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from slotwarden.reservation")) or 0)


@EVERY_WAY
@pytest.mark.parametrize("style", ["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
def test_a_duration_is_the_same_in_every_interval_style(mine: Engine, style: str, way: Way) -> None:
    @event.listens_for(mine, "connect")
    def set_style(connection: Any, _: Any) -> None:
        connection.cursor().execute(f"set intervalstyle = {style}")
        connection.commit()

    with way(mine) as target:
        scheduler = Scheduler(target)
        assert scheduler.create_channel("other", upload_lead=LEAD).upload_lead == LEAD
        entries = {each.channel_id: each for each in scheduler.list_channels()}
        assert entries["other"].upload_lead == LEAD


def test_a_year_of_a_lead_is_as_long_as_the_server_takes_them(mine: Engine) -> None:
    with mine.begin() as connection:
        connection.exec_driver_sql("update slotwarden.channel set upload_lead = '1 year 1 day'")
    (entry,) = Scheduler(mine).list_channels()
    assert entry.upload_lead == dt.timedelta(days=366, hours=6)


@EVERY_WAY
@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres"])
def test_a_date_style_that_drivers_cannot_read_is_refused_before_anything_is_sent(
    mine: Engine, engine: Engine, style: str, way: Way
) -> None:
    @event.listens_for(mine, "connect")
    def set_style(connection: Any, _: Any) -> None:
        connection.cursor().execute(f"set datestyle = {style}")
        connection.commit()

    with way(mine) as target:
        for call in (
            lambda: Scheduler(target).reserve_slot(DAY, "final", TEN),
            Scheduler(target).calendar,
        ):
            with pytest.raises(InvalidArgument, match=f"DateStyle is {style[:3]}") as caught:
                call()
            assert caught.value.hint
        if isinstance(target, Connection):
            target.exec_driver_sql("set datestyle = 'ISO, DMY'")
            assert Scheduler(target).calendar() == []
    assert _booked(engine) == 0


class _OddNumber(Loader):
    def load(self, data: Any) -> object:
        raise ValueError(f"odd number {bytes(data).decode()}")


def _odd_number(value: str | None, _: object) -> object:
    raise ValueError(f"odd number {value}")


def _read_numbers_oddly(engine: Engine, cast: Any = _odd_number) -> None:
    """Let an application read bigint in a way of its own, which fails."""

    @event.listens_for(engine, "connect")
    def register(connection: Any, _: Any) -> None:
        if engine.dialect.driver == "psycopg":
            connection.adapters.register_loader("int8", _OddNumber)
        else:
            kind = psycopg2.extensions.new_type((20,), "ODD", cast)
            psycopg2.extensions.register_type(kind, connection)


@COMMITTING
def test_a_booking_whose_answer_cannot_be_read_is_no_failure(
    mine: Engine, engine: Engine, way: Way
) -> None:
    _read_numbers_oddly(mine)
    with way(mine) as target:
        scheduler = Scheduler(target)
        with pytest.raises(OutcomeUnknown, match=r"was carried out.*odd number") as caught:
            scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
        assert (caught.value.function, caught.value.request_key) == ("reserve_slot", "k")
        assert isinstance(caught.value.__cause__, ValueError)
        assert _booked(engine) == 1
        with pytest.raises(ValueError, match="odd number"):
            scheduler.calendar(DAY, 1)
    assert mine.pool.checkedout() == 0  # type: ignore[attr-defined]


@COMMITTING
def test_so_it_is_when_the_driver_itself_complains(
    engine: Engine, database_url: str, way: Way
) -> None:
    def complain(value: str | None, _: object) -> object:
        raise psycopg2.DataError(f"odd number {value}")

    mine = create_engine(database_url)
    _read_numbers_oddly(mine, complain)
    with way(mine) as target:
        scheduler = Scheduler(target)
        with pytest.raises(OutcomeUnknown, match="odd number") as caught:
            scheduler.reserve_slot(DAY, "final", TEN)
        assert isinstance(caught.value.__cause__, DataError)
        assert _booked(engine) == 1
        with pytest.raises(DataError, match="odd number"):
            scheduler.calendar(DAY, 1)
    mine.dispose()


@COMMITTING
@pytest.mark.parametrize("mine", ["psycopg"], indirect=True)
def test_an_answer_that_is_no_record_is_no_failure_either(
    mine: Engine, engine: Engine, way: Way
) -> None:
    # With this encoding psycopg gives texts as bytes, of which none is a status.
    @event.listens_for(mine, "connect")
    def set_encoding(connection: Any, _: Any) -> None:
        connection.execute("set client_encoding to sql_ascii")
        connection.commit()

    with way(mine) as target, pytest.raises(OutcomeUnknown, match="b'scheduled'"):
        Scheduler(target).reserve_slot(DAY, "final", TEN)
    assert _booked(engine) == 1


def test_in_a_callers_transaction_nothing_is_in_doubt(mine: Engine, engine: Engine) -> None:
    _read_numbers_oddly(mine)
    with mine.connect() as connection:
        with pytest.raises(ValueError, match="odd number"):
            Scheduler(connection).reserve_slot(DAY, "final", TEN)
        connection.rollback()
    assert _booked(engine) == 0
