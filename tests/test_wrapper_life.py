"""The wrapper's methods for the whole life of a booking, over both drivers."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from slotwarden import (
    AvailableSlot,
    BlackedOut,
    BookingWish,
    CountedAt,
    DailyLimitReached,
    IllegalTransition,
    InvalidArgument,
    NonexistentLocalTime,
    NoSlotAvailable,
    PostingTime,
    Scheduler,
    SlotTaken,
    UploadStatus,
    UsageDay,
)

DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
NEXT = DAY + dt.timedelta(days=1)
TEN = dt.time(10)
ELEVEN = dt.time(11)
LEASE = dt.timedelta(minutes=5)


@pytest.fixture(params=["psycopg2", "psycopg"])
def scheduler(database_url: str, request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    with Scheduler(database_url.replace("postgresql:", f"postgresql+{request.param}:")) as made:
        yield made


def at(day: dt.date, time: dt.time) -> dt.datetime:
    return dt.datetime.combine(day, time, dt.UTC)


def test_the_next_free_slot(scheduler: Scheduler) -> None:
    free = scheduler.available_slots("final", DAY, 2)
    assert free[0] == AvailableSlot(DAY, TEN, at(DAY, TEN), "UTC")
    assert len(free) == 2
    booked = scheduler.reserve_next_slot("final", DAY, video="v", request_key="k")
    assert booked.scheduled_publish_time == free[0].publish_time
    assert scheduler.reserve_next_slot("final", DAY, video="v", request_key="k") == booked
    later = scheduler.reserve_next_slot("final", DAY - dt.timedelta(days=1), append=True)
    assert later.scheduled_publish_time == at(DAY, dt.time(14))
    with pytest.raises(NoSlotAvailable):
        scheduler.reserve_next_slot("final", DAY, horizon_days=1)


def test_a_move(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    moved = scheduler.reschedule_reservation(
        booked.reservation_id, NEXT, ELEVEN, expected_version=booked.version, request_key="k"
    )
    assert moved.reservation_id == booked.reservation_id
    assert moved.scheduled_publish_time == at(NEXT, ELEVEN)


def test_an_upload_that_fails_and_one_that_does_not(scheduler: Scheduler) -> None:
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    started = scheduler.start_upload(booked.reservation_id, lease=LEASE)
    assert started.lease_token is not None
    assert started.lease_expires_at is not None
    assert (
        scheduler.start_upload(
            scheduler.reserve_slot(DAY, "final", ELEVEN).reservation_id
        ).lease_expires_at
        is None
    )
    failed = scheduler.fail_upload(started.reservation_id, started.lease_token, "no network")
    assert (failed.upload_status, failed.error_message) == (UploadStatus.FAILED, "no network")

    retried = scheduler.retry_upload(
        failed.reservation_id, NEXT, TEN, expected_version=failed.version, request_key="k"
    )
    assert (retried.upload_status, retried.attempt) == (UploadStatus.SCHEDULED, 2)
    again = scheduler.start_upload(retried.reservation_id)
    with pytest.raises(IllegalTransition):
        scheduler.complete_upload(again.reservation_id, uuid.uuid4())
    assert again.lease_token is not None
    done = scheduler.complete_upload(again.reservation_id, again.lease_token, "yt")
    assert (done.upload_status, done.youtube_video_id) == (UploadStatus.COMPLETED, "yt")


def test_claims(scheduler: Scheduler) -> None:
    scheduler.set_channel(upload_lead=dt.timedelta(days=100))
    booked = scheduler.reserve_slot(DAY, "final", TEN)
    assert scheduler.claim_due_uploads(lease=LEASE, channel="default")[0].reservation_id == (
        booked.reservation_id
    )
    assert scheduler.claim_due_uploads(10) == []


def test_a_batch(scheduler: Scheduler) -> None:
    wishes = [
        BookingWish("final", date=DAY, time=ELEVEN, video="a", request_key="k"),
        BookingWish("final", publish_time=at(DAY, TEN).astimezone(ZoneInfo("Asia/Seoul"))),
        BookingWish("short", date=DAY, time=TEN, channel="default"),
    ]
    with pytest.raises(SlotTaken) as caught:
        scheduler.reserve_slots(wishes)
    assert caught.value.detail["item"] == 3
    assert scheduler.calendar(DAY) == []

    first, second, third = scheduler.reserve_slots(wishes, all_or_nothing=False)
    assert [each.item for each in (first, second, third)] == [1, 2, 3]
    assert first.reserved
    assert first.reservation is not None
    assert first.reservation.video_path == "a"
    assert second.reservation is not None
    assert second.reservation.scheduled_publish_time == at(DAY, TEN)
    assert second.refusal is None
    assert third.outcome == "SWTKN"
    assert isinstance(third.refusal, SlotTaken)
    assert third.refusal.reservation_id == second.reservation.reservation_id
    assert str(third.refusal) == third.message
    assert json.loads(json.dumps(first.to_dict()))["reservation"]["video_path"] == "a"


def test_a_batch_takes_the_schedulers_channel(scheduler: Scheduler, engine: Engine) -> None:
    scheduler.create_channel("other")
    other = Scheduler(engine, channel="other")
    (one,) = other.reserve_slots([BookingWish("final", date=DAY, time=TEN)])
    assert one.reservation is not None
    assert one.reservation.channel_id == "other"
    assert other.reserve_slots([]) == []


def test_openings(scheduler: Scheduler) -> None:
    assert scheduler.set_posting_times([ELEVEN], iso_weekday=DAY.isoweekday()) == [
        PostingTime("default", ELEVEN, DAY.isoweekday())
    ]
    assert scheduler.set_posting_times([]) == []
    closed = scheduler.add_blackout(at(DAY, TEN), at(NEXT, TEN), "holidays")
    assert (closed.from_time, closed.to_time) == (at(DAY, TEN), at(NEXT, TEN))
    for_ever = scheduler.add_blackout(at(NEXT, TEN), None, "gone")
    assert (for_ever.to_time, for_ever.reason) == (None, "gone")
    with pytest.raises(BlackedOut) as caught:
        scheduler.reserve_slot(NEXT, "final", TEN)
    assert (caught.value.start, caught.value.end) == (at(NEXT, TEN), None)
    assert scheduler.list_blackouts() == [closed, for_ever]
    assert scheduler.list_blackouts(since=at(NEXT, TEN)) == [for_ever]
    assert scheduler.remove_blackout(for_ever.blackout_id) == for_ever
    assert scheduler.remove_blackout(for_ever.blackout_id) is None
    assert scheduler.reserve_slot(NEXT, "final", TEN).reservation_id


def test_usage(scheduler: Scheduler) -> None:
    recorded = scheduler.record_usage("api_units", 8000, DAY, note="a search")
    assert (recorded.limit_id, recorded.day, recorded.units) == ("api_units", DAY, 8000)
    assert recorded.note == "a search"
    with pytest.raises(DailyLimitReached):
        scheduler.record_usage("api_units", 8000, DAY)
    assert scheduler.usage_history(DAY, DAY, limit="api_units") == [
        UsageDay("api_units", CountedAt.UPLOAD, DAY, 8000, 10000, Decimal(80), False, 1)
    ]
    (warning,) = scheduler.quota_warnings(DAY)
    assert (warning.used_percent, warning.warn_percent) == (Decimal(80), Decimal(80))
    assert "api_units" in warning.message
    assert warning.resets_at.tzinfo is dt.UTC
    assert scheduler.quota_warnings(DAY, percent=80.5) == []
    assert len(scheduler.quota_warnings(DAY, 2, percent=0)) == 6


def test_quota_profiles(scheduler: Scheduler) -> None:
    rules = scheduler.apply_quota_profile("uploads-100", limit="our project")
    assert {(each.video_type, each.limit_id, each.units) for each in rules} == {
        ("final", "our project", 1),
        ("short", "our project", 1),
    }


def test_a_day_is_held_until_the_transaction_ends(engine: Engine) -> None:
    with engine.begin() as connection:
        (final, short, units) = sorted(
            Scheduler(connection).lock_day(DAY), key=lambda each: each.limit_id != "final"
        )
        assert (final.used_units, final.max_units) == (0, 2)
        assert {short.limit_id, units.limit_id} == {"short", "api_units"}
        held = connection.exec_driver_sql(
            "select day from slotwarden.limit_day for no key update skip locked"
        ).all()
        assert len(held) == 3
        with engine.connect() as other:
            assert (
                other.exec_driver_sql(
                    "select day from slotwarden.limit_day for no key update skip locked"
                ).all()
                == []
            )
    with Session(engine) as session:
        assert Scheduler(session).lock_day(DAY)


def test_a_day_is_not_held_where_each_call_commits_by_itself(
    engine: Engine, database_url: str
) -> None:
    with pytest.raises(InvalidArgument, match="needs a transaction"):
        Scheduler(engine).lock_day(DAY)
    with Scheduler(database_url) as made, pytest.raises(InvalidArgument):
        made.lock_day(DAY)
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(InvalidArgument) as caught,
    ):
        Scheduler(connection).lock_day(DAY)
    assert caught.value.hint
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select from slotwarden.limit_day").all() == []


# Nobody listens there: what gets past the checks is DatabaseUnavailable.
nowhere = Scheduler("postgresql:///none?host=/nonexistent")


@pytest.mark.parametrize(
    ("parameter", "wish"),
    [
        ("time", BookingWish("final", date=DAY, time=TEN.replace(tzinfo=dt.UTC))),
        ("time", BookingWish("final", date=DAY, time=TEN.replace(fold=1))),
        ("time", BookingWish("final", date=DAY, time="10:00+09")),  # type: ignore[arg-type]
        ("publish_time", BookingWish("final", publish_time=dt.datetime(2027, 3, 1, 12))),  # noqa: DTZ001
        ("date", BookingWish("final", date=at(DAY, TEN), time=TEN)),
        ("type", BookingWish(7, date=DAY, time=TEN)),  # type: ignore[arg-type]
        ("video", BookingWish("final", date=DAY, time=TEN, video="a\0")),
        ("requests", "a wish"),
    ],
)
def test_a_batch_is_refused_before_it_is_sent(parameter: str, wish: BookingWish) -> None:
    good = BookingWish("final", date=DAY, time=TEN)
    with pytest.raises(InvalidArgument) as caught:
        nowhere.reserve_slots([good, wish], all_or_nothing=False)
    assert caught.value.detail == {"parameter": parameter, "item": 2}
    assert str(caught.value).startswith("item 2: ")


def test_a_batch_with_a_time_that_its_zone_skips() -> None:
    skipped = dt.datetime(2027, 3, 14, 2, 30, tzinfo=ZoneInfo("America/New_York"))
    with pytest.raises(NonexistentLocalTime) as caught:
        nowhere.reserve_slots([BookingWish("final", publish_time=skipped)])
    assert caught.value.detail["item"] == 1


def test_arguments_of_the_wrong_kind() -> None:
    with pytest.raises(InvalidArgument) as caught:
        nowhere.complete_upload(1, str(uuid.uuid4()))  # type: ignore[arg-type]
    assert caught.value.parameter == "token"
    with pytest.raises(InvalidArgument) as caught:
        nowhere.set_posting_times([TEN.replace(tzinfo=dt.UTC)])
    assert caught.value.parameter == "times"
    with pytest.raises(InvalidArgument) as caught:
        nowhere.set_posting_times(TEN)  # type: ignore[arg-type]
    assert caught.value.parameter == "times"
    with pytest.raises(InvalidArgument) as caught:
        nowhere.quota_warnings(percent=float("nan"))
    assert caught.value.parameter == "percent"
    with pytest.raises(InvalidArgument) as caught:
        nowhere.add_blackout(dt.datetime(2027, 3, 1), None, "naive")  # noqa: DTZ001
    assert caught.value.parameter == "from"
    with pytest.raises(InvalidArgument) as caught:
        nowhere.add_blackout(at(DAY, TEN), "infinity", "text")  # type: ignore[arg-type]
    assert caught.value.parameter == "to"
