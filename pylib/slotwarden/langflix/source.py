"""A LangFlix database: what it holds, and taking that over."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from slotwarden.database import quote_identifier, transactional
from slotwarden.errors import translated_errors
from slotwarden.exceptions import InvalidArgument
from slotwarden.scheduler import Scheduler
from slotwarden.takeover import ImportedRow

from .config import ChannelSettings
from .quota import daily_quota

# The server writes the JSON: a time keeps its offset, or has none, whatever
# driver is used. In UTC, so that a row reads the same in every session.
_ROWS = """
    select to_jsonb(source) as row from {table} as source
    order by source.created_at, source.id
"""
_QUOTA = """
    select
      date,
      coalesce(quota_used, 0) as quota_used,
      coalesce(final_videos_uploaded, 0) as finals,
      coalesce(short_videos_uploaded, 0) as shorts
    from {table}
    order by date
"""
_COLUMNS = """
    select a.attname
    from pg_catalog.pg_attribute as a
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class QuotaDay:
    """A day as LangFlix counted it, or as it is recounted."""

    quota_used: int
    finals: int
    shorts: int


@dataclass(frozen=True, slots=True)
class LangflixDatabase:
    """What a LangFlix database holds: rows of its schedule, and its own counts by day."""

    schedule: tuple[Mapping[str, Any], ...]
    quota: Mapping[dt.date, QuotaDay]


@dataclass(frozen=True, slots=True)
class QuotaComparison:
    """A day on which LangFlix's count and the recount differ."""

    date: dt.date
    langflix: QuotaDay
    recounted: QuotaDay


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do: each row, and what LangFlix had counted otherwise."""

    rows: tuple[ImportedRow, ...]
    differences: tuple[QuotaComparison, ...]


def read_database(engine: Engine, *, schema: str = "public") -> LangflixDatabase:
    """Read a LangFlix database, in one snapshot; nothing is changed there.

    Parameters
    ----------
    engine : Engine
        The database.
    schema : str
        Where its tables are.

    Raises
    ------
    InvalidArgument (SWARG)
        There is no ``youtube_schedule`` of LangFlix's in that schema.
    DatabaseUnavailable
    """
    with (
        translated_errors(commits=False),
        engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection,
    ):
        connection.execute(text("set local time zone 'UTC'"))
        schedule = _table(connection, schema, "youtube_schedule")
        if schedule is None:
            raise InvalidArgument(
                f"there is no table youtube_schedule in schema {schema!r} of that database",
                detail={"parameter": "schema"},
            )
        rows = connection.execute(text(_ROWS.format(table=schedule))).scalars().all()
        quota = _table(connection, schema, "youtube_quota_usage")
        days = connection.execute(text(_QUOTA.format(table=quota))).all() if quota else []
    return LangflixDatabase(
        tuple(rows), {day.date: QuotaDay(day.quota_used, day.finals, day.shorts) for day in days}
    )


def import_database(
    target: Engine,
    database: LangflixDatabase,
    *,
    schema: str = "slotwarden",
    source: str = "langflix",
    channel: str = "default",
    dry_run: bool = False,
) -> ImportReport:
    """Take over what a LangFlix database holds, in one transaction.

    Parameters
    ----------
    target : Engine
        The database that slotwarden is in.
    database : LangflixDatabase
        From `read_database`.
    schema : str
        The workspace.
    source : str
        Name of the database; what was imported under it is not imported again.
    channel : str
        The channel to book on.
    dry_run : bool
        Do it, say what came of it, and take it back.

    Raises
    ------
    InvalidArgument (SWARG), UnknownChannel (SWCHN), LockTimeout (55P03)
    """
    with translated_errors(schema=schema), transactional(target).connect() as connection:
        scheduler = Scheduler(connection, schema=schema, channel=channel)
        rows = scheduler.import_langflix(database.schedule, source=source)
        settings = ChannelSettings(scheduler.langflix_settings())
        differences = tuple(
            QuotaComparison(date, counted, recounted)
            for date, counted in sorted(database.quota.items())
            if (recounted := _recounted(scheduler, settings, date)) != counted
        )
        if dry_run:
            connection.rollback()
            # Reservations that were taken back have no number.
            rows = [
                dataclasses.replace(row, reservation_id=None) if row.action == "imported" else row
                for row in rows
            ]
        else:
            connection.commit()
    return ImportReport(tuple(rows), differences)


def _recounted(scheduler: Scheduler, settings: ChannelSettings, date: dt.date) -> QuotaDay:
    status = daily_quota(date, settings, scheduler.daily_status(date))
    return QuotaDay(status.quota_used, status.final_used, status.short_used)


def _table(connection: Connection, schema: str, name: str) -> str | None:
    table = f"{quote_identifier(schema)}.{name}"
    columns = connection.execute(text(_COLUMNS), {"table": table}).scalars().all()
    if "reservation_id" in columns:
        raise InvalidArgument(
            f"{name} in schema {schema!r} is slotwarden's own view, not LangFlix's table",
            detail={"parameter": "schema"},
        )
    return table.replace(":", r"\:") if columns else None
