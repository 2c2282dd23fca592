"""Installs slotwarden in each of the ways there are, and dumps what came of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url

from slotwarden import migrations
from slotwarden.embedded import find_binaries
from slotwarden.migrations import Roles

INSTALL_SQL = Path(__file__).parents[1] / "sql" / "install.sql"
# Needs quotes as a name, as a literal, and in a URL.
AWKWARD = 'Week "7" of Bob\'s 100%'


def run_program(program: str, *arguments: str, stdin: str | None = None) -> str:
    """Run one of PostgreSQL's programs and return what it printed; an error fails the test."""
    done = subprocess.run(
        [find_binaries() / program, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_sql(url: str, sql: str) -> str:
    """Run a script with psql, which stops at the first error."""
    return run_program("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url, stdin=sql)


def install_with_psql(url: str, schema: str = "slotwarden", roles: Roles | None = None) -> None:
    """Install with ``sql/install.sql``, without Python."""
    variables = {"schema": schema}
    if roles is not None:
        variables |= {
            "owner": roles.owner,
            "app": roles.app,
            "reader": roles.reader,
            "admin": roles.admin,
        }
    settings = [part for name, to in variables.items() for part in ("-v", f"{name}={to}")]
    run_program("psql", "-Xq", *settings, "-f", str(INSTALL_SQL), url)


def install_with_alembic(url: str, schema: str = "slotwarden", roles: Roles | None = None) -> None:
    """Install with ``slotwarden.migrations``, as ``slotwarden db upgrade`` does."""
    migrations.upgrade(url, schema=schema, roles=roles)


def install_offline(url: str, schema: str = "slotwarden", roles: Roles | None = None) -> None:
    """Install with the script that the migrations print, through psql."""
    run_sql(url, migrations.upgrade_sql(schema=schema, roles=roles))


WAYS: dict[str, Callable[..., None]] = {
    "psql": install_with_psql,
    "alembic": install_with_alembic,
    "offline": install_offline,
}

# Written by each dump (a random token), or by the clock at each installation.
_VARYING = re.compile(
    r"^\\(un)?restrict .*$|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d", re.MULTILINE
)


def dump(url: str, *options: str) -> list[str]:
    """Return what pg_dump writes of a database: definitions, comments, privileges, rows."""
    text = run_program("pg_dump", *options, url)
    return [line for line in _VARYING.sub("", text).splitlines() if line]


def as_user(url: str, user: str) -> str:
    """Return the URL of the same database for another user."""
    return make_url(url).set(username=user).render_as_string(hide_password=False)


def database_name(url: str) -> str:
    """Return the name of a URL's database."""
    name = make_url(url).database
    assert name is not None
    return name
