"""LangFlix's tables as views, and import conflicts that are booked."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg2
import pytest

from langflix_database import row, take
from support import (
    APP,
    READER,
    Connect,
    PgConnection,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
)


@pytest.fixture
def connection(connect: Connect) -> PgConnection:
    return session(connect)


@pytest.mark.parametrize("number", [1, 2**48 - 1, 2**48, 2**63 - 2])
def test_an_id_is_made_from_the_reservation_and_leads_back(
    connection: PgConnection, number: int
) -> None:
    query(connection, "select setval('slotwarden.reservation_id_seq', %s, false)", number)
    reserve(connection, coming_day(connection), "final", "10:00", video="/a")
    shown = query(connection, "select * from slotwarden.youtube_schedule")[0]
    parts = uuid.UUID(str(shown.id)).hex
    assert uuid.UUID(str(shown.id)).version == 4
    assert int(parts[:8] + parts[20:], 16) == shown.reservation_id == number


def test_langflix_finds_the_live_booking_of_a_video_first(connection: PgConnection) -> None:
    day = coming_day(connection)
    first = reserve(connection, day, "final", "10:00", video="/a")
    call(connection, "cancel_reservation", p_reservation_id=first.reservation_id)
    live = reserve(connection, day, "final", "11:00", video="/a")
    later = reserve(connection, day, "final", "12:00", video="/b")
    call(connection, "cancel_reservation", p_reservation_id=later.reservation_id)
    found = query(
        connection, "select * from slotwarden.youtube_schedule where video_path = '/a' limit 1"
    )[0]
    assert (found.reservation_id, found.upload_status) == (live.reservation_id, "scheduled")


def test_the_views_are_read_only_and_for_application_and_reader(connect: Connect) -> None:
    owner = session(connect)
    reserve(owner, coming_day(owner), "final", "10:00", video="/a")
    for role in (APP, READER):
        connection = session(connect, role=role)
        assert len(query(connection, "select * from slotwarden.youtube_schedule")) == 1
        assert query(connection, "select * from slotwarden.youtube_quota_usage")
        with raises_sqlstate("42501"):
            query(connection, "select * from slotwarden.langflix_limit")
    for statement in (
        "update slotwarden.youtube_schedule set upload_status = 'completed'",
        "delete from slotwarden.youtube_quota_usage",
    ):
        with pytest.raises(psycopg2.Error):
            query(owner, statement)


def test_usage_is_shown_for_the_channel_of_langflix_only(connection: PgConnection) -> None:
    call(connection, "create_channel", p_channel="other")
    day = coming_day(connection)
    reserve(connection, day, "final", "10:00", video="/a", channel="other")
    assert query(connection, "select * from slotwarden.youtube_schedule") == []
    assert query(connection, "select * from slotwarden.youtube_quota_usage") == []
    reserve(connection, day, "final", "10:00", video="/a")
    rows = query(connection, "select * from slotwarden.youtube_quota_usage")
    assert sum(row.final_videos_uploaded for row in rows) == 1
    assert {row.quota_limit for row in rows} == {10000}


def test_a_limit_of_all_videos_is_not_taken_for_one_of_a_type(connection: PgConnection) -> None:
    call(connection, "set_daily_limit", p_limit="a_total", p_max=4, p_counted_at="publish")
    for kind in ("final", "short"):
        call(connection, "set_charge", p_type=kind, p_limit="a_total", p_units=1)
    day = coming_day(connection)
    reserve(connection, day, "final", "10:00", video="/a")
    reserve(connection, day, "short", "11:00", video="/b")
    shown = query(connection, "select * from slotwarden.youtube_quota_usage where date = %s", day)[
        0
    ]
    assert (shown.final_videos_uploaded, shown.short_videos_uploaded, shown.upload_count) == (
        1,
        1,
        2,
    )
    own = {
        (r.video_type, r.counted_at): r.limit_id
        for r in call(connection, "langflix_settings")
        if r.own
    }
    assert own == {
        ("final", "publish"): "final",
        ("short", "publish"): "short",
        ("final", "upload"): "api_units",
        ("short", "upload"): "api_units",
    }


def test_a_conflict_is_booked_anew_when_its_reservation_is_gone(connection: PgConnection) -> None:
    day = coming_day(connection)
    reserve(connection, day, "short", "10:00")
    take(connection, row(1, scheduled_publish_time=f"{day}T10:00:00Z"))
    number = scalar(connection, "select import_conflict_id from slotwarden.import_conflict")

    def rebook(**named: Any) -> Any:
        return call(connection, "rebook_import_conflict", p_import_conflict_id=number, **named)[0]

    first = rebook()
    assert rebook().reservation_id == first.reservation_id
    call(connection, "cancel_reservation", p_reservation_id=first.reservation_id)
    second = rebook(p_date=day, p_time="15:00")
    assert second.reservation_id != first.reservation_id
    shown = query(
        connection, "select reservation_id from slotwarden.youtube_schedule where id = %s",
        row(1)["id"],
    )  # fmt: skip
    assert [r.reservation_id for r in shown] == [second.reservation_id]
    with raises_sqlstate("SWNFD"):
        call(connection, "rebook_import_conflict", p_import_conflict_id=number + 1)
    with raises_sqlstate("SWARG"):
        rebook(p_date=day)
    with raises_sqlstate("SWARG"):
        call(connection, "rebook_import_conflict", p_import_conflict_id=None)


def test_a_conflict_is_booked_by_one_at_a_time(connection: PgConnection, connect: Connect) -> None:
    day = coming_day(connection)
    reserve(connection, day, "short", "10:00")
    take(connection, row(1, scheduled_publish_time=f"{day}T10:00:00Z"))
    number = scalar(connection, "select import_conflict_id from slotwarden.import_conflict")
    first = session(connect, autocommit=False)
    call(first, "rebook_import_conflict", p_import_conflict_id=number)
    with raises_sqlstate("55P03"):
        call(connection, "rebook_import_conflict", p_import_conflict_id=number)
    first.commit()
    assert call(connection, "rebook_import_conflict", p_import_conflict_id=number)
