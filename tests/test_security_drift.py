"""Writing behind the triggers' back: what usage_drift then shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import Copies
from life import DAY, NOW, run_clock, start
from support import PgConnection, call, own_database, query, reserve

_BOOKED = "video_path = 'booked.mp4'"
_DAY = f"limit_id = 'short' and day = '{DAY}'"

TAMPERED = {
    "a booking is inserted": (
        (
            "insert into slotwarden.reservation (reservation_id, channel_id, video_type,"
            " scheduled_publish_time, upload_time, local_date, time_zone, held_units, created_at,"
            " created_by, upload_status, attempt, version)"
            " select 1000, channel_id, video_type, scheduled_publish_time + interval '1 hour',"
            " upload_time, local_date, time_zone, held_units, created_at, created_by, 'scheduled',"
            f" attempt, version from slotwarden.reservation where {_BOOKED}"
        ),
        {"held"},
    ),
    "a booking is deleted": (f"delete from slotwarden.reservation where {_BOOKED}", {"held"}),
    "a booking is cancelled": (
        (
            "update slotwarden.reservation set upload_status = 'cancelled', held_units = 0"
            f" where {_BOOKED}"
        ),
        {"held"},
    ),
    "an upload is taken for failed": (
        (
            "update slotwarden.reservation set upload_status = 'failed', lease_token = null"
            " where video_path = 'started.mp4'"
        ),
        {"held"},
    ),
    "a booking is moved": (
        (
            "update slotwarden.reservation set local_date = local_date + 7,"
            " scheduled_publish_time = scheduled_publish_time + interval '7 days'"
            f" where {_BOOKED}"
        ),
        {"held"},
    ),
    "the ledger's last entry is deleted": (
        (
            "delete from slotwarden.usage_ledger as e"
            f" where {_DAY} and not exists (select from slotwarden.usage_ledger as o"
            " where o.limit_id = e.limit_id and o.day = e.day and o.version > e.version)"
        ),
        {"held"},
    ),
    "an entry in the middle is deleted": (
        f"delete from slotwarden.usage_ledger where {_DAY} and version = 2",
        {"balance", "gap", "held"},
    ),
    "an entry's units are changed": (
        f"update slotwarden.usage_ledger set units = units + 1 where {_DAY} and version = 1",
        {"balance", "held"},
    ),
    "a balance is changed": (
        f"update slotwarden.usage_ledger set used_units = 0 where {_DAY}",
        {"balance"},
    ),
    "a day's maximum is changed": (
        f"update slotwarden.limit_day set max_units = 99 where {_DAY}",
        {"maximum"},
    ),
    "a day is deleted": (f"delete from slotwarden.limit_day where {_DAY}", {"maximum"}),
    "the bookings are truncated": ("truncate slotwarden.reservation cascade", {"held"}),
    "the ledger is truncated": ("truncate slotwarden.usage_ledger", {"external", "held"}),
    "the days are truncated": ("truncate slotwarden.limit_day", {"maximum"}),
    "a cancelled booking lives again": (
        (
            "update slotwarden.reservation set upload_status = 'scheduled'"
            " where video_path = 'cancelled.mp4'"
        ),
        {"held"},
    ),
    "usage from elsewhere is deleted": (
        "delete from slotwarden.usage_ledger where reason = 'external'",
        {"external"},
    ),
}


@pytest.fixture(scope="module")
def db(copies: Copies) -> Iterator[PgConnection]:
    """A session on a workspace with bookings, an upload that runs, and usage from elsewhere."""
    with own_database(copies) as made:
        run_clock(made, NOW)
        for video, at in (("booked", "10:00"), ("cancelled", "11:00"), ("started", "12:00")):
            booked = reserve(made, DAY, "short", at, video=f"{video}.mp4")
            if video == "cancelled":
                call(made, "cancel_reservation", p_reservation_id=booked.reservation_id)
            if video == "started":
                start(made, booked)
        reserve(made, DAY, "short", "13:00")
        call(made, "record_usage", p_limit="final", p_units=1)
        assert query(made, "select * from slotwarden.usage_drift") == []
        yield made


def tamper(connection: PgConnection, statement: str, *, how: str) -> set[str]:
    """Run a statement without triggers, take it back, and return the drift that it showed."""
    query(connection, "begin")
    try:
        if how == "replica":
            query(connection, "set local session_replication_role = replica")
        else:
            for table in query(
                connection,
                "select c.oid::regclass::text as name from pg_class as c"
                " where c.relnamespace = 'slotwarden'::regnamespace and c.relkind = 'r'",
            ):
                query(connection, f"alter table {table.name} disable trigger all")
        query(connection, statement)
        return {row.kind for row in query(connection, "select kind from slotwarden.usage_drift")}
    finally:
        query(connection, "rollback")


@pytest.mark.parametrize("case", TAMPERED)
def test_a_write_as_a_replica_is_seen(db: PgConnection, case: str) -> None:
    statement, kinds = TAMPERED[case]
    assert tamper(db, statement, how="replica") == kinds


@pytest.mark.parametrize("case", ["a booking is inserted", "the ledger is truncated"])
def test_a_write_with_disabled_triggers_is_seen(db: PgConnection, case: str) -> None:
    statement, kinds = TAMPERED[case]
    assert tamper(db, statement, how="disabled") == kinds
