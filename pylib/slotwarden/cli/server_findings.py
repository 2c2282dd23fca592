"""What ``slotwarden doctor`` finds in the settings of the server, as far as they cost bookings."""

from __future__ import annotations

from collections.abc import Iterator

from slotwarden.cli.findings import Check, Finding, Patient
from slotwarden.cli.tables import read

_OLDEST, _NEWEST = 15, 18
_MAJOR = 10_000

# Setting, its risky value, what it risks, the value to set.
_RISKY = (
    ("fsync", "off", "a crash of the machine may damage the data", "on"),
    ("full_page_writes", "off", "a crash of the machine may damage the data", "on"),
    ("synchronous_commit", "off", "a crash loses bookings that were acknowledged", "on"),
    (
        "client_connection_check_interval",
        "0",
        "the waiting call of a dead client books when its turn comes, and nobody hears of it",
        "1s",
    ),
    (
        "idle_in_transaction_session_timeout",
        "0",
        "a forgotten transaction that has booked keeps its days locked for ever",
        "30s",
    ),
    (
        "session_replication_role",
        "replica",
        "triggers do not fire, so bookings are not charged",
        "origin",
    ),
)
# Those that a role may have otherwise than the server.
_OF_ROLES = frozenset(name for name, *_ in _RISKY) - {"fsync", "full_page_writes"}
_ALSO = (
    " or for the application's role alone: alter role ... set. An own value of the role or the"
    " database, if there is one, wins."
)


def server_version(patient: Patient) -> Iterator[Finding]:
    """Find a major version that slotwarden is not made for."""
    (row,) = read(
        patient.connection,
        patient.schema,
        "select current_setting('server_version_num')::integer as number",
    )
    if not _OLDEST <= row.number // _MAJOR <= _NEWEST:
        yield Finding(
            "server version",
            f"PostgreSQL {row.number // _MAJOR} is none that slotwarden is tested on",
            f"Use PostgreSQL {_OLDEST} to {_NEWEST}.",
        )


def risky_settings(patient: Patient) -> Iterator[Finding]:
    """Find settings with which a fault costs bookings, as this session has them."""
    rows = read(
        patient.connection,
        patient.schema,
        # One that is set for a role, such as the application's, need not be set for this one.
        "select name, setting from pg_settings as s where not exists ("
        " select from pg_db_role_setting as r, unnest(r.setconfig) as own"
        " where s.setting = '0' and r.setrole <> 0 and own ~ ('^' || s.name || '=0*[1-9]')"
        " and r.setdatabase in"
        " (0, (select oid from pg_database where datname = current_database()))"
        ")",
    )
    found = {row.name: row.setting for row in rows}
    for name, value, risk, better in _RISKY:
        if found.get(name) == value:
            yield Finding(
                "settings",
                f"{name} is {value}: {risk}",
                f"As a superuser: alter system set {name} = '{better}'; select pg_reload_conf();"
                f"{_ALSO if name in _OF_ROLES else ''}",
            )


def lock_budgets(patient: Patient) -> Iterator[Finding]:
    """Find functions whose wait for locks has no bound, or ends before deadlocks are looked for."""
    rows = read(
        patient.connection,
        patient.schema,
        "select p.proname as name, timeout.text,"
        " extract(epoch from timeout.text::interval) * 1000 as milliseconds,"
        " (select setting::integer from pg_settings where name = 'deadlock_timeout') as deadlock"
        " from pg_proc as p, unnest(p.proconfig) as config,"
        " lateral (select case when value ~ '^[0-9]+$' then value || 'ms'"
        "  else replace(value, 'min', ' minutes') end as text"
        "  from split_part(config, '=', 2) as value) as timeout"
        " where p.pronamespace = (select oid from pg_namespace where nspname = :workspace)"
        " and config like 'lock\\_timeout=%' order by p.proname",
        workspace=patient.schema,
    )
    unbound = [row.name for row in rows if not row.milliseconds]
    if unbound:
        yield Finding(
            "lock timeout",
            f"nothing bounds how long these wait for a lock: {', '.join(unbound)}",
            "As the owner: alter function ... set lock_timeout = '5s'",
        )
    late = [row for row in rows if 0 < row.milliseconds <= row.deadlock]
    if late:
        yield Finding(
            "deadlock timeout",
            f"deadlocks are looked for after {late[0].deadlock} ms only, when these have given up:"
            f" {', '.join(row.name for row in late)}",
            "As a superuser: alter system set deadlock_timeout = '1s'; select pg_reload_conf();",
        )


SERVER_CHECKS: dict[str, Check] = {
    "server version": server_version,
    "settings": risky_settings,
    "lock timeouts": lock_budgets,
}
"""Each by its name, in the order in which they are told."""
