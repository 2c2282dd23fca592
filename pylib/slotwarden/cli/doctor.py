"""``slotwarden doctor``: what is wrong or risky, and what to do about it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence

import typer
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Connection, Engine

import slotwarden
from slotwarden.cli.connection import opened_engine
from slotwarden.cli.failures import ExitCode, upgrade_command
from slotwarden.cli.findings import WORKSPACE_CHECKS, Finding, NotSeenError, Patient
from slotwarden.cli.output import shown
from slotwarden.cli.server_findings import SERVER_CHECKS
from slotwarden.cli.settings import settings_of
from slotwarden.cli.tables import may_read, read


def doctor(context: typer.Context) -> None:
    """Look for what is wrong or risky in the workspace and its server, and say what to do.

    Versions and migrations that wait; usage that does not add up; bookings that have waited for a
    lock for more than a second; zones that the server does not know; triggers that are off;
    settings with which a fault costs bookings. It changes nothing. What your role may not see is
    told as not looked at: the reader's role sees usage and lock waits, the owner's everything.

    Exit code 0: nothing was found; 1: something was.
    """
    settings = settings_of(context)
    with (
        opened_engine(settings, prepare=False) as engine,
        settings.output.working("Looking ..."),
        engine.connect() as connection,
    ):
        patient = Patient(
            connection, settings.schema, _revision(engine, connection, settings.schema)
        )
        facts = _facts(patient)
        found, unseen = _examine(patient)
    told = {"findings": [finding.to_dict() for finding in found], "not_looked_at": unseen}
    settings.output.result(facts | told, *_drawn(facts, found, unseen))
    if found:
        raise typer.Exit(ExitCode.REFUSED)


def _revision(engine: Engine, connection: Connection, schema: str) -> str | None:
    """Return the revision; None where there is none, or the role may not read it."""
    if not may_read(connection, schema, "alembic_version"):
        return None
    return slotwarden.migrations.current(engine, schema=schema)


def _facts(patient: Patient) -> dict[str, object]:
    (server,) = read(
        patient.connection,
        patient.schema,
        "select current_setting('server_version') as version, current_user::text as role",
    )
    return {
        "server_version": server.version,
        "package_version": importlib.metadata.version("slotwarden"),
        "role": server.role,
        "schema": patient.schema,
        "revision": patient.revision,
        "head": slotwarden.migrations.head(),
    }


def _examine(patient: Patient) -> tuple[list[Finding], dict[str, str]]:
    """Make every check; give the findings, and why the others could not be made."""
    found: list[Finding] = []
    unseen: dict[str, str] = {}
    checks = SERVER_CHECKS
    if _is_installed(patient):
        checks = WORKSPACE_CHECKS | SERVER_CHECKS
    else:
        missing = f"slotwarden is not installed in schema {patient.schema!r} of this database"
        advice = f"Install it: {upgrade_command(patient.schema)}"
        found.append(Finding("installation", missing, advice))
    for name, check in checks.items():
        try:
            found += check(patient)
        except NotSeenError as error:
            unseen[name] = str(error)
    return found, unseen


def _is_installed(patient: Patient) -> bool:
    rows = read(
        patient.connection,
        patient.schema,
        "select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = :workspace and c.relname = 'reservation'",
        workspace=patient.schema,
    )
    return bool(rows)


def _drawn(
    facts: Mapping[str, object], found: Sequence[Finding], unseen: Mapping[str, str]
) -> Iterator[RenderableType]:
    revision = "cannot be read" if facts["revision"] is None else facts["revision"]
    yield Text(
        f"PostgreSQL {shown(facts['server_version'])}, slotwarden {facts['package_version']};"
        f" schema {shown(facts['schema'])} at revision {revision} (the latest: {facts['head']})"
    )
    for finding in found:
        yield Text.assemble(
            ("\n! ", "bold red"), (f"{finding.check}: ", "bold"), shown(finding.found)
        )
        yield Text(f"  {shown(finding.advice)}", style="yellow")
    if unseen:
        yield Text("")
    for name, why in unseen.items():
        yield Text(f"- {name}: not looked at, {shown(why)}", style="dim")
    if not found:
        yield Text("Nothing was found.", style="green")
