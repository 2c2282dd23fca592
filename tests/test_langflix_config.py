"""LangFlix's ScheduleConfig: what it refuses, and how the database is set to it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.orm import sessionmaker

from slotwarden import Scheduler
from slotwarden.langflix import ScheduleConfig, ScheduleConfigError, YouTubeScheduleManager
from support import ADMIN, APP

TWO_A_DAY = {"final": 1, "short": 1}


@pytest.fixture
def day() -> dt.date:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).date()


def manager(engine: Engine, **config: Any) -> YouTubeScheduleManager:
    return YouTubeScheduleManager(ScheduleConfig(**config), engine=engine)


def maxima(engine: Engine) -> dict[str, int | None]:
    rows = Scheduler(engine).langflix_settings()
    return {row.limit_id: row.max_units for row in rows if row.limit_id}


def test_the_defaults_are_langflixs() -> None:
    config = ScheduleConfig()
    assert config.daily_limits == {"final": 2, "short": 5}
    assert config.preferred_times == ["10:00", "14:00", "18:00"]
    assert (config.quota_limit, config.warning_threshold) == (10000, 80.0)
    assert (config.time_slots, config.slot_capacity, config.daily_max_total) == (None, 1, None)
    nothing = ScheduleConfig(daily_limits=None, preferred_times=None)  # type: ignore[arg-type]
    assert nothing == config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"warning_threshold": 100.1}, "warning_threshold must be between 0 and 100, got 100.1"),
        ({"warning_threshold": -1}, "warning_threshold must be between 0 and 100"),
        ({"warning_threshold": float("nan")}, "warning_threshold must be between 0 and 100"),
        ({"slot_capacity": 3}, "slot_capacity must be 1, got 3: a slot holds one video"),
        ({"slot_capacity": 0}, "slot_capacity must be 1"),
        ({"daily_max_total": 0}, "daily_max_total must be a whole number from 1, got 0"),
        ({"daily_limits": {"final": -1}}, "must be a whole number from 0, got -1"),
        ({"daily_limits": {"final": 1.5}}, "must be a whole number"),
        ({"daily_limits": {"finall": 1}}, "'finall', no video type"),
        ({"quota_limit": "10000"}, "quota_limit must be a whole number"),
        ({"preferred_times": ["10:00", "25:00"]}, "have '25:00', no time of day"),
        ({"time_slots": ["noon"]}, "have 'noon', no time of day"),
        ({"time_slots": ["10:00:30"]}, "no time of day"),
    ],
)
def test_what_cannot_be_is_a_value_error(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScheduleConfig(**config)


def test_the_database_is_set_to_a_configuration(engine: Engine, day: dt.date) -> None:
    made = manager(
        engine,
        daily_limits={"final": 3, "short": 4},
        preferred_times=["9:00"],
        time_slots=["20:30", "08:15", "20:30"],
        quota_limit=20000,
        daily_max_total=5,
    )
    # Nothing is touched before the first call.
    assert maxima(engine) == {"final": 2, "short": 5, "api_units": 10000}
    assert made.get_next_available_slot("final", day) == dt.datetime.combine(
        day, dt.time(8, 15), dt.UTC
    )
    assert maxima(engine) == {"final": 3, "short": 4, "api_units": 20000, "daily_total": 5}
    assert Scheduler(engine).langflix_settings()[0].posting_times == (
        "08:15",
        "20:30",
    )
    assert made.apply_config() == []
    assert made.config.time_slots == ["20:30", "08:15", "20:30"]


def test_what_is_changed_is_told(engine: Engine) -> None:
    made = manager(engine, daily_limits={"short": 7}, quota_limit=1600, daily_max_total=2)
    assert made.apply_config() == [
        "daily limit of short: 7, not 5",
        "quota: 1600 units, not 10000",
        "videos a day in total: 2, not no limit",
    ]
    assert manager(engine).apply_config() == [
        "daily limit of short: 5, not 7",
        "quota: 10000 units, not 1600",
        "videos a day in total: no limit, not 2",
    ]
    assert maxima(engine) == {"final": 2, "short": 5, "api_units": 10000}


def test_a_type_that_is_left_out_keeps_its_limit(engine: Engine) -> None:
    Scheduler(engine).set_daily_limit("short", max=8)
    assert manager(engine, daily_limits={"final": 3}).config.daily_limits == {
        "final": 3,
        "short": 8,
    }
    assert (maxima(engine)["final"], maxima(engine)["short"]) == (3, 8)


def test_a_total_holds_both_types(engine: Engine, day: dt.date) -> None:
    made = manager(engine, daily_max_total=2)
    times = [dt.datetime.combine(day, dt.time(hour)) for hour in (10, 14, 18)]
    assert made.schedule_video("/a", "final", times[0])[0]
    assert made.schedule_video("/b", "short", times[1])[0]
    assert made.schedule_video("/c", "short", times[2]) == (
        False, f"No remaining quota for short videos on {day}. Used: 2/2", None
    )  # fmt: skip
    assert (made.check_daily_quota(day).short_used, made.check_daily_quota(day).final_used) == (
        1,
        1,
    )


def test_without_a_configuration_the_databases_settings_hold(engine: Engine) -> None:
    scheduler = Scheduler(engine)
    scheduler.set_daily_limit("final", max=9)
    scheduler.set_daily_limit("api_units", max=5000, warn_percent=60)
    scheduler.set_posting_times([dt.time(7), dt.time(21, 45)])
    plain = YouTubeScheduleManager(engine=engine)
    assert plain.config == ScheduleConfig(
        daily_limits={"final": 9, "short": 5},
        preferred_times=["07:00", "21:45"],
        quota_limit=5000,
        warning_threshold=60.0,
    )
    assert plain.apply_config() == []
    scheduler.record_usage("api_units", 3000)
    assert plain.get_quota_warnings() == ["API quota usage is 60.0% (3000/5000)"]
    # The threshold of a configuration is the manager's own.
    own = ScheduleConfig(**{**vars(plain.config), "warning_threshold": 61.5})
    assert YouTubeScheduleManager(own, engine=engine).get_quota_warnings() == []
    stored = {row.limit_id: row.warn_percent for row in scheduler.langflix_settings()}
    assert stored["api_units"] == 60


def test_a_role_that_may_not_is_told_the_difference(engine: Engine, day: dt.date) -> None:
    def connected(role: str) -> Engine:
        url = make_url(engine.url).update_query_dict({"options": f"-c role={role}"})
        return create_engine(url)

    application, admin = connected(APP), connected(ADMIN)
    made = manager(application, daily_limits=TWO_A_DAY)
    with pytest.raises(ScheduleConfigError) as refused:
        made.schedule_video("/a", "final", dt.datetime.combine(day, dt.time(10)))
    assert refused.value.message == (
        "the configuration is not the database's, and this role may not change that:"
        " daily limit of final: 1, not 2; daily limit of short: 1, not 5"
    )
    assert isinstance(refused.value, ValueError)
    assert maxima(engine)["final"] == 2
    assert len(manager(admin, daily_limits=TWO_A_DAY).apply_config()) == 2
    # Once it is applied, everybody may have it.
    assert made.check_daily_quota(day).final_remaining == 1
    application.dispose()
    admin.dispose()


def test_a_callers_transaction_is_not_used_for_settings(engine: Engine, day: dt.date) -> None:
    with sessionmaker(engine)() as session:
        made = YouTubeScheduleManager(ScheduleConfig(daily_limits=TWO_A_DAY), session=session)
        with pytest.raises(ScheduleConfigError, match="daily limit of final: 1, not 2"):
            made.check_daily_quota(day)
        session.rollback()
    assert maxima(engine)["final"] == 2


def test_a_quota_of_uploads_has_no_units_to_set(engine: Engine, day: dt.date) -> None:
    Scheduler(engine).apply_quota_profile("uploads-100")
    assert manager(engine).check_daily_quota(day).quota_remaining == 100
    with pytest.raises(ScheduleConfigError, match="does not count such units"):
        manager(engine, quota_limit=20000).check_daily_quota(day)
    assert maxima(engine)["uploads"] == 100


def test_a_type_without_a_limit_cannot_be_set_one(engine: Engine, day: dt.date) -> None:
    Scheduler(engine).set_charge("short", "short", 0)
    assert manager(engine, daily_limits={"final": 3}).check_daily_quota(day).final_remaining == 3
    with pytest.raises(ScheduleConfigError, match="type short charge no daily limit"):
        manager(engine).check_daily_quota(day)
    unlimited = YouTubeScheduleManager(engine=engine).check_daily_quota(day)
    assert unlimited.short_remaining == 1_000_000_000


def test_no_posting_times_are_a_configuration_as_well(engine: Engine, day: dt.date) -> None:
    made = manager(engine, preferred_times=[])
    assert made.get_next_available_slot("final", day).hour == 9
    assert YouTubeScheduleManager(engine=engine).config.preferred_times == []
