"""What every object of a workspace must be: named, commented, pinned, and closed to the public."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import Copies
from support import PgConnection, own_database, query

IN_SCHEMA = "= 'slotwarden'::regnamespace"

FAULTS = {
    "tables, views, sequences and indexes without a comment": f"""
        select c.oid::regclass from pg_class as c
        where c.relnamespace {IN_SCHEMA} and c.relkind in ('r', 'v', 'm', 'S', 'c')
          and obj_description(c.oid, 'pg_class') is null
          and not exists (select from pg_type as t
            where t.typrelid = c.oid and obj_description(t.oid, 'pg_type') is not null)
        union all
        select i.indexrelid::regclass from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        where c.relnamespace {IN_SCHEMA} and obj_description(c.oid, 'pg_class') is null
          and not exists (select from pg_constraint as k where k.conindid = c.oid)
    """,
    "columns without a comment": f"""
        select a.attrelid::regclass, a.attname from pg_attribute as a
        join pg_class as c on c.oid = a.attrelid
        where c.relnamespace {IN_SCHEMA} and c.relkind in ('r', 'v', 'm', 'c')
          and a.attnum > 0 and not a.attisdropped
          and c.relname <> 'alembic_version'
          and col_description(c.oid, a.attnum) is null
    """,
    # A comment names its constraint, so one that nobody named has none.
    "constraints without a name of their own and a comment": f"""
        select k.conrelid::regclass, k.conname from pg_constraint as k
        where k.connamespace {IN_SCHEMA} and k.contype in ('p', 'u', 'c', 'f', 'x')
          and obj_description(k.oid, 'pg_constraint') is null
    """,
    "functions without a comment": f"""
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace {IN_SCHEMA} and obj_description(p.oid, 'pg_proc') is null
    """,
    "triggers without a comment": f"""
        select t.tgrelid::regclass, t.tgname from pg_trigger as t
        join pg_class as c on c.oid = t.tgrelid
        where c.relnamespace {IN_SCHEMA} and not t.tgisinternal
          and obj_description(t.oid, 'pg_trigger') is null
    """,
    "functions that look names up by the caller's search path": f"""
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace {IN_SCHEMA} and p.prosqlbody is null
          and 'search_path=slotwarden, pg_temp' <> all (coalesce(p.proconfig, '{{}}'))
    """,
    "functions that everybody may execute": f"""
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace {IN_SCHEMA}
          and has_function_privilege('pg_monitor', p.oid, 'execute')
    """,
    "functions of the API that are not run as the owner": f"""
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace {IN_SCHEMA} and not p.prosecdef
          and has_function_privilege('slotwarden_admin', p.oid, 'execute')
    """,
    "functions of the API that may not scan a table, but may be compiled for it": f"""
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace {IN_SCHEMA}
          and has_function_privilege('slotwarden_admin', p.oid, 'execute')
          and 'enable_seqscan=off' = any (p.proconfig) and 'jit=off' <> all (p.proconfig)
    """,
    "overloaded functions, and procedures": f"""
        select p.proname from pg_proc as p where p.pronamespace {IN_SCHEMA}
        group by p.proname having count(*) > 1 or bool_or(p.prokind = 'p')
    """,
    "parameters that are not named p_...": f"""
        select p.oid::regprocedure from pg_proc as p
        cross join lateral unnest(p.proargnames[1:p.pronargs]) as name
        where p.pronamespace {IN_SCHEMA} and not starts_with(name, 'p_')
          and coalesce(p.proargmodes[array_position(p.proargnames, name)], 'i') = 'i'
    """,
    "objects that somebody else owns": f"""
        select c.relname from pg_class as c
        where c.relnamespace {IN_SCHEMA} and c.relowner <> 'slotwarden_owner'::regrole
        union all
        select p.proname from pg_proc as p
        where p.pronamespace {IN_SCHEMA} and p.proowner <> 'slotwarden_owner'::regrole
    """,
    "identity columns": f"""
        select a.attrelid::regclass, a.attname from pg_attribute as a
        join pg_class as c on c.oid = a.attrelid
        where c.relnamespace {IN_SCHEMA} and a.attidentity <> ''
    """,
    # Types are never deleted, but for a channel that has no bookings.
    "foreign keys whose deletes and updates would scan": f"""
        select k.conrelid::regclass, k.conname from pg_constraint as k
        where k.connamespace {IN_SCHEMA} and k.contype = 'f'
          and k.confrelid <> 'slotwarden.video_type'::regclass
          and not exists (
            select from pg_index as i
            where i.indrelid = k.conrelid and i.indpred is null
              and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
          )
    """,
    "triggers of a workspace that are switched off": f"""
        select t.tgrelid::regclass, t.tgname from pg_trigger as t
        join pg_class as c on c.oid = t.tgrelid
        where c.relnamespace {IN_SCHEMA} and t.tgenabled <> 'O'
    """,
    "extensions beside PL/pgSQL": "select extname from pg_extension where extname <> 'plpgsql'",
}


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    with own_database(copies) as connection:
        yield connection


@pytest.mark.parametrize("fault", FAULTS)
def test_there_are_no(shared: PgConnection, fault: str) -> None:
    assert query(shared, FAULTS[fault]) == []
