"""``slotwarden db``, and databases without slotwarden or without the right to use it."""

from __future__ import annotations

import sys

import pytest

from cli_support import call
from support import Connect, query, scalar, session

DAY = "2035-03-05"


def test_an_address_that_is_none_is_a_mistake() -> None:
    done = call("mysql://localhost/x", "status")
    assert done.code == 2
    assert "mysql is not PostgreSQL" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("reserve", DAY, "final", "10:00"),
        ("import", "examples/videos.csv"),
        ("db", "current"),
        ("db", "downgrade", "base", "--yes"),
    ],
)
def test_a_named_database_is_never_migrated_unasked(
    empty_database_url: str, connect: Connect, arguments: tuple[str, ...]
) -> None:
    done = call(empty_database_url, *arguments)
    assert done.code == 3
    assert "slotwarden db upgrade" in done.err
    assert "Traceback" not in done.err
    found = session(connect, dsn=empty_database_url)
    assert scalar(found, "select to_regnamespace('slotwarden')") is None


def test_a_role_without_rights_is_told_what_it_lacks(database_url: str, connect: Connect) -> None:
    admin = session(connect)
    name = scalar(admin, "select 'cli_' || current_database()")
    query(admin, f"create role {name} login")
    try:
        query(admin, f"grant slotwarden_reader to {name}")
        url = database_url.replace("postgresql://postgres@", f"postgresql://{name}@")
        assert call(url, "status").code == 0
        done = call(url, "reserve", DAY, "final", "10:00")
        assert done.code == 3
        assert "42501" in done.err
        assert "HINT" in done.err
    finally:
        query(admin, f"drop role {name}")


def test_db_installs_shows_and_removes(empty_database_url: str) -> None:
    url = empty_database_url
    first = call(url, "db", "upgrade", "0001", "--json")
    assert first.json == {"schema": "slotwarden", "before": None, "after": "0001"}
    assert call(url, "db", "upgrade", "--schema", "second").code == 0
    assert call(url, "db", "upgrade", "--schema", "second").out.endswith("already.\n")
    current = call(url, "db", "current", "--json").json
    assert current["revision"] == "0001"
    assert call(url, "status", "--schema", "second").code == 0

    unanswered = call(url, "db", "downgrade", "base")
    assert unanswered.code == 2
    assert "--yes" in unanswered.err
    assert call(url, "db", "downgrade", "base", stdin="n\n").code == 1
    assert call(url, "db", "current").code == 0
    assert call(url, "db", "downgrade", "-1", stdin="y\n").code == 0
    assert call(url, "db", "current").code == 3
    assert call(url, "status", "--schema", "second").code == 0


def test_db_tells_what_it_cannot_do(empty_database_url: str) -> None:
    unknown = call(empty_database_url, "db", "upgrade", "no-such-revision")
    assert unknown.code == 2
    assert "no-such-revision" in unknown.err
    public = call(empty_database_url, "db", "upgrade", "--schema", "public")
    assert public.code == 2
    assert "does not live in the schema" in public.err


@pytest.mark.parametrize("told_by", [("db", "current"), ("status",), ("doctor",)])
@pytest.mark.parametrize(
    ("schema", "advised"),
    [
        ("slotwarden", "slotwarden db upgrade"),
        ("w77", "slotwarden --schema w77 db upgrade"),
        ("my own", "slotwarden --schema 'my own' db upgrade"),
    ],
)
def test_the_advice_to_install_names_the_schema(
    empty_database_url: str, told_by: tuple[str, ...], schema: str, advised: str
) -> None:
    done = call(empty_database_url, "--schema", schema, *told_by)
    assert f": {advised}\n" in done.out + done.err


NOWHERE = "postgresql://nobody@localhost:1/nothing"


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32])
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("reserve", DAY, "final", "10:00"),
        ("doctor",),
        ("psql",),
        ("db", "current"),
        ("db", "upgrade"),
        ("db", "upgrade", "--sql"),
        ("db", "downgrade", "base", "--yes"),
    ],
)
def test_a_schema_that_cannot_be_is_a_mistake_before_the_database_is_asked(
    arguments: tuple[str, ...], name: str
) -> None:
    done = call(NOWHERE, "--json", "--schema", name, *arguments)
    assert done.code == 2
    assert done.json["error"]["message"] == f"a schema cannot be called {name!r}"


@pytest.mark.parametrize("how", [(), ("--sql",)])
@pytest.mark.parametrize("name", ["", "x" * 64])
def test_a_role_that_cannot_be_is_a_mistake(name: str, how: tuple[str, ...]) -> None:
    done = call(NOWHERE, "db", "upgrade", "--owner", name, *how)
    assert done.code == 2
    assert f"a role cannot be called {name!r}" in done.err


def test_a_role_that_is_postgresqls_is_a_mistake(empty_database_url: str, connect: Connect) -> None:
    done = call(empty_database_url, "db", "upgrade", "--owner", "pg_own")
    assert done.code == 2
    assert "reserved" in done.err
    found = session(connect, dsn=empty_database_url)
    assert scalar(found, "select to_regnamespace('slotwarden')") is None


@pytest.mark.parametrize("revision", ["", "@", ":", "0001:", "0001:0002:0003"])
@pytest.mark.parametrize(
    "verb", [("upgrade",), ("upgrade", "--sql"), ("downgrade", "--yes")], ids=" ".join
)
def test_what_is_no_revision_is_a_mistake(
    database_url: str, verb: tuple[str, ...], revision: str
) -> None:
    done = call(database_url, "db", *verb, revision)
    assert done.code == 2
    assert f"{revision!r} is no revision" in done.err
    assert call(database_url, "db", "current").code == 0


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://localhost:99999/x",
        "postgresql://localhost:0/x",
        "postgresql:///x?host=localhost&port=99999",
        "postgresql://one:5432,two:99999/x",
    ],
)
def test_a_port_that_cannot_be_is_a_mistake(address: str) -> None:
    done = call(address, "status")
    assert done.code == 2
    assert "A port is a number from 1 to 65535." in done.err


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    done = call("postgresql+psycopg://nobody@localhost:1/nothing", "status")
    assert done.code == 2
    assert "pip install psycopg" in done.err


def test_upgrade_as_sql_needs_no_database() -> None:
    done = call(NOWHERE, "db", "upgrade", "--sql", "--schema", "elsewhere", "--app", "my_app")
    assert (done.code, done.err) == (0, "")
    assert "set local slotwarden.schema = 'elsewhere';" in done.out
    assert "set local slotwarden.app_role = 'my_app';" in done.out
    assert "create function reserve_slot(" in done.out


def test_roles_can_be_named(empty_database_url: str, connect: Connect) -> None:
    admin = session(connect, dsn=empty_database_url)
    name = scalar(admin, "select 'app_' || current_database()")
    try:
        assert call(empty_database_url, "db", "upgrade", "--app", name).code == 0
        granted = scalar(
            admin,
            "select has_function_privilege(%s,"
            " 'slotwarden.cancel_reservation(bigint, integer)', 'execute')",
            name,
        )
        assert granted
    finally:
        query(admin, f"drop owned by {name}")
        query(admin, f"drop role {name}")
