"""Rows written directly through SQLAlchemy, and the exceptions of their constraints."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from slotwarden import Scheduler, errors
from slotwarden.errors import SlotwardenError, translate_error, translated_errors

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
AT_TEN = dt.datetime.combine(DAY, TEN, dt.UTC)


@pytest.fixture
def scheduler(engine: Engine) -> Scheduler:
    return Scheduler(engine)


def _execute(engine: Engine, sql: str, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql), values)


BOOKING = (
    "insert into slotwarden.reservation"
    " (channel_id, video_type, scheduled_publish_time, video_path)"
    " values ('default', 'final', :at, :video)"
)


@pytest.mark.parametrize(
    ("hours", "video", "kind"),
    [
        (0, "w", errors.SlotTaken),
        (1, "v", errors.VideoAlreadyBooked),
        (2, "x", errors.DailyLimitReached),
    ],
)
def test_direct_writes_meet_the_same_exceptions(
    scheduler: Scheduler, engine: Engine, hours: int, video: str, kind: type[SlotwardenError]
) -> None:
    scheduler.override_day("final", DAY, 1)
    scheduler.reserve_slot(DAY, "final", TEN, video="v")
    with pytest.raises(kind) as caught, translated_errors():
        _execute(engine, BOOKING, at=AT_TEN + dt.timedelta(hours=hours), video=video)
    assert caught.value.__cause__ is not None
    if isinstance(caught.value, errors.DailyLimitReached):
        assert caught.value.limit in ("final", None)


LEDGER = (
    "insert into slotwarden.usage_ledger (limit_id, day, version, units, used_units, max_units,"
    " reason, at, by) values ('final', :day, 1, :units, :units, 1, 'recalculate', now(), 'x')"
)


REQUEST = (
    "insert into slotwarden.request (request_key, function, arguments)"
    " values ('k', 'reserve_slot', '{}')"
)


@pytest.mark.parametrize(
    ("sql", "values", "kind"),
    [
        (LEDGER, {"units": 1}, errors.TransactionConflict),
        (LEDGER, {"units": 2}, errors.DailyLimitReached),
        (REQUEST, {}, errors.RequestKeyReused),
    ],
)
def test_constraints_of_the_other_tables(
    engine: Engine, sql: str, values: dict[str, Any], kind: type[SlotwardenError]
) -> None:
    with engine.connect() as connection:
        # Triggers would refuse these rows before the constraints see them.
        connection.exec_driver_sql("set local session_replication_role = replica")
        if kind is not errors.DailyLimitReached:
            connection.execute(text(sql), {"day": DAY, **values})
        with pytest.raises(kind) as caught, translated_errors():
            connection.execute(text(sql), {"day": DAY, **values})
    assert caught.value.detail == {}


def test_a_constraint_of_that_name_in_another_schema_is_not_ours(engine: Engine) -> None:
    _execute(engine, "create table public.request (k int constraint request_pkey primary key)")
    with pytest.raises(DBAPIError) as caught:
        _execute(engine, "insert into public.request values (1), (1)")
    assert translate_error(caught.value) is None
    assert isinstance(translate_error(caught.value, schema="public"), errors.RequestKeyReused)
