"""What the owner may not write: false days and numbers, the ledger, locks of days that are used.

Refused statements change nothing, so all of them share one database.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import Copies
from support import (
    OWNER,
    PgConnection,
    assert_consistent,
    attempt,
    coming_day,
    insert_sql,
    own_database,
    query,
    reserve,
)


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    """One booking of thirty days ahead, in a database for all refused statements."""
    with own_database(copies) as connection:
        query(connection, f"set role {OWNER}")
        reserve(connection, coming_day(connection), "final", "20:00", video="a.mp4", key="k")
        yield connection
        assert_consistent(connection)


REFUSED = {
    # A reservation's own columns
    insert_sql(local_date="current_date"): "23514",
    insert_sql(time_zone="'Asia/Seoul'"): "40001",
    insert_sql(time_zone="'Asia/Seoul'", local_date="current_date + 41"): "40001",
    insert_sql(channel_id="'nobody'"): "SWCHN",
    insert_sql(video_type="'nothing'"): "23503",
    insert_sql(upload_status="'booked'"): "23514",
    insert_sql(attempt="0"): "23514",
    insert_sql(version="0"): "23514",
    insert_sql(video_path="''"): "23514",
    insert_sql(video_path="'a.mp4'"): "23505",
    insert_sql(scheduled_publish_time="'infinity'"): "23514",
    insert_sql(scheduled_publish_time="'-infinity'"): "23514",
    insert_sql(scheduled_publish_time="'10000-01-01Z'"): "23514",
    insert_sql(scheduled_publish_time="current_date + 40 + time '20:00:01'"): "23514",
    insert_sql(scheduled_publish_time="current_date + 40 + time '20:00:00.000001'"): "23514",
    insert_sql(scheduled_publish_time="(current_date + 30) + time '20:00' at time zone 'UTC'"): (
        "23505"
    ),
    insert_sql(upload_time="'infinity'"): "23514",
    insert_sql(upload_time="'-infinity'"): "23514",
    insert_sql(charged_at="'infinity'"): "23514",
    insert_sql(created_at="'-infinity'"): "23514",
    insert_sql(held_units="-1"): "23514",
    insert_sql(held_units="0"): "40001",
    insert_sql(lease_expires_at="now()"): "23514",
    insert_sql(reservation_id="1"): "23505",
    "update slotwarden.reservation set reservation_id = 99": "SWSTA",
    "update slotwarden.reservation set channel_id = 'other'": "SWSTA",
    "update slotwarden.reservation set created_at = now()": "SWSTA",
    "update slotwarden.reservation set created_by = 'somebody'": "SWSTA",
    "update slotwarden.reservation set held_units = 0": "SWSTA",
    "update slotwarden.reservation set charged_at = 'infinity'": "23514",
    "update slotwarden.reservation set local_date = local_date + 1": "SWSTA",
    "update slotwarden.reservation set time_zone = 'Asia/Seoul'": "SWSTA",
    "update slotwarden.reservation set upload_time = upload_time - interval '9 days'": "SWSTA",
    "update slotwarden.reservation set scheduled_publish_time = 'infinity'": "23514",
    "update slotwarden.reservation set upload_status = 'uploading', upload_time = 'infinity'": (
        "23514"
    ),
    "update slotwarden.reservation set video_type = 'nothing'": "23503",
    # Statements that no row trigger would see
    "truncate slotwarden.reservation cascade": "SWSTA",
    "truncate slotwarden.usage_ledger": "SWSTA",
    "truncate slotwarden.limit_day": "SWSTA",
    "truncate slotwarden.daily_limit cascade": "SWSTA",
    "truncate slotwarden.channel cascade": "SWSTA",
    "truncate slotwarden.video_type cascade": "SWSTA",
    # The ledger
    "insert into slotwarden.usage_ledger select limit_id, day, version + 1, null, null, 0,"
    " used_units, max_units, 'maximum', at, by from slotwarden.usage_ledger": "SWSTA",
    "update slotwarden.usage_ledger set units = 0, used_units = 0": "SWSTA",
    "update slotwarden.usage_ledger set by = 'somebody'": "SWSTA",
    "delete from slotwarden.usage_ledger": "SWSTA",
    "merge into slotwarden.usage_ledger as e using (values (1)) as v on true"
    " when matched then delete": "SWSTA",
    "merge into slotwarden.usage_ledger as e using (values (1)) as v on true"
    " when matched then update set used_units = 0": "SWSTA",
    "insert into slotwarden.usage_ledger select * from slotwarden.usage_ledger"
    " on conflict on constraint usage_ledger_pkey do update set units = 0": "SWSTA",
    "select slotwarden.post_charges(1, 1,"
    " array[row('final', 'publish', current_date + 30, -1)::slotwarden.charge], 'cancel')": (
        "SWSTA"
    ),
    # Days and limits
    "delete from slotwarden.limit_day": "SWSTA",
    "update slotwarden.limit_day set day = day + 1": "SWSTA",
    "update slotwarden.limit_day set limit_id = 'short' where limit_id = 'final'": "SWSTA",
    "update slotwarden.limit_day set max_units = -1": "23514",
    "insert into slotwarden.limit_day (limit_id, day) values ('nothing', current_date)": "23503",
    "update slotwarden.daily_limit set max_units = -1": "23514",
    "update slotwarden.daily_limit set max_units = 1000000001": "23514",
    "update slotwarden.daily_limit set time_zone = 'Mars/Phobos'": "SWARG",
    "update slotwarden.daily_limit set time_zone = 'FOO+3'": "SWARG",
    "update slotwarden.daily_limit set counted_at = 'sometimes'": "23514",
    "update slotwarden.daily_limit set limit_id = 'x' where limit_id = 'final'": "23503",
    "delete from slotwarden.daily_limit": "23503",
    "delete from slotwarden.channel": "23503",
    "delete from slotwarden.video_type": "23503",
    "update slotwarden.channel set time_zone = 'FOO+3'": "SWARG",
    "update slotwarden.channel set upload_lead = '-1 second'": "23514",
    "update slotwarden.channel set channel_id = 'x'": "23503",
    "update slotwarden.charge_rule set units = 0": "23514",
}


@pytest.mark.parametrize("statement", REFUSED, ids=[statement[:80] for statement in REFUSED])
def test_what_would_be_false_is_refused(shared: PgConnection, statement: str) -> None:
    query(shared, "begin")
    outcome = attempt(shared, statement)
    query(shared, "rollback")
    assert outcome.sqlstate == REFUSED[statement], outcome
