"""How the owner may write: COPY, upsert, MERGE, history, maximums. All of it is charged."""

from __future__ import annotations

import datetime as dt
import io

import pytest

from support import (
    OWNER,
    Connect,
    PgConnection,
    assert_consistent,
    call,
    coming_day,
    insert_sql,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
    used,
)


@pytest.fixture
def db(connect: Connect) -> PgConnection:
    return session(connect, role=OWNER)


@pytest.fixture
def day(db: PgConnection) -> dt.date:
    return coming_day(db)


def _copy(db: PgConnection, table: str, *lines: str) -> None:
    with db.cursor() as cursor:
        cursor.copy_expert(f"copy {table} from stdin", io.StringIO("\n".join(lines) + "\n"))


def test_copy_charges_each_row(db: PgConnection, day: dt.date) -> None:
    table = "slotwarden.reservation (channel_id, video_type, scheduled_publish_time)"
    rows = [f"default\tfinal\t{day} {hour}:00Z" for hour in (18, 19, 20)]
    with raises_sqlstate("23514", "usage_ledger_within_maximum"):
        _copy(db, table, *rows)
    assert used(db, day) == {}
    _copy(db, table, *rows[:2])
    assert used(db, day) == {"final": 2, "api_units": 3200}
    assert_consistent(db)


def test_copy_into_the_ledger_is_refused(db: PgConnection, day: dt.date) -> None:
    with raises_sqlstate("SWSTA"):
        _copy(
            db,
            "slotwarden.usage_ledger",
            f"final\t{day}\t1\t\\N\t\\N\t0\t0\t2\tmaximum\tnow\tsomebody",
        )


def test_an_upsert_charges_what_it_becomes(db: PgConnection, day: dt.date) -> None:
    upsert = (
        "insert into slotwarden.reservation"
        " (reservation_id, channel_id, video_type, scheduled_publish_time)"
        " values (1, 'default', 'final', %s) on conflict (reservation_id)"
        " do update set scheduled_publish_time = excluded.scheduled_publish_time"
    )
    moved_to = day + dt.timedelta(days=2)
    query(db, upsert, f"{day} 20:00Z")
    query(db, upsert, f"{moved_to} 20:00Z")
    assert used(db, day) == {}
    assert used(db, moved_to) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_merge_charges_each_of_its_actions(db: PgConnection, day: dt.date) -> None:
    merge = (
        "merge into slotwarden.reservation as r"
        " using (values (%s::timestamptz)) as wanted (publish_time)"
        " on r.scheduled_publish_time = wanted.publish_time"
        " when matched and r.upload_status = 'scheduled' then update set video_type = 'short'"
        " when matched then delete"
        " when not matched then insert (channel_id, video_type, scheduled_publish_time)"
        " values ('default', 'final', wanted.publish_time)"
    )
    found = []
    for _ in range(2):
        query(db, merge, f"{day} 20:00Z")
        found.append(used(db, day))
    query(db, "update slotwarden.reservation set upload_status = 'cancelled'")
    query(db, merge, f"{day} 20:00Z")
    found.append(used(db, day))
    assert found == [
        {"final": 1, "api_units": 1600},
        {"short": 1, "api_units": 1600},
        {},
    ]
    assert_consistent(db)


def test_one_statement_for_many_rows_charges_all_or_none(db: PgConnection, day: dt.date) -> None:
    insert = (
        "insert into slotwarden.reservation (channel_id, video_type, scheduled_publish_time)"
        " select 'default', 'short', %s::timestamptz + make_interval(mins => n)"
        " from generate_series(1, %s) as n"
    )
    with raises_sqlstate("23514", "usage_ledger_within_maximum"):
        query(db, insert, f"{day} 20:00Z", 6)
    assert used(db, day) == {}
    query(db, insert, f"{day} 20:00Z", 5)
    assert used(db, day) == {"short": 5, "api_units": 8000}
    query(db, "update slotwarden.reservation set upload_status = 'cancelled'")
    assert used(db, day) == {}
    assert_consistent(db)


def test_history_is_taken_in_and_charged(db: PgConnection) -> None:
    past = coming_day(db, -400)
    query(
        db,
        "insert into slotwarden.reservation"
        " (channel_id, video_type, scheduled_publish_time, upload_status)"
        " values ('default', 'final', %s, 'completed')",
        f"{past} 20:00Z",
    )
    assert used(db, past) == {"final": 1, "api_units": 1600}
    assert_consistent(db)


def test_a_blacked_out_slot_is_refused_to_the_owner_too(db: PgConnection, day: dt.date) -> None:
    query(
        db,
        "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
        " values ('default', %s, %s, 'holidays')",
        day,
        day + dt.timedelta(days=1),
    )
    with raises_sqlstate("SWBLK"):
        query(db, insert_sql(scheduled_publish_time=f"'{day} 20:00Z'"))
    query(db, insert_sql(scheduled_publish_time=f"'{day} 20:00Z'", upload_status="'completed'"))
    assert_consistent(db)


@pytest.mark.parametrize(
    ("statement", "maximum", "overridden"),
    [
        ("set max_units = 1", 1, True),
        ("set max_units = 0", 0, True),
        ("set max_units = 9", 9, True),
        ("set overridden = true", 2, True),
        ("set overridden = false", 2, False),
        ("set max_units = 7, overridden = false", 7, True),
    ],
)
def test_a_maximum_written_by_the_owner_is_in_the_ledger(
    db: PgConnection, day: dt.date, statement: str, maximum: int, overridden: bool
) -> None:
    reserve(db, day, "final", "20:00")
    query(db, f"update slotwarden.limit_day {statement} where limit_id = 'final'")
    row = query(db, "select * from slotwarden.limit_day where limit_id = 'final'")[0]
    assert (row.max_units, row.overridden) == (maximum, overridden)
    assert_consistent(db)
    query(db, "update slotwarden.limit_day set overridden = false where limit_id = 'final'")
    call(db, "set_daily_limit", p_limit="final", p_max=5)
    assert_consistent(db)


def test_a_first_charge_dated_ahead_is_no_drift(db: PgConnection, day: dt.date) -> None:
    call(db, "add_video_type", kind="free")
    query(
        db,
        insert_sql(
            video_type="'free'",
            charged_at="'2999-01-01'",
            scheduled_publish_time=f"'{day} 20:00Z'",
        ),
    )
    call(db, "set_charge", kind="free", p_limit="final", p_units=1)
    assert_consistent(db)


@pytest.mark.parametrize("status", ["uploading", "completed", "failed"])
def test_charging_anew_while_the_status_changes_is_no_drift(
    db: PgConnection, day: dt.date, status: str
) -> None:
    call(db, "add_video_type", kind="free")
    query(db, insert_sql(video_type="'free'", scheduled_publish_time=f"'{day} 20:00Z'"))
    call(db, "set_charge", kind="free", p_limit="final", p_units=1)
    if status != "uploading":
        query(db, "update slotwarden.reservation set upload_status = 'uploading'")
    query(
        db,
        "update slotwarden.reservation set upload_status = %s, charged_at = slotwarden.clock_now()",
        status,
    )
    assert_consistent(db)
    assert scalar(db, "select upload_status from slotwarden.reservation") == status
