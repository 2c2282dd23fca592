"""What a caller may bring along, and what a caller is told: decoys, and other channels' data."""

from __future__ import annotations

from typing import Any

import pytest

from life import DAY, NOW, run_clock
from support import (
    ADMIN,
    APP,
    Connect,
    Outcome,
    PgConnection,
    attempt,
    attempt_call,
    call,
    query,
    raises_sqlstate,
    reserve,
    session,
)

# Objects with every name that slotwarden looks up, found before its own by an unpinned path:
# relations that are empty, functions and operators that say that they were called.
_DECOYS = """
create schema decoy;
do $decoys$
declare
  v record;
begin
  for v in
    select c.relname as name from pg_class as c
    where c.relnamespace = 'slotwarden'::regnamespace and c.relkind in ('r', 'v')
  loop
    execute format('create temp table %1$I as select * from slotwarden.%1$I limit 0', v.name);
    execute format('grant all on pg_temp.%I to public', v.name);
  end loop;
  for v in
    select
      p.proname as name,
      pg_get_function_identity_arguments(p.oid) as arguments,
      case when p.proretset then 'setof ' else '' end || p.prorettype::regtype as result
    from pg_proc as p
    where p.pronamespace = 'slotwarden'::regnamespace and p.prorettype <> 'record'::regtype
    union all
    values
      ('now', '', 'timestamptz'),
      ('clock_timestamp', '', 'timestamptz'),
      ('nextval', 'regclass', 'bigint'),
      ('set_config', 'text, text, boolean', 'text'),
      ('current_setting', 'text', 'text'),
      ('octet_length', 'text', 'integer'),
      ('btrim', 'text', 'text'),
      ('isfinite', 'date', 'boolean'),
      ('isfinite', 'timestamptz', 'boolean'),
      ('jsonb_build_object', 'variadic "any"', 'jsonb'),
      ('format', 'text, variadic "any"', 'text')
  loop
    continue when v.arguments like '%"any"%';
    execute format(
      'create function decoy.%I(%s) returns %s language plpgsql as %L',
      v.name, v.arguments, v.result,
      $$begin raise exception 'a decoy was called' using errcode = 'DECOY'; end$$
    );
  end loop;
  for v in
    select kind from unnest(array['text', 'bigint', 'integer', 'date', 'timestamptz']) as kind
  loop
    execute format(
      'create function decoy.compare(%1$s, %1$s) returns boolean language plpgsql as %2$L',
      v.kind, $$begin raise exception 'a decoy was called' using errcode = 'DECOY'; end$$
    );
    execute format(
      'create operator decoy.= (function = decoy.compare, leftarg = %1$s, rightarg = %1$s)', v.kind
    );
    execute format(
      'create operator decoy.< (function = decoy.compare, leftarg = %1$s, rightarg = %1$s)', v.kind
    );
  end loop;
end;
$decoys$;
grant usage on schema decoy to public;
"""
_UNPINNED_PATH = "set search_path to decoy, pg_temp, slotwarden, pg_catalog"

# With one of these for each required parameter every function can be called.
_PLAIN: dict[str, Any] = {
    "p_blackout_id": 1,
    "p_channel": "default",
    "p_date": DAY,
    "p_day": DAY,
    "p_from": DAY,
    "p_import_conflict_id": 1,
    "p_limit": "final",
    "p_max": 5,
    "p_profile": "units-10000",
    "p_publish_time": "2031-03-07 10:00Z",
    "p_reason": "closed",
    "p_requests": '[{"type": "final", "date": "2031-03-08", "time": "10:00"}]',
    "p_reservation_id": 1,
    "p_schedule": "[]",
    "p_time": "15:00",
    "p_times": "{10:00,14:00}",
    "p_to": DAY,
    "p_token": "00000000-0000-0000-0000-000000000000",
    "p_type": "short",
    "p_units": 1,
    "p_video": "first.mp4",
}
_REQUIRED = """
select
  p.proname as name,
  (p.proargnames)[1:p.pronargs - p.pronargdefaults] as parameters
from pg_proc as p
where p.pronamespace = 'slotwarden'::regnamespace
  and has_function_privilege('slotwarden_admin', p.oid, 'execute')
order by 1
"""


def outcomes(connection: PgConnection) -> dict[str, Outcome]:
    """Call every public function, each in a transaction that is rolled back."""
    found = {}
    for function in query(connection, _REQUIRED):
        named = {name: _PLAIN[name] for name in function.parameters or ()}
        places = ", ".join(
            f"{name} => %s{'::time[]' if name == 'p_times' else ''}" for name in named
        )
        query(connection, f"begin; set local role {ADMIN}")
        found[function.name] = attempt(
            connection,
            f"select count(*) as rows from slotwarden.{function.name}({places})",
            *named.values(),
        )
        query(connection, "rollback")
    return found


def with_decoys(connect: Connect) -> tuple[PgConnection, dict[str, Outcome]]:
    """Return a session full of decoys, and what came of all calls before it had them."""
    db = session(connect)
    run_clock(db, NOW)
    reserve(db, DAY, "short", "10:00", video="first.mp4")
    before = outcomes(db)
    query(db, _DECOYS)
    return db, before


def test_decoys_of_a_caller_change_no_call(connect: Connect) -> None:
    db, before = with_decoys(connect)
    query(db, _UNPINNED_PATH)
    after = outcomes(db)
    assert {name: (o.sqlstate, o.message) for name, o in after.items()} == {
        name: (o.sqlstate, o.message) for name, o in before.items()
    }
    assert {name: o.rows for name, o in after.items()} == {
        name: o.rows for name, o in before.items()
    }
    done = [name for name, outcome in after.items() if outcome.sqlstate is None]
    assert len(done) > len(after) / 2


@pytest.mark.parametrize("function", ["reserve_slot", "daily_status", "set_daily_limit"])
def test_decoys_would_change_a_call_with_an_unpinned_path(connect: Connect, function: str) -> None:
    db, before = with_decoys(connect)
    query(
        db,
        "do $$ declare v text; begin for v in select p.oid::regprocedure from pg_proc as p"
        " where p.pronamespace = 'slotwarden'::regnamespace and p.prosqlbody is null"
        " loop execute format('alter function %s reset search_path', v); end loop; end $$",
    )
    query(db, _UNPINNED_PATH)
    assert outcomes(db)[function].sqlstate not in {before[function].sqlstate, None}


HIDDEN = "hidden"
_OTHERS_KEY = f"{HIDDEN}-key"


def a_secret_channel(connect: Connect) -> PgConnection:
    """Return an application's session; another channel is full of things to tell nobody."""
    db = session(connect)
    run_clock(db, NOW)
    call(db, "create_channel", p_channel=HIDDEN, p_time_zone="Asia/Kathmandu")
    for number, at in enumerate(("10:00", "14:00")):
        reserve(
            db, DAY, "final", at, channel=HIDDEN, video=f"{HIDDEN}-{number}.mp4",
            key=f"{_OTHERS_KEY}-{number}",
        )  # fmt: skip
    call(
        db, "add_blackout", p_from="2031-03-20Z", p_to="2031-03-21Z", p_reason=f"{HIDDEN} holiday",
        p_channel=HIDDEN,
    )  # fmt: skip
    query(db, f"set role {APP}")
    return db


def told(outcome: Outcome) -> str:
    return f"{outcome.message} {outcome.detail} {outcome.hint}"


def refusals(db: PgConnection) -> list[Outcome]:
    """Provoke every refusal that a booking on a channel of one's own can meet."""
    reserve(db, DAY, "final", "10:00", video="mine.mp4", key="mine")
    reserve(db, DAY, "short", "12:00")
    reserve(db, DAY, "final", "14:00")
    slot = {"day": DAY, "kind": "final", "at": "16:00"}
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("SWARG", {**slot, "at": "24:00"}),
        ("SWCHN", {**slot, "channel": "nobody's"}),
        ("SWTYP", {**slot, "kind": "trailer"}),
        ("SWKEY", {**slot, "key": "mine"}),
        # Keys are the workspace's: that it is used is told, not by what.
        ("SWKEY", {**slot, "key": f"{_OTHERS_KEY}-0"}),
        ("SWPST", {**slot, "day": "2031-03-01"}),
        ("SWDUP", {**slot, "kind": "short", "video": "mine.mp4"}),
        ("SWTKN", {**slot, "kind": "short", "at": "10:00"}),
        ("SWLIM", slot),
    ]
    found = []
    for code, named in wanted:
        outcome = attempt_call(db, "reserve_slot", **named)
        assert outcome.sqlstate == code, told(outcome)
        found.append(outcome)
    return found


def test_refusals_on_one_channel_tell_nothing_of_another(connect: Connect) -> None:
    db = a_secret_channel(connect)
    texts = [told(outcome).replace(f"{_OTHERS_KEY}-0", "") for outcome in refusals(db)]
    assert [text for text in texts if HIDDEN in text or "Kathmandu" in text] == []


def test_a_refusal_names_a_number_that_is_asked_for_and_nothing_else_of_it(
    connect: Connect,
) -> None:
    db = a_secret_channel(connect)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("cancel_reservation", {"p_expected_version": 7}),
        ("reschedule_reservation", {"day": DAY, "at": "16:00", "p_expected_version": 7}),
        ("retry_upload", {"day": DAY, "at": "16:00"}),
        ("complete_upload", {"p_token": _PLAIN["p_token"]}),
        ("fail_upload", {"p_token": _PLAIN["p_token"]}),
    ]
    for function, named in calls:
        outcome = attempt_call(db, function, p_reservation_id=1, **named)
        assert outcome.sqlstate in {"SWVER", "SWSTA"}, told(outcome)
        assert HIDDEN not in told(outcome), told(outcome)


def test_what_a_caller_may_not_read_is_in_no_error_of_postgresql(connect: Connect) -> None:
    db = a_secret_channel(connect)
    for statement in (
        f"select * from slotwarden.reservation where video_path = '{HIDDEN}-0.mp4'",
        "select slotwarden.require_reservation(1)",
        "insert into slotwarden.request (request_key) values ('x')",
    ):
        with raises_sqlstate("42501") as refused:
            query(db, statement)
        assert HIDDEN not in told(refused.outcome)
