"""The references are whole: every function, column, error and exit code, as it is in the code."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from docs_support import PAGES, ROOT, examples, prose, read
from slotwarden import Scheduler, SlotwardenError, exceptions
from slotwarden.cli.failures import EXIT_CODES
from support import ADMIN, APP, READER, Connect, query, session

SQL_API = ROOT / "docs" / "sql-api.md"
PYTHON_API = ROOT / "docs" / "python-api.md"


def sections() -> dict[str, str]:
    """Return the text below each third-level heading of the SQL reference, by its name."""
    _, *parts = re.split(r"^### (.+)$", read(SQL_API), flags=re.MULTILINE)
    cut = (re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0] for text in parts[1::2])
    return dict(zip((name.strip("`") for name in parts[::2]), cut, strict=True))


def public_functions(connection: Any) -> list[Any]:
    """Return the functions of the API: those that the administrator's role may call."""
    return query(
        connection,
        """
        select
          p.oid, p.proname as name, p.proretset as is_set,
          pg_get_function_arguments(p.oid) as arguments,
          pg_get_function_result(p.oid) as result,
          p.proargnames as names, p.proargmodes as modes,
          obj_description(p.oid) as comment,
          has_function_privilege(%s, p.oid, 'execute') as app,
          has_function_privilege(%s, p.oid, 'execute') as reader
        from pg_proc as p
        where p.pronamespace = 'slotwarden'::regnamespace
          and has_function_privilege(%s, p.oid, 'execute')
        order by p.proname
        """,
        APP,
        READER,
        ADMIN,
    )


_SHORTER = [
    ("time without time zone", "time"),
    ("timestamp with time zone", "timestamptz"),
    ("DEFAULT", "default"),
    ("TABLE", "table"),
    ("SETOF", "setof"),
    ("NULL", "null"),
    ("slotwarden.", ""),
    ("'00:00:00'", "'0'"),
    ("'00:15:00'", "'15 minutes'"),
]


def shortened(declaration: str) -> str:
    """Return a declaration of the catalog as people write it."""
    for long, short in _SHORTER:
        declaration = declaration.replace(long, short)
    return re.sub(r"::[a-z]+(\[\])?", "", declaration)


def one_line(text: str) -> str:
    flat = re.sub(r"\s+", " ", text).strip()
    return flat.replace("( ", "(").replace(" )", ")")


def signature_of(section: str) -> str:
    found = re.search(r"^```postgresql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found, "no signature"
    return one_line(found[1])


def first_column(section: str, heading: str) -> list[str]:
    """Return the names in the first column of the table below a column heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-| :]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table, f"no table {heading!r}"
    cells = (row.split("|")[1] for row in table[1].splitlines())
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_sql_reference_has_every_function_as_it_is(connect: Connect) -> None:
    found = sections()
    functions = public_functions(session(connect))
    assert {f.name for f in functions} <= set(found)
    for function in functions:
        section = found[function.name]
        declared = f"{function.name}({function.arguments}) returns {function.result}"
        assert signature_of(section) == shortened(declared)

        names = list(zip(function.names or [], function.modes or [], strict=False))
        if function.modes is None:
            names = [(name, "i") for name in function.names or []]
        parameters = [name for name, mode in names if mode == "i"]
        columns = [name for name, mode in names if mode == "t"]
        if parameters:
            assert first_column(section, "parameter") == parameters, function.name
        if columns:
            assert first_column(section, "column") == columns, function.name


def test_the_sql_reference_has_every_function_with_an_example(connect: Connect) -> None:
    found = sections()
    for function in public_functions(session(connect)):
        assert any(
            f"slotwarden.{function.name}(" in each.code and each.shown
            for each in examples(found[function.name])
        ), function.name


def test_the_sql_reference_has_the_errors_and_locks_of_every_function(connect: Connect) -> None:
    code = r"\b(?:SW[A-Z]{3}|55P03|40001|40P01|25001)\b"
    found = sections()
    for function in public_functions(session(connect)):
        section = found[function.name]
        errors = re.search(r"^\*\*Errors:\*\* (.+?)\n\n", section, re.MULTILINE | re.DOTALL)
        locks = re.search(r"^\*\*Locks:\*\* (.+?)\n\n", section, re.MULTILINE | re.DOTALL)
        assert errors, function.name
        assert locks, function.name
        raised = function.comment.partition("Errors: ")[2]
        assert set(re.findall(code, errors[1])) == set(re.findall(code, raised)), function.name
        assert locks[1].startswith("none") == ("Locks: " not in function.comment), function.name


def test_the_sql_reference_says_who_may_call_what(connect: Connect) -> None:
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(#\w+\) \| .*? \| ([a-z, ]+) \|$", read(SQL_API), re.MULTILINE
    )
    allowed = {
        function.name: {"admin"}
        | ({"app"} if function.app else set())
        | ({"reader"} if function.reader else set())
        for function in public_functions(session(connect))
    }
    assert {name: set(roles.split(", ")) for name, roles in rows} == allowed


def test_the_sql_reference_has_the_columns_of_rows_and_views(connect: Connect) -> None:
    found = sections()
    connection = session(connect)
    for relation in (
        "reservation", "channel", "video_type", "posting_time", "daily_limit", "limit_day",
        "charge_rule", "blackout", "external_usage", "daily_usage", "usage_drift", "lock_waits",
        "youtube_schedule", "youtube_quota_usage",
    ):  # fmt: skip
        columns = query(
            connection,
            "select attname from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
            f"slotwarden.{relation}",
        )
        assert first_column(found[relation], "column") == [c.attname for c in columns], relation


def test_the_constraints_that_are_named_exist(connect: Connect) -> None:
    names = {
        row.name
        for row in query(
            session(connect),
            "select conname as name from pg_constraint"
            " where connamespace = 'slotwarden'::regnamespace"
            " union select indexrelid::regclass::text from pg_index"
            " join pg_class on pg_class.oid = indrelid"
            " where relnamespace = 'slotwarden'::regnamespace"
            " union select tgname from pg_trigger join pg_class on pg_class.oid = tgrelid"
            " where relnamespace = 'slotwarden'::regnamespace",
        )
    }
    names = {name.removeprefix("slotwarden.") for name in names}
    # Raised by a trigger in a constraint's stead.
    names.add("reservation_local_date_true")
    for page in PAGES:
        for name in re.findall(r"`(\w+_(?:key|pkey|fkey|valid|maximum|minute|true))`", prose(page)):
            assert name in names or name.endswith("request_key"), f"{page.name}: {name}"


# --- tables of errors, exit codes, roles --------------------------------------------------------


def error_classes() -> set[type[SlotwardenError]]:
    return {
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, SlotwardenError) and kind.sqlstate
    }


@pytest.mark.parametrize("page", ["README.md", "docs/sql-api.md", "docs/python-api.md"])
def test_every_error_is_in_the_table(page: str) -> None:
    rows = [line for line in read(ROOT / page).splitlines() if line.startswith("| `")]
    for kind in error_classes():
        assert any(f"`{kind.sqlstate}`" in row and f"`{kind.__name__}`" in row for row in rows), (
            kind.__name__
        )


def test_every_attribute_of_an_error_is_told() -> None:
    rows = [line for line in read(PYTHON_API).splitlines() if line[:1] == "|"]
    for kind in error_classes():
        attributes = {
            name
            for name, value in vars(kind).items()
            if type(value).__name__ == "_Detail" and kind.sqlstate
        }
        row = next(row for row in rows if f"`{kind.__name__}`" in row)
        assert {name for name in attributes if f"`{name}`" not in row} == set(), kind.__name__


def test_every_exit_code_is_told() -> None:
    rows = re.findall(r"^\| (\d+) \| ", read(PYTHON_API), re.MULTILINE)
    assert [int(code) for code in rows] == [int(code) for code in EXIT_CODES]


def test_every_method_is_told_with_what_it_returns() -> None:
    rows = [line for line in read(PYTHON_API).splitlines() if line.startswith("| `")]
    for name, method in inspect.getmembers(Scheduler, inspect.isfunction):
        if name.startswith("_") or name == "close":
            continue
        returned = re.findall(r"[A-Z]\w+", inspect.signature(method).return_annotation)
        row = next((row for row in rows if f"`{name}`" in row and f"`{returned[0]}`" in row), None)
        assert row, name
        assert ("None" in returned) == ("or None" in row), name
