"""Millions of reservations with the days and ledger entries that belong to them, by COPY.

Reservation number k of a channel lies on one of ten years' days, three at most on each, at 10:00,
14:00 or 18:00 UTC: a final, then shorts. At those hours the quota day in California is the same
date, so that versions and balances are known without looking: the third booking of a day has
version 3 of the units and version 2 of the shorts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as PgConnection  # noqa: N812

from benchmarks.cells import CHANNELS
from benchmarks.server import rows, scalar, session
from benchmarks.workspace import PLENTY, TABLES, UNITS

DAYS = 3652
# The last year of the ten is still to come.
_PAST_DAYS = DAYS - 365
_BUFFER = 1 << 20

# One row a reservation: its number, channel, day, and the how-many-eth it is of its day.
_BOOKINGS = """
  select
    k * {channels} + c + 1 as reservation_id,
    'c' || c as channel_id,
    current_date - {past} + d::integer as day,
    (k - (d * {each} + {days} - 1) / {days})::integer as nth
  from (
    select k, c, k * {days} / {each} as d
    from generate_series(0, {channels} - 1) as c, generate_series(0, {each} - 1::bigint) as k
  ) as numbered
"""

_RESERVATION = {
    "reservation_id": "b.reservation_id",
    "channel_id": "b.channel_id",
    "video_type": "case b.nth when 0 then 'final' else 'short' end",
    "scheduled_publish_time": "(b.day + time '10:00' + b.nth * interval '4h') at time zone 'UTC'",
    "upload_time": "(b.day + time '10:00' + b.nth * interval '4h') at time zone 'UTC'",
    "local_date": "b.day",
    "time_zone": "'UTC'",
    "upload_status": "case when b.day < current_date then 'completed' else 'scheduled' end",
    "attempt": "1",
    "held_units": f"{UNITS + 1}",
    "version": "case when b.day < current_date then 3 else 1 end",
    "charged_at": "(b.day - 30)::timestamptz",
    "created_at": "(b.day - 30)::timestamptz",
    "created_by": "'slotwarden_app'",
    "pool": "null",
}
_LEDGER = {
    "limit_id": "b.channel_id || '/' || e.limit_name",
    "day": "b.day",
    "version": "e.nth",
    "reservation_id": "b.reservation_id",
    "attempt": "case e.limit_name when 'api_units' then 1 end",
    "units": "e.units",
    "used_units": "e.nth * e.units",
    "max_units": f"{PLENTY}",
    "reason": "'reserve'",
    "at": "(b.day - 30)::timestamptz",
    "by": "'slotwarden_app'",
}
_ENTRIES = f"""
  cross join lateral (values
    (case b.nth when 0 then 'final' else 'short' end, greatest(b.nth, 1), 1),
    ('api_units', b.nth + 1, {UNITS})
  ) as e (limit_name, nth, units)
"""
_LIMIT_DAY = {
    "limit_id": "b.channel_id || '/' || e.limit_name",
    "day": "b.day",
    "max_units": f"{PLENTY}",
    "overridden": "false",
}
_USAGE = {**_LIMIT_DAY, "used_units": "1"}


def load(
    url: str, reservations: int, contenders: set[str], progress: Callable[[str], None]
) -> None:
    """Fill the ten years before next year's end, on the channels that have room.

    Indexes are dropped and made anew, triggers rest: what they would do is in the rows. The
    statistics are gathered, and the rows are frozen as they would be after ten years.

    Parameters
    ----------
    reservations : int
        A multiple of the number of channels.
    contenders : set of str
        Whose tables are filled, beside slotwarden's.

    Raises
    ------
    RuntimeError
        What was loaded does not add up, or an index is missing.
    """
    bookings = _BOOKINGS.format(
        channels=CHANNELS, past=_PAST_DAYS, days=DAYS, each=reservations // CHANNELS
    )
    others = sorted({TABLES[name] for name in contenders if name in TABLES})
    first_of_limit = f"{_ENTRIES} where e.nth = 1"
    copies = [
        ("slotwarden.reservation", _RESERVATION, ""),
        ("slotwarden.usage_ledger", _LEDGER, _ENTRIES),
        ("slotwarden.limit_day", _LIMIT_DAY, first_of_limit),
        *((f"bench.{table}", _RESERVATION, "") for table in others),
        *([("bench.orm_usage", _USAGE, first_of_limit)] if TABLES["orm"] in others else []),
    ]
    for table, values, tail in copies:
        progress(f"{reservations:,}: {table}")
        _copy(url, table, values, f"from ({bookings}) as b {tail}")
    with session(url) as connection:
        for sequence in ("slotwarden.reservation", *(f"bench.{table}" for table in others)):
            rows(connection, f"select setval('{sequence}_id_seq', {reservations})")
        progress(f"{reservations:,}: checking")
        _check(connection, reservations)


def _copy(url: str, table: str, values: dict[str, str], source: str) -> None:
    """Stream generated rows from one session into a table through another."""
    with session(url) as reader:
        present = {
            name
            for (name,) in rows(
                reader,
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
                table,
            )
        }
        given = {name: value for name, value in values.items() if name in present}
        select = f"select {', '.join(given.values())} {source}"
        inlet, outlet = os.pipe()
        failed: list[BaseException] = []

        def produce() -> None:
            try:
                with open(outlet, "wb") as stream, reader.cursor() as cursor:  # noqa: PTH123
                    cursor.copy_expert(f"copy ({select}) to stdout", stream, _BUFFER)
            except (psycopg2.Error, OSError) as error:
                failed.append(error)

        producer = threading.Thread(target=produce)
        producer.start()
        try:
            _fill(url, table, list(given), inlet)
        finally:
            producer.join()
    if failed:
        raise failed[0]


def _fill(url: str, table: str, columns: list[str], inlet: int) -> None:
    with session(url) as connection, open(inlet, "rb") as stream:
        # Rows that are copied into a table emptied in the same transaction need no WAL and can
        # be frozen. Triggers would charge again what the ledger's own rows hold.
        connection.autocommit = False
        rows(connection, "set session_replication_role = replica")
        before = _parts(connection, table)
        for part in reversed(before):
            rows(connection, part.drop)
        rows(connection, f"truncate {table}")
        with connection.cursor() as cursor:
            cursor.copy_expert(
                f"copy {table} ({', '.join(columns)}) from stdin (freeze)", stream, _BUFFER
            )
        for part in before:
            rows(connection, part.make)
        if _parts(connection, table) != before:
            raise RuntimeError(f"the indexes of {table} are not what they were")
        connection.commit()
        connection.autocommit = True
        rows(connection, f"vacuum (analyze) {table}")


@dataclass(frozen=True, order=True)
class _Part:
    """An index, a constraint that is one, or a foreign key that needs one (`last`)."""

    last: bool
    make: str
    drop: str


def _parts(connection: PgConnection, table: str) -> list[_Part]:
    """Return what has to go before a table is filled, with the comments on it."""
    return sorted(
        _Part(*row)
        for row in rows(
            connection,
            """
            with part as (
              select false as last, i.indexrelid as oid, 'index' as kind,
                i.indexrelid::regclass::text as it, pg_get_indexdef(i.indexrelid) as make,
                'drop index ' || i.indexrelid::regclass as drop
              from pg_index as i
              where i.indrelid = %(table)s::regclass
                and not exists (select from pg_constraint as c
                  where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
              union all
              select c.contype = 'f', c.oid, 'constraint',
                format('%%I on %%s', c.conname, c.conrelid::regclass),
                format('alter table %%s add constraint %%I %%s',
                  c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)),
                format('alter table %%s drop constraint %%I', c.conrelid::regclass, c.conname)
              from pg_constraint as c
              where c.conrelid = %(table)s::regclass and c.contype in ('p', 'u')
                or c.confrelid = %(table)s::regclass and c.contype = 'f'
            )
            select p.last,
              p.make || case when d.description is null then ''
                else format('; comment on %%s %%s is %%L', p.kind, p.it, d.description) end,
              p.drop
            from part as p
            left join pg_description as d on d.objoid = p.oid and d.objsubid = 0
              and d.classoid = case p.kind when 'index' then 'pg_class'::regclass
                else 'pg_constraint'::regclass end
            """,
            {"table": table},
        )
    )


def _check(connection: PgConnection, reservations: int) -> None:
    # A sum of units, latest balances or reservations' own figures that differs would be drift.
    # The latest entries are counted, not looked for: one per limit_day row.
    for what, sql, expected in (
        ("reservations", "select count(*) from slotwarden.reservation", reservations),
        ("units", "select sum(units) from slotwarden.usage_ledger", reservations * (UNITS + 1)),
        ("held", "select sum(held_units) from slotwarden.reservation", reservations * (UNITS + 1)),
    ):
        found = scalar(connection, sql)
        if found != expected:
            raise RuntimeError(f"{found} {what} were loaded instead of {expected}")
    wrong = scalar(
        connection,
        """
        select count(*)
        from slotwarden.limit_day as d
        cross join lateral (
          select sum(e.units) as units, max(e.version) as version, count(*) as entries,
            max(e.used_units) as used_units
          from slotwarden.usage_ledger as e
          where e.limit_id = d.limit_id and e.day = d.day
        ) as s
        where d.limit_id in (select 'c' || g || '/' || name from generate_series(0, 19) as g,
            unnest(array['final', 'short', 'api_units']) as name)
          and (s.units is distinct from s.used_units or s.version is distinct from s.entries)
        """,
    )
    if wrong:
        raise RuntimeError(f"{wrong} days of the first 20 channels do not add up")
