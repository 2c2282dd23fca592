"""What the fuzzer has found, each by itself."""

from __future__ import annotations

import pytest

from sessions import Connect, attempt_call, call, coming_day, reserve, session

# A date that PostgreSQL has, but not with a time of day.
LAST_DATE = "5874897-12-31"
MEGABYTE = "x" * 1_000_000


@pytest.mark.parametrize("function", ["reserve_slot", "try_reserve_slot"])
def test_a_date_past_all_timestamps_is_an_invalid_argument(connect: Connect, function: str) -> None:
    refused = attempt_call(session(connect), function, day=LAST_DATE, kind="final", at="10:00")
    assert (refused.sqlstate, refused.facts) == ("SWARG", {"parameter": "p_date"})


def test_so_it_is_for_a_booking_that_is_moved(connect: Connect) -> None:
    db = session(connect)
    booked = reserve(db, coming_day(db), "final", "10:00")
    refused = attempt_call(
        db,
        "reschedule_reservation",
        p_reservation_id=booked.reservation_id,
        day=LAST_DATE,
        at="10:00",
    )
    assert (refused.sqlstate, refused.facts) == ("SWARG", {"parameter": "p_date"})


def test_so_it_is_for_an_upload_that_is_retried(connect: Connect) -> None:
    db = session(connect)
    booked = reserve(db, coming_day(db), "final", "10:00")
    number = booked.reservation_id
    started = call(db, "start_upload", p_reservation_id=number)[0]
    call(db, "fail_upload", p_reservation_id=number, p_token=started.lease_token)
    refused = attempt_call(db, "retry_upload", p_reservation_id=number, day=LAST_DATE, at="10:00")
    assert (refused.sqlstate, refused.facts) == ("SWARG", {"parameter": "p_date"})


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("set_channel", {"p_channel": "default"}),
        ("create_channel", {"p_channel": "new"}),
        ("set_daily_limit", {"p_limit": "final"}),
    ],
)
def test_an_unknown_zone_is_not_repeated_at_any_length(
    connect: Connect, function: str, named: dict[str, str]
) -> None:
    refused = attempt_call(session(connect), function, p_time_zone=MEGABYTE, **named)
    assert refused.sqlstate == "SWARG"
    assert len(refused.message) < 500
    assert len(refused.detail or "") < 500
