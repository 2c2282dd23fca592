"""Every SQLSTATE arrives as its exception with typed attributes; all else stays as it was."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from slotwarden import Scheduler, errors
from slotwarden.errors import SlotwardenError, translate_error, translated_errors

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
ELEVEN = dt.time(11)
AT_TEN = dt.datetime.combine(DAY, TEN, dt.UTC)


@pytest.fixture
def scheduler(engine: Engine) -> Scheduler:
    return Scheduler(engine)


def _execute(engine: Engine, sql: str, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql), values)


def test_swarg_of_the_server(scheduler: Scheduler) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        scheduler.reserve_slot(DAY, "final", dt.time(10, 0, 30))
    assert (caught.value.sqlstate, caught.value.parameter) == ("SWARG", "time")


def test_null_where_a_value_is_needed_is_for_the_server_to_refuse(scheduler: Scheduler) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        scheduler.reserve_slot(None, "final", TEN)  # type: ignore[arg-type]
    assert caught.value.parameter == "date"


def test_swchn(scheduler: Scheduler) -> None:
    with pytest.raises(errors.UnknownChannel) as caught:
        scheduler.reserve_slot(DAY, "final", TEN, channel="nobody")
    assert (caught.value.sqlstate, caught.value.channel) == ("SWCHN", "nobody")
    assert caught.value.hint


def test_swtyp(scheduler: Scheduler) -> None:
    with pytest.raises(errors.UnknownVideoType) as caught:
        scheduler.reserve_slot(DAY, "teaser", TEN)
    error = caught.value
    assert (error.sqlstate, error.channel, error.video_type) == ("SWTYP", "default", "teaser")


def test_swgap(scheduler: Scheduler) -> None:
    scheduler.set_channel(time_zone="America/New_York")
    # The second Sunday of March, two years on.
    march = dt.date(DAY.year + 2, 3, 1)
    skipped = march + dt.timedelta(days=(6 - march.weekday()) % 7 + 7)
    with pytest.raises(errors.NonexistentLocalTime) as caught:
        scheduler.reserve_slot(skipped, "final", dt.time(2, 30))
    error = caught.value
    assert (error.sqlstate, error.time_zone) == ("SWGAP", "America/New_York")
    assert (error.date, error.time) == (skipped, dt.time(2, 30))
    assert error.nearest == (
        dt.datetime.combine(skipped, dt.time(1, 59)),
        dt.datetime.combine(skipped, dt.time(3)),
    )


def test_swkey(scheduler: Scheduler) -> None:
    scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
    with pytest.raises(errors.RequestKeyReused) as caught:
        scheduler.reserve_slot(DAY, "final", ELEVEN, request_key="k")
    error = caught.value
    assert (error.sqlstate, error.request_key, error.function) == ("SWKEY", "k", "reserve_slot")


def test_swpst(scheduler: Scheduler) -> None:
    with pytest.raises(errors.SlotInPast) as caught:
        scheduler.reserve_slot(dt.date(2001, 1, 1), "final", TEN)
    error = caught.value
    assert error.sqlstate == "SWPST"
    assert error.publish_time == dt.datetime(2001, 1, 1, 10, tzinfo=dt.UTC)
    assert error.now is not None
    assert error.now > error.publish_time


@pytest.mark.parametrize("end", [AT_TEN + dt.timedelta(hours=1), None])
def test_swblk(scheduler: Scheduler, engine: Engine, end: dt.datetime | None) -> None:
    _execute(
        engine,
        "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
        " values ('default', :start, coalesce(:end, 'infinity'::timestamptz), 'holidays')",
        start=AT_TEN,
        end=end,
    )
    with pytest.raises(errors.BlackedOut) as caught:
        scheduler.reserve_slot(DAY, "final", TEN)
    error = caught.value
    assert (error.sqlstate, error.channel, error.reason) == ("SWBLK", "default", "holidays")
    assert (error.publish_time, error.start, error.end) == (AT_TEN, AT_TEN, end)


def test_swdup(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN, video="v")
    with pytest.raises(errors.VideoAlreadyBooked) as caught:
        scheduler.reserve_slot(DAY, "short", ELEVEN, video="v")
    error = caught.value
    assert (error.sqlstate, error.channel, error.video) == ("SWDUP", "default", "v")
    assert (error.reservation_id, error.publish_time) == (booked.reservation_id, AT_TEN)


def test_swtkn(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(errors.SlotTaken) as caught:
        scheduler.reserve_slot(DAY, "short", TEN)
    error = caught.value
    assert (error.sqlstate, error.channel, error.publish_time) == ("SWTKN", "default", AT_TEN)
    assert error.reservation_id == booked.reservation_id
    assert isinstance(error, errors.BookingRefused)
    assert not error.retryable
    assert error.__notes__ == [f"HINT: {error.hint}"]
    assert str(error) == error.message


def test_a_refusal_that_is_not_raised_says_the_same(scheduler: Scheduler) -> None:
    scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(errors.SlotTaken) as caught:
        scheduler.reserve_slot(DAY, "short", TEN)
    refused = scheduler.try_reserve_slot(DAY, "short", TEN)
    assert refused.message == caught.value.message
    assert isinstance(refused.refusal, errors.SlotTaken)
    assert str(refused.refusal) == refused.message
    assert refused.refusal.detail == caught.value.detail
    assert scheduler.try_reserve_slot(DAY, "short", ELEVEN).message is None


def test_swlim_of_a_limit_counted_at_publish(scheduler: Scheduler) -> None:
    scheduler.override_day("final", DAY, 1)
    scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(errors.DailyLimitReached) as caught:
        scheduler.reserve_slot(DAY, "final", ELEVEN)
    error = caught.value
    assert not isinstance(error, errors.QuotaExhausted)
    assert (error.sqlstate, error.limit, error.counted_at) == ("SWLIM", "final", "publish")
    assert (error.day, error.used, error.max, error.units) == (DAY, 1, 1, 1)
    assert error.version == scheduler.daily_status(DAY)[0].version


def test_swlim_of_a_limit_counted_at_upload(scheduler: Scheduler) -> None:
    scheduler.set_daily_limit("api_units", max=1599)
    with pytest.raises(errors.QuotaExhausted) as caught:
        scheduler.reserve_slot(DAY, "final", TEN)
    error = caught.value
    assert isinstance(error, errors.DailyLimitReached)
    assert (error.limit, error.counted_at) == ("api_units", "upload")
    assert (error.used, error.max, error.units) == (0, 1599, 1600)


def test_swnfd(scheduler: Scheduler) -> None:
    with pytest.raises(errors.ReservationNotFound) as caught:
        scheduler.cancel_reservation(2**62)
    assert (caught.value.sqlstate, caught.value.reservation_id) == ("SWNFD", 2**62)


def test_swnfd_of_a_key_whose_reservation_is_gone(scheduler: Scheduler, engine: Engine) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN, request_key="k").reservation_id
    scheduler.cancel_reservation(booked)
    _execute(engine, "delete from slotwarden.reservation where reservation_id = :id", id=booked)
    with pytest.raises(errors.ReservationNotFound) as caught:
        scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
    assert (caught.value.request_key, caught.value.video) == ("k", None)


def test_swnfd_of_a_video_and_of_an_import_conflict(scheduler: Scheduler) -> None:
    with pytest.raises(errors.ReservationNotFound) as caught:
        scheduler.record_upload("nobody's")
    assert (caught.value.video, caught.value.reservation_id) == ("nobody's", None)
    with pytest.raises(errors.ReservationNotFound) as caught:
        scheduler.rebook_import_conflict(2**62)
    assert (caught.value.import_conflict_id, caught.value.video) == (2**62, None)


def test_swnon(scheduler: Scheduler) -> None:
    for day in (DAY, DAY + dt.timedelta(days=1)):
        scheduler.override_day("final", day, 0)
    with pytest.raises(errors.NoSlotAvailable) as caught:
        scheduler.reserve_next_slot("final", DAY, horizon_days=2)
    error = caught.value
    assert (error.sqlstate, error.channel, error.video_type) == ("SWNON", "default", "final")
    assert (error.from_date, error.horizon_days) == (DAY, 2)


def test_swsta(scheduler: Scheduler, engine: Engine) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN).reservation_id
    _execute(
        engine,
        "update slotwarden.reservation set upload_status = 'uploading' where reservation_id = :id",
        id=booked,
    )
    with pytest.raises(errors.IllegalTransition) as caught:
        scheduler.cancel_reservation(booked)
    error = caught.value
    assert (error.sqlstate, error.reservation_id, error.status) == ("SWSTA", booked, "uploading")


def test_swver(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(errors.StaleVersion) as caught:
        scheduler.cancel_reservation(booked.reservation_id, expected_version=booked.version + 1)
    error = caught.value
    assert (error.sqlstate, error.reservation_id) == ("SWVER", booked.reservation_id)
    assert (error.version, error.expected_version) == (booked.version, booked.version + 1)


def _raised_by_server(engine: Engine, sqlstate: str, detail: str | None = None) -> DBAPIError:
    more = "" if detail is None else f", detail = $d${detail}$d$"
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.exec_driver_sql(
            f"do $b$ begin raise 'no' using errcode = '{sqlstate}', hint = 'go on'{more}; end $b$"
        )
    return caught.value


@pytest.mark.parametrize(
    ("sqlstate", "kind", "retryable"),
    [
        ("SWARG", errors.InvalidArgument, False),
        ("SWCHN", errors.UnknownChannel, False),
        ("SWTYP", errors.UnknownVideoType, False),
        ("SWGAP", errors.NonexistentLocalTime, False),
        ("SWKEY", errors.RequestKeyReused, False),
        ("SWPST", errors.SlotInPast, False),
        ("SWBLK", errors.BlackedOut, False),
        ("SWDUP", errors.VideoAlreadyBooked, False),
        ("SWTKN", errors.SlotTaken, False),
        ("SWLIM", errors.DailyLimitReached, False),
        ("SWNON", errors.NoSlotAvailable, False),
        ("SWNFD", errors.ReservationNotFound, False),
        ("SWSTA", errors.IllegalTransition, False),
        ("SWVER", errors.StaleVersion, False),
        ("55P03", errors.LockTimeout, True),
        ("40001", errors.TransactionConflict, True),
        ("40P01", errors.TransactionConflict, True),
        ("53300", errors.DatabaseUnavailable, True),
        ("57P03", errors.DatabaseUnavailable, True),
    ],
)
def test_each_sqlstate_has_its_class(
    engine: Engine, sqlstate: str, kind: type[SlotwardenError], retryable: bool
) -> None:
    error = translate_error(_raised_by_server(engine, sqlstate))
    assert type(error) is kind
    assert (error.sqlstate, error.retryable) == (sqlstate, retryable)
    if kind is not errors.DatabaseUnavailable:
        assert (error.message, error.hint, error.detail) == ("no", "go on", {})


@pytest.mark.parametrize("detail", ["", "no JSON", "[1]", '{"day": "someday", "used": []}', "{}"])
def test_an_odd_detail_hides_no_refusal(engine: Engine, detail: str) -> None:
    error = translate_error(_raised_by_server(engine, "SWLIM", detail))
    assert isinstance(error, errors.DailyLimitReached)
    assert (error.day, error.used, error.max, error.limit) == (None, None, None, None)


@pytest.mark.parametrize("sqlstate", ["22012", "25006", "25P02", "42501", "57014", "P0001"])
def test_what_is_not_ours_is_raised_untouched(engine: Engine, sqlstate: str) -> None:
    original = _raised_by_server(engine, sqlstate, '{"limit": "final"}')
    assert translate_error(original) is None
    with pytest.raises(DBAPIError) as caught, translated_errors():
        raise original
    assert caught.value is original


def test_a_statement_timeout_stays_sqlalchemys(database_url: str, engine: Engine) -> None:
    impatient = Scheduler(f"{database_url}&options=-cstatement_timeout%3D50")
    with impatient, engine.begin() as connection:
        Scheduler(connection).reserve_slot(DAY, "final", TEN)
        with pytest.raises(DBAPIError) as caught:
            impatient.reserve_slot(DAY, "final", ELEVEN)
    assert getattr(caught.value.orig, "pgcode", None) == "57014"


def test_a_schema_that_is_not_there_stays_sqlalchemys(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match='schema "elsewhere" does not exist'):
        Scheduler(engine, schema="elsewhere").calendar()


def test_errors_of_the_driver_itself(engine: Engine) -> None:
    raised = _raised_by_server(engine, "SWTKN", json.dumps({"reservation_id": 7}))
    assert raised.orig is not None
    error = translate_error(raised.orig)
    assert isinstance(error, errors.SlotTaken)
    assert error.reservation_id == 7
    assert translate_error(ValueError("x")) is None


def test_exceptions_survive_pickling(scheduler: Scheduler) -> None:
    scheduler.reserve_slot(DAY, "final", TEN)
    with pytest.raises(errors.SlotTaken) as caught:
        scheduler.reserve_slot(DAY, "short", TEN)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(again) is errors.SlotTaken
    assert (again.message, again.hint, again.sqlstate) == (
        caught.value.message,
        caught.value.hint,
        "SWTKN",
    )
    assert again.publish_time == AT_TEN
    assert again.__notes__ == caught.value.__notes__
