"""What the extension plpgsql_check finds in the bodies of functions, triggers with their tables.

It looks every body up against the catalogue as if it were run: columns, types, casts that would
defeat an index, variables that are never read, volatility, dynamic SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Copies
from support import PgConnection, own_database, query, scalar

# What it says that is no fault: of which functions (None: of any), how it begins, and why.
ACCEPTED = (
    # Private functions look again after a lock, where a stable one would see the state before it;
    # what raises must not be folded away while a caller is planned.
    (None, "routine is marked as VOLATILE, should be STABLE"),
    (None, "routine is marked as STABLE, should be IMMUTABLE"),
    # An array begins as '{}', which costs nothing.
    (None, "target type is different type than source type"),
    # A loop without an end of its own is left by RETURN only.
    (("book", "book_next"), "control reached end of function without RETURN"),
    # It cannot tell the fields of what a function of a table returns into a record.
    (("account_upload",), 'record "v_state" has no field'),
    (("account_upload",), 'never read variable "v_state"'),
    (("langflix_make_room",), 'record "v_usage" has no field'),
    (("langflix_make_room",), 'never read variable "v_usage"'),
    # Assigned to nowhere, since an assignment is cheaper than a PERFORM.
    (("bound_lock_wait",), 'never read variable "v_set"'),
    # Declared for the refusal of what does not exist.
    (("create_channel",), 'never read variable "v_like"'),
)

_FINDINGS = """
select p.proname as function, t.tgrelid::regclass::text as relation, c.level, c.sqlstate,
  c.message, c.lineno, c.detail
from pg_proc as p
join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
left join pg_trigger as t on t.tgfoid = p.oid and not t.tgisinternal
cross join lateral public.plpgsql_check_function_tb(
  p.oid, coalesce(t.tgrelid, 0),
  other_warnings => true, performance_warnings => true, extra_warnings => true,
  security_warnings => true, fatal_errors => false,
  oldtable => t.tgoldtable, newtable => t.tgnewtable
) as c
where p.pronamespace = 'slotwarden'::regnamespace
order by 1, 2, c.lineno
"""


@pytest.fixture(scope="module")
def checked(copies: Copies) -> Iterator[PgConnection]:
    with own_database(copies) as connection:
        known = scalar(
            connection,
            "select count(*) from pg_available_extensions where name = 'plpgsql_check'",
        )
        if not known:
            pytest.skip("this PostgreSQL has no extension plpgsql_check")
        query(connection, "create extension plpgsql_check schema public")
        query(connection, "set search_path to slotwarden, pg_temp")
        yield connection


def is_accepted(finding: Any) -> bool:
    return any(
        finding.message.startswith(beginning)
        and (functions is None or finding.function in functions)
        for functions, beginning in ACCEPTED
    )


def findings(connection: PgConnection) -> list[Any]:
    return query(connection, _FINDINGS)


def test_plpgsql_check_finds_nothing(checked: PgConnection) -> None:
    found = [tuple(row) for row in findings(checked) if not is_accepted(row)]
    assert not found, "\n".join(map(str, found))


def test_plpgsql_check_would_find_something(checked: PgConnection) -> None:
    query(
        checked,
        "begin; create function slotwarden.wrong() returns int language plpgsql"
        " as 'declare v_unused int; begin return (select nothing from reservation); end'",
    )
    found = {row.function for row in findings(checked) if not is_accepted(row)}
    query(checked, "rollback")
    assert "wrong" in found
