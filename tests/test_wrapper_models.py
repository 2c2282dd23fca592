"""Results: typed, frozen, aware, and independent of the session and of newer columns."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pickle
import uuid
from decimal import Decimal

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from slotwarden import (
    ChargeRule,
    CountedAt,
    DailyLimit,
    LimitDay,
    Reservation,
    Scheduler,
    UploadStatus,
    UsageChange,
    VideoType,
)

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
TEN = dt.time(10)
AT_TEN = dt.datetime.combine(DAY, TEN, dt.UTC)


@pytest.fixture
def scheduler(engine: Engine) -> Scheduler:
    return Scheduler(engine)


def _run(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_a_reservation(scheduler: Scheduler) -> None:
    scheduler.set_channel(time_zone="Asia/Seoul", upload_lead=dt.timedelta(hours=2))
    booked = scheduler.reserve_slot(DAY, "final", TEN, video="v")
    assert booked.scheduled_publish_time == AT_TEN - dt.timedelta(hours=9)
    assert booked.upload_time == booked.scheduled_publish_time - dt.timedelta(hours=2)
    assert (booked.channel_id, booked.video_type, booked.video_path) == ("default", "final", "v")
    assert (booked.local_date, booked.time_zone) == (DAY, "Asia/Seoul")
    assert booked.upload_status is UploadStatus.SCHEDULED
    assert (booked.attempt, booked.version, booked.lease_token) == (1, 1, None)
    assert booked.local_publish_time.replace(tzinfo=None) == dt.datetime.combine(DAY, TEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        booked.version = 2  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(booked)) == booked  # noqa: S301


def test_instants_are_utc_whatever_the_sessions_zone(database_url: str) -> None:
    options = "options=-ctimezone%3DAsia/Kathmandu%20-cdatestyle%3DGerman"
    with Scheduler(f"{database_url}&{options}") as scheduler:
        at_ten = dt.datetime.combine(DAY, TEN, dt.timezone(dt.timedelta(hours=2)))
        booked = scheduler.reserve_slot_at(at_ten, "final")
        assert booked.scheduled_publish_time == at_ten
        assert booked.scheduled_publish_time.tzinfo is dt.UTC
        assert booked.created_at.tzinfo is dt.UTC
        (entry,) = scheduler.calendar(DAY, 1)
        assert (entry.day, entry.local_time) == (DAY, dt.time(8))


def test_a_lease_is_an_aware_time_and_a_uuid(scheduler: Scheduler, engine: Engine) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
    _run(
        engine,
        "update slotwarden.reservation set upload_status = 'uploading',"
        " lease_token = gen_random_uuid(), lease_expires_at = now()",
    )
    started = scheduler.reserve_slot(DAY, "final", TEN, request_key="k")
    assert started.reservation_id == booked.reservation_id
    assert started.upload_status is UploadStatus.UPLOADING
    assert isinstance(started.lease_token, uuid.UUID)
    assert started.lease_expires_at is not None
    assert started.lease_expires_at.tzinfo is dt.UTC
    assert json.loads(json.dumps(started.to_dict()))["lease_token"] == str(started.lease_token)


def test_daily_status(scheduler: Scheduler) -> None:
    scheduler.reserve_slot(DAY, "final", TEN)
    status = {each.limit_id: each for each in scheduler.daily_status(DAY)}
    final, units = status["final"], status["api_units"]
    assert (final.used_units, final.max_units, final.remaining_units) == (1, 2, 1)
    assert (final.counted_at, units.counted_at) == (CountedAt.PUBLISH, CountedAt.UPLOAD)
    assert (final.used_percent, units.used_percent) == (Decimal(50), Decimal(16))
    assert (final.time_zone, units.time_zone) == ("UTC", "America/Los_Angeles")
    assert final.resets_at == dt.datetime.combine(DAY + dt.timedelta(days=1), dt.time(), dt.UTC)
    assert not final.overridden
    assert scheduler.daily_status()[0].day <= dt.datetime.now(dt.UTC).date()


def test_the_calendar_and_cancelling(scheduler: Scheduler) -> None:
    later = scheduler.reserve_slot(DAY, "short", dt.time(18))
    first = scheduler.reserve_slot(DAY, "final", TEN, video="v")
    shown = scheduler.calendar(DAY, 1)
    assert [each.reservation_id for each in shown] == [first.reservation_id, later.reservation_id]
    assert (shown[0].publish_time, shown[0].video_path) == (AT_TEN, "v")
    gone = scheduler.cancel_reservation(later.reservation_id, expected_version=later.version)
    assert gone.upload_status is UploadStatus.CANCELLED
    assert scheduler.cancel_reservation(later.reservation_id) == gone
    assert len(scheduler.calendar(DAY)) == 1


def test_administration(scheduler: Scheduler, engine: Engine) -> None:
    made = scheduler.create_channel(
        "other",
        time_zone="Asia/Seoul",
        upload_lead=dt.timedelta(days=1),
        share_limits=["api_units"],
    )
    assert (made.channel_id, made.time_zone, made.upload_lead) == (
        "other",
        "Asia/Seoul",
        dt.timedelta(days=1),
    )
    other = Scheduler(engine, channel="other")
    assert {each.limit_id for each in other.daily_status()} == {
        "other/final",
        "other/short",
        "api_units",
    }
    assert other.set_channel(upload_lead=dt.timedelta(0)).time_zone == "Asia/Seoul"
    assert other.add_video_type("teaser") == VideoType("other", "teaser")
    assert scheduler.set_daily_limit(
        "uploads", max=100, counted_at=CountedAt.UPLOAD, time_zone="channel", warn_percent=90
    ) == DailyLimit("uploads", 100, None, CountedAt.UPLOAD, 90)
    assert other.set_charge("teaser", "uploads", 1) == ChargeRule("other", "teaser", "uploads", 1)
    assert other.set_charge("teaser", "uploads", 0).units == 0
    assert scheduler.override_day("short", DAY, 0) == LimitDay("short", DAY, 0, overridden=True)
    assert scheduler.override_day("short", DAY, None) == LimitDay("short", DAY, 5, overridden=False)


def test_recalculation_says_what_it_would_change_and_then_does(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    scheduler.set_charge("final", "api_units", 100)
    assert scheduler.recalculate_usage(DAY, DAY) == []
    would = scheduler.recalculate_usage(DAY, DAY, recharge=True, dry_run=True)
    did = scheduler.recalculate_usage(DAY, DAY, recharge=True)
    assert would == did
    assert {each.reservation_id for each in did} == {booked.reservation_id}
    assert all(isinstance(each, UsageChange) for each in did)
    assert {each.limit_id: each.used_units for each in scheduler.daily_status(DAY)} == {
        "final": 1,
        "short": 0,
        "api_units": 100,
    }


def test_plain_values_for_json(scheduler: Scheduler) -> None:
    booked = scheduler.try_reserve_slot(DAY, "final", TEN)
    plain = json.loads(json.dumps(booked.to_dict()))
    assert plain["outcome"] == "reserved"
    assert plain["reservation"]["scheduled_publish_time"] == AT_TEN.isoformat()
    assert plain["reservation"]["local_date"] == DAY.isoformat()
    assert type(booked.to_dict()["outcome"]) is str
    (entry,) = scheduler.calendar(DAY, 1)
    assert entry.to_dict()["local_time"] == "10:00:00"
    assert type(entry.to_dict()["upload_status"]) is str
    assert scheduler.daily_status(DAY)[0].to_dict()["used_percent"] == 50.0
    made = scheduler.create_channel("other", upload_lead=dt.timedelta(minutes=1))
    assert made.to_dict()["upload_lead"] == 60.0


def test_records_of_lists_have_a_hash_and_are_lists_for_json(scheduler: Scheduler) -> None:
    (channel,) = scheduler.list_channels()
    assert channel.video_types == ("final", "short")
    assert {channel} == set(scheduler.list_channels())
    assert channel.to_dict()["video_types"] == ["final", "short"]
    scheduler.set_posting_times([TEN])
    setting = scheduler.langflix_settings()[0]
    assert setting.posting_times == ("10:00",)
    assert setting in set(scheduler.langflix_settings())


def test_columns_of_a_newer_schema_are_ignored(scheduler: Scheduler, engine: Engine) -> None:
    _run(engine, "alter table slotwarden.reservation add column mood text default 'good'")
    assert scheduler.reserve_slot(DAY, "final", TEN).version == 1
    assert scheduler.try_reserve_slot(DAY, "final", dt.time(11)).reserved


def test_a_column_that_an_older_schema_lacks_fails_before_anything_happens(
    engine: Engine,
) -> None:
    _run(
        engine,
        """
        create schema older;
        create table older.called (at timestamptz);
        create function older.cancel_reservation(p_reservation_id bigint, p_expected_version int)
        returns table (reservation_id bigint) language sql
        as $$ insert into older.called values (now()) returning 1 $$;
        """,
    )
    with pytest.raises(DBAPIError, match=r"column result\.channel_id does not exist"):
        Scheduler(engine, schema="older").cancel_reservation(1)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select from older.called").all() == []


def test_a_row_without_a_column_is_an_error() -> None:
    with pytest.raises(KeyError, match="units"):
        ChargeRule.from_row({"channel_id": "c", "video_type": "t", "limit_id": "l", "more": 1})
    assert Reservation.columns()[0] == "reservation_id"


@pytest.mark.parametrize(
    "schema", ['we"ird', "a:b", ":p_day", "a::b", r"a\:b", "100%", "%s", "Ä b", "select", "a'b"]
)
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_any_schema_name(engine: Engine, database_url: str, schema: str, driver: str) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"""
            create schema {quoted};
            create function {quoted}.add_video_type(p_type text, p_channel text)
            returns table (channel_id text, video_type text) language sql
            as $$ select p_channel, p_type $$;
            """.replace("%", "%%"),
            (),
        )
        connection.commit()
    url = database_url.replace("postgresql:", f"postgresql+{driver}:")
    with Scheduler(url, schema=schema) as scheduler:
        assert scheduler.add_video_type("teaser") == VideoType("default", "teaser")
