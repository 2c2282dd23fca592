"""Who may do what: exactly this table of roles and objects, and nothing else."""

from __future__ import annotations

import pytest

from support import (
    ADMIN,
    APP,
    OWNER,
    READER,
    Connect,
    call,
    coming_day,
    query,
    raises_sqlstate,
    reserve,
    scalar,
    session,
)

READING = {
    "available_slots",
    "calendar",
    "daily_status",
    "langflix_settings",
    "list_blackouts",
    "list_channels",
    "list_import_conflicts",
    "quota_warnings",
    "usage_history",
}
BOOKING = {
    "account_upload",
    "cancel_reservation",
    "claim_due_uploads",
    "complete_upload",
    "fail_upload",
    "lock_day",
    "rebook_import_conflict",
    "record_upload",
    "record_usage",
    "reschedule_reservation",
    "reserve_next_slot",
    "reserve_slot",
    "reserve_slot_at",
    "reserve_slots",
    "retry_upload",
    "start_upload",
    "try_reserve_slot",
}
ADMINISTRATION = {
    "add_blackout",
    "add_video_type",
    "apply_quota_profile",
    "create_channel",
    "import_langflix",
    "override_day",
    "recalculate_usage",
    "remove_blackout",
    "set_channel",
    "set_charge",
    "set_daily_limit",
    "set_posting_times",
}
LANGFLIX_VIEWS = {"youtube_quota_usage", "youtube_schedule"}
VIEWS = {"daily_usage", "lock_waits", "usage_drift"} | LANGFLIX_VIEWS

ALLOWED = {
    APP: (READING | BOOKING, LANGFLIX_VIEWS),
    READER: (READING, VIEWS),
    ADMIN: (READING | BOOKING | ADMINISTRATION, VIEWS),
    "pg_monitor": (set[str](), set[str]()),
}

_FUNCTIONS = """
select p.proname from pg_proc as p
where p.pronamespace = 'slotwarden'::regnamespace
  and has_function_privilege(%s, p.oid, 'execute')
"""
_RELATIONS = """
select c.relname, privilege
from pg_class as c
cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references',
  'trigger']) as privilege
where c.relnamespace = 'slotwarden'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')
  and has_table_privilege(%s, c.oid, privilege)
"""


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_exactly_this(connect: Connect, role: str) -> None:
    db = session(connect)
    functions, views = ALLOWED[role]
    assert {row.proname for row in query(db, _FUNCTIONS, role)} == functions
    assert {tuple(row) for row in query(db, _RELATIONS, role)} == {
        (view, "select") for view in views
    }
    assert scalar(db, "select has_schema_privilege(%s, 'slotwarden', 'usage')", role) == bool(
        functions
    )
    assert not scalar(db, "select has_schema_privilege(%s, 'slotwarden', 'create')", role)
    for sequence in query(
        db,
        "select oid from pg_class"
        " where relnamespace = 'slotwarden'::regnamespace and relkind = 'S'",
    ):
        assert not scalar(
            db, "select has_sequence_privilege(%s, %s, 'usage, select, update')", role, sequence.oid
        )


@pytest.mark.parametrize("role", [OWNER, APP, READER, ADMIN])
def test_a_role_cannot_log_in_and_is_nothing_more(connect: Connect, role: str) -> None:
    row = query(session(connect), "select * from pg_roles where rolname = %s", role)[0]
    powers = ("login", "super", "createrole", "createdb", "bypassrls", "replication")
    held = [power for power in powers if getattr(row, f"rol{power.replace('login', 'canlogin')}")]
    assert held == []


def test_the_app_books_without_any_right_on_tables(connect: Connect) -> None:
    app = session(connect, role=APP)
    day = coming_day(app)
    booked = reserve(app, day, "final", "10:00", video="a.mp4", key="k")
    assert call(app, "calendar", p_from=day)[0].reservation_id == booked.reservation_id
    call(app, "cancel_reservation", p_reservation_id=booked.reservation_id)
    for statement in (
        "select from slotwarden.reservation",
        "select from slotwarden.usage_drift",
        "select slotwarden.book_local(current_date, 'final', '10:00', null, 'default', null)",
        "select slotwarden.set_daily_limit('final', 99)",
        "insert into slotwarden.reservation default values",
        "select nextval('slotwarden.reservation_id_seq')",
    ):
        with raises_sqlstate("42501"):
            query(app, statement)


def test_the_reader_reads_and_books_nothing(connect: Connect) -> None:
    reader = session(connect, role=READER)
    assert len(call(reader, "daily_status")) == 3
    for view in sorted(VIEWS):
        query(reader, f"select * from slotwarden.{view}")
    with raises_sqlstate("42501"):
        reserve(reader, coming_day(reader), "final", "10:00")


def test_a_stranger_may_nothing(connect: Connect) -> None:
    stranger = session(connect, role="pg_monitor")
    with raises_sqlstate("42501"):
        query(stranger, "select * from slotwarden.daily_status()")


def test_entries_name_the_role_that_was_set_or_else_the_user(connect: Connect) -> None:
    db = session(connect)
    day = coming_day(db)
    user = scalar(db, "select session_user")
    assert reserve(db, day, "final", "10:00").created_by == user
    query(db, f"set role {APP}")
    assert reserve(db, day, "final", "11:00").created_by == APP
    query(db, "reset role")
    assert [
        row.by for row in query(db, "select distinct by from slotwarden.usage_ledger order by by")
    ] == sorted([user, APP])


def test_a_function_of_the_callers_own_cannot_be_smuggled_in(connect: Connect) -> None:
    """Names are looked up in the workspace first, so a caller's decoys are never called."""
    db = session(connect)
    query(db, "create schema decoy; grant usage, create on schema decoy to public")
    query(db, f"set role {APP}")
    query(
        db,
        """
        create function decoy.clock_now() returns timestamptz
          language plpgsql as 'begin raise exception ''called''; end';
        create function pg_temp.jsonb_build_object(text, text) returns jsonb
          language plpgsql as 'begin raise exception ''called''; end';
        set search_path to pg_temp, decoy, pg_catalog
        """,
    )
    reserve(db, coming_day(db), "final", "10:00")
    with raises_sqlstate("SWTKN"):
        reserve(db, coming_day(db), "final", "10:00")
