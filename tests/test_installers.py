"""Who may install, and where: no superuser, with roles or without, in a schema of its own."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import ProgrammingError

from installing import WAYS, as_user, database_name, dump, run_sql
from slotwarden import migrations
from slotwarden.migrations import Roles
from support import Connect, coming_day, reserve, scalar, session


@pytest.mark.parametrize(
    ("way", "schema"),
    [*((way, "public") for way in WAYS), ("psql", "pg_slots"), ("alembic", "information_schema")],
)
def test_schemas_that_are_not_its_own_are_refused(
    empty_database_url: str, way: str, schema: str
) -> None:
    before = dump(empty_database_url)
    with pytest.raises((AssertionError, ProgrammingError), match="does not live in the schema"):
        WAYS[way](empty_database_url, schema)
    assert dump(empty_database_url) == before


@pytest.mark.parametrize(
    ("way", "roles_exist", "may_create_roles"),
    [
        ("psql", False, False),
        ("alembic", False, True),
        ("offline", True, False),
        ("psql", True, True),
    ],
)
def test_no_superuser_is_needed(
    empty_database_url: str, connect: Connect, way: str, roles_exist: bool, may_create_roles: bool
) -> None:
    name = database_name(empty_database_url)
    installer = f"{name}_installer"
    roles = Roles(*(f"{name}_{purpose}" for purpose in ("owner", "app", "reader", "admin")))
    createrole = "createrole" if may_create_roles else "nocreaterole"
    run_sql(
        empty_database_url,
        f"create role {installer} login {createrole};"
        f"grant create on database {name} to {installer};",
    )
    if roles_exist:
        for role in (roles.owner, roles.app, roles.reader, roles.admin):
            run_sql(empty_database_url, f"create role {role} nologin")
        run_sql(empty_database_url, f"grant {roles.owner} to {installer}")
    url = as_user(empty_database_url, installer)
    WAYS[way](url, "slotwarden", roles)
    db = session(connect, dsn=url)
    owner = installer if not (roles_exist or may_create_roles) else roles.owner
    assert scalar(
        db, "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'slotwarden'"
    ) == (owner)
    if owner != installer:
        app = session(connect, dsn=empty_database_url, role=roles.app)
        assert reserve(app, coming_day(app), "final", "20:00").created_by == roles.app
    else:
        assert reserve(db, coming_day(db), "final", "20:00").created_by == installer
    migrations.downgrade(url, revision="base")
    migrations.upgrade(url, roles=roles)
    assert migrations.current(url) == migrations.head()
