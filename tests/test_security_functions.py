"""What each function is to the server: whose, with whose rights, how pinned, for whom.

``create or replace function`` silently drops SECURITY DEFINER and SET where they are not repeated,
and a new function is everybody's to execute. So all of it is compared with rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Copies
from support import ADMIN, APP, OWNER, READER, PgConnection, own_database, query, scalar
from test_roles import ADMINISTRATION, BOOKING, READING

PATH = "search_path=slotwarden, pg_temp"
# Beside the path; what a planner is told may change, rights and paths may not.
HARMLESS_SETTINGS = {"lock_timeout", "plan_cache_mode", "enable_seqscan", "jit", "DateStyle"}
# With EXECUTE in a body. None needs it.
DYNAMIC_SQL: set[str] = set()

_FUNCTIONS = """
select
  p.proname as name,
  p.proowner::regrole::text as owner,
  p.prosecdef as definer,
  coalesce(p.proconfig, '{}') as settings,
  p.provolatile = 'v' as writes,
  p.prosqlbody is not null as bound,
  p.prorettype = 'trigger'::regtype as fires,
  l.lanname::text as language,
  p.prosrc as source,
  array(
    select coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
      || ':' || a.privilege_type || case when a.is_grantable then '*' else '' end
    from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    order by 1
  ) as rights
from pg_proc as p
join pg_language as l on l.oid = p.prolang
where p.pronamespace = 'slotwarden'::regnamespace
order by 1
"""


@dataclass(frozen=True)
class Expected:
    """The rule that a function falls under."""

    kind: str
    definer: bool
    executors: frozenset[str]


BOOKS = Expected("booking", definer=True, executors=frozenset({OWNER, APP, ADMIN}))
READS = Expected("reading", definer=True, executors=frozenset({OWNER, APP, READER, ADMIN}))
ADMINISTERS = Expected("administration", definer=True, executors=frozenset({OWNER, ADMIN}))
FIRES = Expected("trigger", definer=True, executors=frozenset({OWNER}))
# Called by those only, who are the owner already.
PRIVATE = Expected("private", definer=False, executors=frozenset({OWNER}))


def rule_of(function: Any) -> Expected:
    """Return the rule of a function; one that is not listed may not be called by anybody."""
    listed = {BOOKS: BOOKING, READS: READING, ADMINISTERS: ADMINISTRATION}
    for rule, names in listed.items():
        if function.name in names:
            return rule
    return FIRES if function.fires else PRIVATE


@pytest.fixture(scope="module")
def shared(copies: Copies) -> Iterator[PgConnection]:
    with own_database(copies) as connection:
        yield connection


@pytest.fixture(scope="module")
def functions(shared: PgConnection) -> list[Any]:
    return query(shared, _FUNCTIONS)


def test_every_function_is_the_owners(functions: list[Any]) -> None:
    assert {function.owner for function in functions} == {OWNER}


def test_every_function_runs_with_the_rights_of_its_rule(functions: list[Any]) -> None:
    found = {function.name: function.definer for function in functions}
    assert found == {function.name: rule_of(function).definer for function in functions}


def test_every_function_is_executable_by_exactly_those_of_its_rule(functions: list[Any]) -> None:
    found = {function.name: set(function.rights) for function in functions}
    assert found == {
        function.name: {f"{role}:EXECUTE" for role in rule_of(function).executors}
        for function in functions
    }


def test_every_rule_has_functions(functions: list[Any]) -> None:
    kinds = {rule_of(function).kind for function in functions}
    assert kinds == {"booking", "reading", "administration", "trigger", "private"}


def test_every_path_is_pinned_and_ends_in_pg_temp(functions: list[Any]) -> None:
    """Only a body that was bound to its objects when it was made needs no path."""
    unpinned = {function.name for function in functions if PATH not in function.settings}
    assert unpinned <= {function.name for function in functions if function.bound}
    assert not unpinned & (BOOKING | READING | ADMINISTRATION)


def test_nothing_else_is_set_but_what_is_harmless(functions: list[Any]) -> None:
    names = {
        setting.partition("=")[0]
        for function in functions
        for setting in function.settings
        if setting != PATH
    }
    assert names <= HARMLESS_SETTINGS


def test_exactly_what_changes_something_has_a_budget_for_locks(functions: list[Any]) -> None:
    budgeted = {
        function.name
        for function in functions
        if any(setting.startswith("lock_timeout=") for setting in function.settings)
    }
    assert budgeted == BOOKING | ADMINISTRATION
    writing = {function.name for function in functions if function.writes}
    assert writing & (BOOKING | READING | ADMINISTRATION) == budgeted


def test_languages_are_trusted_ones(functions: list[Any]) -> None:
    assert {function.language for function in functions} <= {"sql", "plpgsql"}


def test_there_is_no_dynamic_sql_but_what_is_listed(functions: list[Any]) -> None:
    found = {
        function.name
        for function in functions
        if function.language == "plpgsql"
        and any(
            line.split("--")[0].strip().lower().startswith(("execute ", "return query execute "))
            or " in execute " in line.lower()
            for line in function.source.splitlines()
        )
    }
    assert found == DYNAMIC_SQL


NOTHING_FOR_PUBLIC = {
    "the schema": """
        select a.privilege_type from pg_namespace as n
        cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
        where n.nspname = 'slotwarden' and a.grantee = 0
    """,
    "tables, views and sequences": """
        select c.relname, a.privilege_type from pg_class as c
        cross join lateral aclexplode(coalesce(
          c.relacl,
          acldefault(case c.relkind when 'S' then 's'::"char" else 'r'::"char" end, c.relowner)
        )) as a
        where c.relnamespace = 'slotwarden'::regnamespace and a.grantee = 0
    """,
    "columns": """
        select c.relname, t.attname from pg_attribute as t
        join pg_class as c on c.oid = t.attrelid
        where c.relnamespace = 'slotwarden'::regnamespace and t.attacl is not null
    """,
    "functions": """
        select p.proname from pg_proc as p
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.pronamespace = 'slotwarden'::regnamespace and a.grantee = 0
    """,
    # Of a schema they could only give more than the installation does.
    "default privileges": "select * from pg_default_acl",
    "membership in the owner": """
        select m.member::regrole from pg_auth_members as m
        where m.roleid = 'slotwarden_owner'::regrole
          and m.member::regrole::text in ('slotwarden_app', 'slotwarden_reader', 'slotwarden_admin')
    """,
}


@pytest.mark.parametrize("kind", NOTHING_FOR_PUBLIC)
def test_nobody_is_given_anything_by_way_of_public(shared: PgConnection, kind: str) -> None:
    assert query(shared, NOTHING_FOR_PUBLIC[kind]) == []


def test_a_function_that_is_replaced_carelessly_is_seen(shared: PgConnection) -> None:
    """The rules above are no use unless they see what they are there for."""
    query(shared, "begin")
    definition = scalar(
        shared, "select pg_get_functiondef('slotwarden.cancel_reservation'::regproc)"
    )
    careless = "\n".join(
        line.replace("SECURITY DEFINER", "")
        for line in definition.splitlines()
        if not line.strip().startswith("SET ")
    )
    query(shared, "set local search_path to slotwarden")
    query(shared, careless)
    query(shared, "create function slotwarden.added() returns int language sql return 1")
    replaced = {row.name: row for row in query(shared, _FUNCTIONS)}
    query(shared, "rollback")
    assert not replaced["cancel_reservation"].definer
    assert PATH not in replaced["cancel_reservation"].settings
    assert "public:EXECUTE" in replaced["added"].rights
