"""Calls of the public functions in plain SQL, and what may come of one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass

import psycopg2
from fuzz_values import sql_values
from fuzz_world import World
from hypothesis import strategies as st

from sessions import ADMIN, APP, READER, PgConnection, query

ROLES = (APP, ADMIN, READER)
# A message is read by people; a megabyte that was passed in does not come back in it.
LONGEST_MESSAGE = 2000

_FUNCTIONS = """
select
  p.oid::regproc::text as name,
  p.provolatile = 's' as reads_only,
  coalesce(obj_description(p.oid, 'pg_proc'), '') as comment,
  p.pronargs - p.pronargdefaults as required,
  array(
    select n.name from unnest(p.proargnames[1:p.pronargs]) with ordinality as n (name, place)
    order by n.place
  ) as parameters,
  array(
    select format_type(t.kind, null) from unnest(p.proargtypes) with ordinality as t (kind, place)
    order by t.place
  ) as kinds,
  array(
    select role::text from unnest(%s::text[]) as role
    where has_function_privilege(role, p.oid, 'execute')
  ) as roles
from pg_proc as p
where p.pronamespace = 'slotwarden'::regnamespace
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
order by 1
"""
_CODE = re.compile(r"\b(?:SW[A-Z]{3}|[0-9][0-9A-Z]{4})\b")


@dataclass(frozen=True, repr=False)
class Function:
    """A function that some role may call, as the catalogue has it."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    required: int
    roles: tuple[str, ...]
    reads_only: bool
    codes: frozenset[str]

    def __repr__(self) -> str:
        return self.name

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, repr=False)
class Call:
    """A call as it is drawn; `state` is that of the caller's transaction."""

    role: str
    state: str
    function: Function
    arguments: dict[str, str]

    @property
    def sql(self) -> str:
        named = ", ".join(f"{name} => {value}" for name, value in self.arguments.items())
        return f"select to_jsonb(r) from {self.function.name}({named}) as r"

    def __repr__(self) -> str:
        return f"<{self.role}, {self.state}: {self.sql[:2000]}>"


@dataclass(frozen=True)
class Came:
    """What came of a call: rows, or an error."""

    code: str
    rows: tuple[dict[str, object], ...] = ()
    message: str = ""
    detail: str | None = None
    context: str | None = None


def public_functions(connection: PgConnection) -> list[Function]:
    """Return what the roles may call; a function that is new is among them."""
    found = query(connection, _FUNCTIONS, list(ROLES))
    documented = {
        row.name.rpartition(".")[2]: frozenset(_CODE.findall(row.comment.partition("Errors: ")[2]))
        for row in found
    }
    return [
        Function(
            row.name,
            tuple(zip(row.parameters, row.kinds, strict=True)),
            row.required,
            tuple(row.roles),
            row.reads_only,
            _with_those_of(row.comment, documented),
        )
        for row in found
        if row.roles
    ]


def _with_those_of(comment: str, documented: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return the SQLSTATEs that a comment names, also as "those of" another function."""
    errors = comment.partition("Errors: ")[2].partition("Locks: ")[0]
    named = [documented.get(name, frozenset()) for name in re.findall(r"those of (\w+)", errors)]
    return frozenset(_CODE.findall(errors)).union(*named)


def calls(functions: list[Function], world: World) -> st.SearchStrategy[Call]:
    """Draw a role, a function that it may call, and arguments."""
    states = st.sampled_from(["open"] * 12 + ["read only", "aborted"])

    def of(function: Function) -> st.SearchStrategy[Call]:
        drawn = {
            name: sql_values(name.removeprefix("p_"), kind, world)
            for name, kind in function.parameters
        }
        must = [name for name, _ in function.parameters][: function.required]
        arguments = st.fixed_dictionaries(
            {name: drawn[name] for name in must},
            optional={name: value for name, value in drawn.items() if name not in must},
        )
        return st.builds(
            Call, st.sampled_from(function.roles), states, st.just(function), arguments
        )

    return st.one_of([of(function) for function in functions])


def enter(connection: PgConnection, role: str, state: str) -> None:
    """Open a transaction in the state of a call's caller."""
    begin = "begin read only" if state == "read only" else "begin"
    query(connection, f"{begin}; set local role {role}")
    if state == "aborted":
        with suppress(psycopg2.errors.DivisionByZero):
            query(connection, "select 1 / 0")


def make(connection: PgConnection, call: Call) -> Came:
    """Make a call in a transaction that is open."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(call.sql)
            return Came("00000", tuple(row[0] or {} for row in cursor.fetchall()))
    except psycopg2.Error as error:
        said = error.diag
        return Came(
            error.pgcode or f"no SQLSTATE: {error}",
            (),
            said.message_primary or str(error),
            said.message_detail,
            said.context,
        )


def objection(call: Call, came: Came) -> str | None:
    """Say why a call may not end so; None: it may."""
    if call.state == "aborted":
        # A text that is not in the encoding is not even read as a statement.
        return None if came.code in {"25P02", "22021"} else "an aborted transaction goes on"
    if came.code == "00000":
        return None
    if came.code in call.function.codes:
        return _unclear(came)
    if came.code == "25006" and call.state == "read only" and not call.function.reads_only:
        return None
    # What is no value of its type is refused before any function is called.
    outside = came.context is None or "function" not in came.context
    if outside and (came.code.startswith("22") or came.code in {"54000", "54001"}):
        return None
    return "an error that the function is not said to give"


def _unclear(came: Came) -> str | None:
    if len(came.message) > LONGEST_MESSAGE or len(came.detail or "") > 2 * LONGEST_MESSAGE:
        return "an error longer than anybody reads"
    if not came.code.startswith("SW"):
        return None
    if not came.message.strip():
        return "an error that says nothing"
    try:
        facts = json.loads(came.detail or "")
    except ValueError:
        return "a DETAIL that is no JSON"
    return None if isinstance(facts, dict) and facts else "a DETAIL without facts"


def refused_in_rows(came: Came) -> bool:
    """Whether the rows of a call say that each of its bookings was refused."""
    return bool(came.rows) and all(
        "outcome" in row and row.get("reservation") is None for row in came.rows
    )
