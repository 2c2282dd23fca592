"""Faults of callers that cost little to make; ``make chaos`` makes the others."""

from __future__ import annotations

from support import (
    APP,
    Background,
    Connect,
    WaitUntilBlocked,
    assert_consistent,
    attempt,
    call_sql,
    coming_day,
    query,
    reserve,
    session,
    snapshot,
)


def test_a_forgotten_transaction_is_ended_and_the_next_goes_on(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    day = coming_day(db)
    before = snapshot(db)
    forgetful = session(
        connect,
        role=APP,
        autocommit=False,
        settings={"idle_in_transaction_session_timeout": "1s"},
    )
    follower = session(connect, role=APP)
    reserve(forgetful, day, "final", "10:00", key="k")
    sql, parameters = call_sql("reserve_slot", day=day, kind="final", at="10:00")
    behind = Background(follower, sql, *parameters)
    wait_until_blocked(behind.pid)
    assert behind.outcome.row.version == 1
    # psycopg2 tells of it by its SQLSTATE or as a lost connection.
    assert attempt(forgetful, "select").sqlstate in ("25P03", "08006")
    assert [
        row.request_key for row in query(db, "select request_key from slotwarden.request")
    ] == []
    assert len(snapshot(db)[0]) == len(before[0]) + 1
    assert_consistent(db)


def test_callers_who_book_days_in_odd_order_may_deadlock_and_repeat(
    connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    db = session(connect)
    days = [coming_day(db, 30), coming_day(db, 31)]
    first, second = (
        # The first one's detector must not be the first to look.
        session(connect, autocommit=False, settings={"deadlock_timeout": timeout})
        for timeout in ("20s", "50ms")
    )
    reserve(first, days[0], "short", "10:00")
    reserve(second, days[1], "short", "11:00")
    sql, parameters = call_sql("reserve_slot", day=days[1], kind="short", at="10:00")
    waiting = Background(first, sql, *parameters)
    wait_until_blocked(waiting.pid)
    sql, parameters = call_sql("reserve_slot", day=days[0], kind="short", at="11:00")
    assert attempt(second, sql, *parameters).sqlstate == "40P01"
    second.rollback()
    assert waiting.outcome.row.version == 1
    first.commit()
    for day in days:
        reserve(second, day, "short", "11:00")
    second.commit()
    assert len(snapshot(db)[0]) == 4
    assert_consistent(db)
