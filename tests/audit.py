"""Reads the state of a workspace from its rows, without any of its functions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sessions import PgConnection, query

_LEDGER_FAULTS = """
select limit_id, day, version from (
  select
    limit_id, day, version, units, used_units, max_units,
    row_number() over w as expected_version,
    sum(units) over w as expected_used
  from slotwarden.usage_ledger
  window w as (partition by limit_id, day order by version)
) as entry
where version <> expected_version
  or used_units <> expected_used
  or units > 0 and used_units > max_units
"""

_SHARED_SLOTS = """
select channel_id, scheduled_publish_time
from slotwarden.reservation
where upload_status in ('scheduled', 'uploading', 'completed')
group by channel_id, scheduled_publish_time
having count(*) > 1
"""


def assert_consistent(connection: PgConnection) -> None:
    """Fail unless everything adds up.

    Nothing has drifted; each usage's versions are 1..n and its balances the running sums; no entry
    takes more than the maximum allows; no slot has two live bookings.
    """
    assert query(connection, "select * from slotwarden.usage_drift") == []
    assert query(connection, _LEDGER_FAULTS) == []
    assert query(connection, _SHARED_SLOTS) == []


def used(connection: PgConnection, day: dt.date) -> dict[str, int]:
    """Return the units used of each limit on a day, summed from the ledger."""
    rows = query(
        connection,
        "select limit_id, sum(units)::integer as units from slotwarden.usage_ledger"
        " where day = %s group by limit_id having sum(units) <> 0",
        day,
    )
    return {row.limit_id: row.units for row in rows}


def snapshot(connection: PgConnection) -> list[list[Any]]:
    """Return the rows that a booking could change, to see that nothing did."""
    return [
        query(connection, f"select * from slotwarden.{table} order by 1, 2, 3")
        for table in ("reservation", "usage_ledger", "request")
    ]
