"""``slotwarden db ...``: the schema of the workspace."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

import slotwarden
from slotwarden.cli.connection import migration_errors, opened_engine
from slotwarden.cli.failures import ExitCode, Failure, not_installed
from slotwarden.cli.groups import CommandGroup
from slotwarden.cli.settings import Settings, settings_of
from slotwarden.roles import Roles

commands = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="The schema of the workspace: install, upgrade, go back. The embedded PostgreSQL is kept"
    " up to date by itself; a database of your own changes by these commands only.",
)

_DEFAULTS = Roles()
_ROLE_HELP = "for a first installation; created if missing, where that is allowed."


def _role(purpose: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{purpose}", metavar="ROLE", help=f"Role of the {purpose}, {_ROLE_HELP}"
    )
    return option


@commands.command()
def upgrade(
    context: typer.Context,
    revision: Annotated[
        str,
        typer.Argument(help="A revision, a step such as +1, or with --sql a range: 0001:head."),
    ] = "head",
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL instead of running it; needs no database.")
    ] = False,
    owner: Annotated[str, _role("owner")] = _DEFAULTS.owner,
    app: Annotated[str, _role("app")] = _DEFAULTS.app,
    reader: Annotated[str, _role("reader")] = _DEFAULTS.reader,
    admin: Annotated[str, _role("admin")] = _DEFAULTS.admin,
) -> None:
    """Install slotwarden, or bring it up to a later revision, in one transaction.

    Needs no superuser: CREATE on the database, and CREATEROLE or roles that exist already.
    """
    settings = settings_of(context)
    roles = Roles(owner=owner, app=app, reader=reader, admin=admin)
    if sql:
        with migration_errors():
            text = slotwarden.migrations.upgrade_sql(
                schema=settings.schema, revisions=revision, roles=roles
            )
        settings.output.text(text)
        return
    with opened_engine(settings, prepare=False) as engine, migration_errors():
        before = slotwarden.migrations.current(engine, schema=settings.schema)
        with settings.output.working("Upgrading ..."):
            slotwarden.migrations.upgrade(
                engine, schema=settings.schema, revision=revision, roles=roles
            )
        _tell(settings, before, slotwarden.migrations.current(engine, schema=settings.schema))


# So that the step -1 is not taken for an option.
@commands.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(help="The revision to go back to, or a step such as -1; base: all.")
    ],
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before data are dropped.")
    ] = False,
) -> None:
    """Go back to an earlier revision. What came with later ones is dropped, with its data.

    'base' drops every table of the workspace; its schema and the roles stay.
    """
    settings = settings_of(context)
    with opened_engine(settings, prepare=False) as engine, migration_errors():
        before = slotwarden.migrations.current(engine, schema=settings.schema)
        if before is None:
            raise not_installed(settings.schema)
        if not yes:
            _ask(settings, before, revision)
        with settings.output.working("Downgrading ..."):
            slotwarden.migrations.downgrade(engine, schema=settings.schema, revision=revision)
        _tell(settings, before, slotwarden.migrations.current(engine, schema=settings.schema))


@commands.command()
def current(context: typer.Context) -> None:
    """Show the revision of the workspace, and the latest one that this command carries.

    Exit code 3: slotwarden is not installed there.
    """
    settings = settings_of(context)
    with opened_engine(settings, prepare=False) as engine, migration_errors():
        found = slotwarden.migrations.current(engine, schema=settings.schema)
        latest = slotwarden.migrations.head()
    if found is None:
        raise not_installed(settings.schema)
    newest = "the latest" if found == latest else f"the latest is {latest}"
    settings.output.result(
        {"schema": settings.schema, "revision": found, "head": latest},
        Text(f"Schema {settings.schema!r} is at revision {found} ({newest})."),
    )


def _ask(settings: Settings, before: str, revision: str) -> None:
    question = (
        f"Take schema {settings.schema!r} from revision {before} back to {revision},"
        " and drop what came later, with its data?"
    )
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        typer.echo(err=True)
        unasked = "Nobody is there to answer; nothing was changed."
        raise Failure(ExitCode.MISTAKE, unasked, "Say --yes to go ahead.") from None
    if not agreed:
        raise Failure(ExitCode.REFUSED, "Nothing was changed.")


def _tell(settings: Settings, before: str | None, after: str | None) -> None:
    if before == after:
        text = f"Schema {settings.schema!r} was at revision {after} already."
    elif before is None:
        text = f"Schema {settings.schema!r}: slotwarden is installed, at revision {after}."
    elif after is None:
        text = f"Schema {settings.schema!r}: slotwarden is removed; it was at revision {before}."
    else:
        text = f"Schema {settings.schema!r} went from revision {before} to {after}."
    settings.output.result(
        {"schema": settings.schema, "before": before, "after": after}, Text(text)
    )
