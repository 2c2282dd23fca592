"""What one day is given back and what a whole limit is given are locked in one order."""

from __future__ import annotations

from support import (
    Connect,
    WaitUntilBlocked,
    assert_consistent,
    background,
    be_patient,
    call,
    coming_day,
    reserve,
    session,
)


def test_taking_an_override_back_and_changing_its_limit_do_not_deadlock(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    be_patient(db, "override_day", "set_daily_limit")
    reserve(db, day, "final", "10:00")
    holder = session(connect, autocommit=False)
    call(holder, "override_day", p_limit="final", p_day=day, p_max=3)
    back = background(session(connect), "override_day", p_limit="final", p_day=day, p_max=None)
    wait_until_blocked(back.pid)
    # It still sees a day that follows its limit, and so waits for it.
    change = background(session(connect), "set_daily_limit", p_limit="final", p_max=7)
    wait_until_blocked(change.pid)
    holder.commit()
    assert back.outcome.sqlstate is None, back.outcome
    assert change.outcome.sqlstate is None, change.outcome
    assert_consistent(db)
    rows = call(db, "daily_status", p_day=day)
    assert [row.max_units for row in rows if row.limit_id == "final"] == [7]
