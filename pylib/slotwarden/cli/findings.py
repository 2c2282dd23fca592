"""What ``slotwarden doctor`` finds in the workspace itself: its schema, usage, zones, triggers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

import slotwarden
from slotwarden.cli.failures import upgrade_command
from slotwarden.cli.tables import may_read, read
from slotwarden.records import Record

LONG_WAIT = dt.timedelta(seconds=1)
"""A booking that waits no longer than this is nothing to look into."""


@dataclass(frozen=True, slots=True)
class Finding(Record):
    """Something that is wrong or risky.

    Attributes
    ----------
    check : str
        Which look found it.
    found : str
        What it is.
    advice : str
        What to do.
    """

    check: str
    found: str
    advice: str


@dataclass(frozen=True, slots=True)
class Patient:
    """A workspace to be looked at.

    Attributes
    ----------
    connection : Connection
        Of any role; what it may not see is skipped.
    schema : str
        The workspace.
    revision : str or None
        Its revision; None if that cannot be read.
    """

    connection: Connection
    schema: str
    revision: str | None


class NotSeenError(Exception):
    """The role may not look at something."""

    def __init__(self, relation: str) -> None:
        super().__init__(f"this role may not read {relation}")


Check = Callable[[Patient], Iterator[Finding]]


def pending_migrations(patient: Patient) -> Iterator[Finding]:
    """Find revisions that this package has and the workspace has not, or the other way round."""
    if patient.revision is None:
        raise NotSeenError("alembic_version")
    try:
        pending = slotwarden.migrations.pending(patient.revision)
    except slotwarden.migrations.CommandError:
        yield Finding(
            "migrations",
            f"the workspace is at revision {patient.revision}, which this package does not know",
            "Upgrade the package: pip install --upgrade slotwarden",
        )
        return
    if pending:
        yield Finding(
            "migrations",
            f"not applied yet: {', '.join(pending)}",
            f"Apply them at a quiet hour, as the owner: {upgrade_command(patient.schema)}",
        )


def usage_drift(patient: Patient) -> Iterator[Finding]:
    """Find usage that does not add up with the bookings and the ledger."""
    _require(patient, "usage_drift")
    rows = read(
        patient.connection,
        patient.schema,
        "select kind, count(*) as number, min(day) as first_day, max(day) as last_day,"
        " min(detail) as detail from {schema}.usage_drift group by kind order by kind",
    )
    for row in rows:
        span = f"--from {row.first_day or 'DAY'} --to {row.last_day or 'DAY'}"
        advice = (
            f"See what would be repaired: slotwarden recalculate {span} --dry-run; then again"
            " without --dry-run."
        )
        if row.kind == "gap":
            advice = "No repair brings deleted entries back: restore the ledger from a backup."
        yield Finding("usage drift", f"{row.number} of kind {row.kind}: {row.detail}", advice)


def lock_waits(patient: Patient) -> Iterator[Finding]:
    """Find sessions that have waited long for the lock of a day."""
    _require(patient, "lock_waits")
    rows = read(
        patient.connection,
        patient.schema,
        "select waiting_pid, blocking_pids, limit_id, day from {schema}.lock_waits"
        " where waiting_since is null or clock_timestamp() - waiting_since > :long"
        " order by waiting_since",
        long=LONG_WAIT,
    )
    for row in rows:
        day = "a day that is being created" if row.day is None else f"{row.limit_id} on {row.day}"
        blockers = ", ".join(map(str, row.blocking_pids))
        yield Finding(
            "lock waits",
            f"process {row.waiting_pid} waits for {day}, held by {blockers}",
            f"See in pg_stat_activity what {blockers} do; a forgotten transaction is ended by"
            " pg_terminate_backend(pid).",
        )


def unknown_zones(patient: Patient) -> Iterator[Finding]:
    """Find zones that the server does not know, or not any more."""
    for relation in ("channel", "daily_limit"):
        _require(patient, relation)
    rows = read(
        patient.connection,
        patient.schema,
        "select used.of, used.name, used.time_zone from ("
        " select 'channel' as of, channel_id as name, time_zone from {schema}.channel"
        " union all"
        " select 'limit', limit_id, time_zone from {schema}.daily_limit"
        ") as used where used.time_zone is not null"
        " and not exists (select from pg_timezone_names as z where z.name = used.time_zone)"
        " order by 1, 2",
    )
    for row in rows:
        yield Finding(
            "zones",
            f"the server does not know the zone {row.time_zone} of {row.of} {row.name}",
            "Renew the server's time zone data (package tzdata), or give it a zone that exists:"
            f" slotwarden {row.of} set {row.name} --time-zone ZONE",
        )


def disabled_triggers(patient: Patient) -> Iterator[Finding]:
    """Find triggers that are switched off: bookings would not be charged."""
    rows = read(
        patient.connection,
        patient.schema,
        "select c.relname as relation, t.tgname as name"
        " from pg_trigger as t join pg_class as c on c.oid = t.tgrelid"
        " join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = :workspace and not t.tgisinternal and t.tgenabled in ('D', 'R')"
        " order by 1, 2",
        workspace=patient.schema,
    )
    for row in rows:
        yield Finding(
            "triggers",
            f"the trigger {row.name} on {row.relation} is off, so a rule of the workspace is not"
            " kept",
            f"As the owner: alter table {patient.schema}.{row.relation} enable trigger {row.name};"
            " then look for usage drift.",
        )


def _require(patient: Patient, relation: str) -> None:
    if not may_read(patient.connection, patient.schema, relation):
        raise NotSeenError(relation)


WORKSPACE_CHECKS: dict[str, Check] = {
    "migrations": pending_migrations,
    "usage drift": usage_drift,
    "lock waits": lock_waits,
    "zones": unknown_zones,
    "triggers": disabled_triggers,
}
"""Each by its name, in the order in which they are told."""
