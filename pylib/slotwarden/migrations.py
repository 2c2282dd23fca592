"""Installs, upgrades and downgrades a workspace: Alembic underneath.

The revisions and the preparation are SQL files that are carried in the
package, so that ``pip install slotwarden`` is enough to migrate.
"""

from __future__ import annotations

import io
import re
import threading
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Engine, inspect

from slotwarden.database import check_name, create_engine, transactional
from slotwarden.errors import translated_errors
from slotwarden.exceptions import InvalidArgument
from slotwarden.roles import Roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

__all__ = [
    "CommandError",
    "Roles",
    "current",
    "downgrade",
    "head",
    "pending",
    "upgrade",
    "upgrade_sql",
]


# Of others Alembic asserts that nobody writes them. There are no branches, which have an @.
_REVISIONS = re.compile(r"[^:@]+(:[^:@]+)?")

# Alembic keeps the migration that is running in module variables.
_one_at_a_time = threading.Lock()


def upgrade(
    database: Engine | URL | str,
    *,
    schema: str = "slotwarden",
    revision: str = "head",
    roles: Roles | None = None,
) -> None:
    """Install the workspace, or bring it to a later revision, in one transaction.

    Parameters
    ----------
    database
        Engine or URL of the database.
    schema
        The workspace's schema; any but ``public``. Created if missing.
    revision
        ``head``, a revision, or a step such as ``+1``.
    roles
        Names of the roles, for a first installation.

    Raises
    ------
    DatabaseUnavailable
        The database cannot be reached.
    InvalidArgument
        SWARG: a schema's name that PostgreSQL cannot have, or no revision.
    """
    _check_revision(revision)
    with _configured(database, schema, roles) as config:
        command.upgrade(config, revision)


def downgrade(database: Engine | URL | str, *, schema: str = "slotwarden", revision: str) -> None:
    """Take the workspace back to an earlier revision, in one transaction.

    What a later revision added is dropped, with its data; ``base`` drops all
    of it, but for the schema and the roles.

    Raises
    ------
    DatabaseUnavailable
        The database cannot be reached.
    InvalidArgument
        SWARG: as in `upgrade`.
    """
    _check_revision(revision)
    with _configured(database, schema, None) as config:
        command.downgrade(config, revision)


def current(database: Engine | URL | str, *, schema: str = "slotwarden") -> str | None:
    """Return the revision of the workspace; ``None``: it is not installed.

    Raises
    ------
    DatabaseUnavailable
        The database cannot be reached.
    InvalidArgument
        SWARG: a schema's name that PostgreSQL cannot have.
    """
    check_name(schema, "a schema")
    with _connected(database) as connection:
        if not inspect(connection).has_table("alembic_version", schema=schema):
            return None
        context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
        return context.get_current_revision()


def head() -> str | None:
    """Return the latest revision that this version of slotwarden carries."""
    return ScriptDirectory.from_config(_config("slotwarden", None)).get_current_head()


def pending(revision: str) -> list[str]:
    """Return the revisions that come after one, in the order in which they are applied.

    Raises
    ------
    CommandError
        This version of slotwarden does not carry `revision`.
    """
    script = ScriptDirectory.from_config(_config("slotwarden", None))
    script.get_revision(revision)
    later = script.iterate_revisions("head", revision)
    return [found.revision for found in later][::-1]


def upgrade_sql(
    *, schema: str = "slotwarden", revisions: str = "head", roles: Roles | None = None
) -> str:
    """Return the upgrade as SQL text, to be run elsewhere.

    Parameters
    ----------
    revisions
        A target, or a range such as ``0001:head``.

    Raises
    ------
    InvalidArgument
        SWARG: as in `upgrade`.
    """
    _check_revision(revisions)
    config = _config(schema, roles)
    config.output_buffer = io.StringIO()
    with _one_at_a_time:
        command.upgrade(config, revisions, sql=True)
    return config.output_buffer.getvalue()


def prepare_sql(schema: str, roles: Roles) -> str:
    """Return what goes before every migration: settings, then alembic/prepare.sql."""
    settings = {"schema": schema} | {
        f"{field.name}_role": name
        for field, name in zip(fields(roles), astuple(roles), strict=True)
    }
    lines = [f"set local slotwarden.{name} = {_literal(to)};" for name, to in settings.items()]
    return "\n".join([*lines, (_scripts() / "prepare.sql").read_text(encoding="utf-8")])


def run_frozen(revision_file: Path, direction: str) -> None:
    """Run the SQL that is frozen beside a revision: its ``up`` or ``down`` file."""
    sql = revision_file.parent / "sql" / f"{revision_file.stem}.{direction}.sql"
    run_sql(op.get_context(), sql.read_text(encoding="utf-8"))


def run_sql(context: MigrationContext, sql: str) -> None:
    """Run, or offline print, a script as it stands: no parameter syntax in it counts."""
    if context.as_sql:
        context.impl.static_output(sql)
    elif context.connection is not None:
        context.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def _check_revision(written: str) -> None:
    if _REVISIONS.fullmatch(written) is None:
        raise InvalidArgument(
            f"{written!r} is no revision",
            hint="Give head, a revision such as 0001, or a step such as +1.",
        )


def _literal(text: str) -> str:
    if "\\" in text or "\0" in text:
        raise ValueError(f"a name of a schema or role has no backslash: {text!r}")
    return "'" + text.replace("'", "''") + "'"


def _scripts() -> Path:
    package = Path(__file__).parent
    carried = package / "alembic"
    return carried if carried.is_dir() else package.parents[1] / "alembic"


def _config(schema: str, roles: Roles | None) -> Config:
    check_name(schema, "a schema")
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["schema"] = schema
    config.attributes["roles"] = roles or Roles()
    return config


@contextmanager
def _connected(database: Engine | URL | str) -> Iterator[Connection]:
    if isinstance(database, Engine):
        with _connection(database) as connection:
            yield connection
        return
    engine = create_engine(database)
    try:
        with _connection(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _connection(engine: Engine) -> Connection:
    with translated_errors(commits=False):
        return transactional(engine).connect()


@contextmanager
def _configured(database: Engine | URL | str, schema: str, roles: Roles | None) -> Iterator[Config]:
    config = _config(schema, roles)
    with _connected(database) as connection, _one_at_a_time:
        config.attributes["connection"] = connection
        yield config
