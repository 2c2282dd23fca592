"""What an import has to know of the workspace before it can order its rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import Executor

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from slotwarden.database import quote_identifier
from slotwarden.errors import translated_errors
from slotwarden.exceptions import InvalidArgument, UnknownChannel
from slotwarden.scheduler import Scheduler

_INSUFFICIENT_PRIVILEGE = "42501"


def server_time(engine: Engine) -> dt.datetime:
    """Return the present instant by the server's clock, which dates the reservations."""
    with translated_errors(commits=False), engine.connect() as connection:
        now: dt.datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
        return now


def limits_of(
    engine: Engine, schema: str, channels: Sequence[str], pool: Executor
) -> dict[str, frozenset[str] | None]:
    """Return the limits that each channel charges; None for a channel that does not exist.

    Asks as everybody may who books; the tables are for their owner only.
    """
    scheduler = Scheduler(engine, schema=schema)

    def ask(channel: str) -> frozenset[str] | None:
        try:
            return frozenset(row.limit_id for row in scheduler.daily_status(channel=channel))
        except (UnknownChannel, InvalidArgument):
            return None

    return dict(zip(channels, pool.map(ask, channels), strict=True))


def zones_of(engine: Engine, schema: str, channels: Sequence[str]) -> dict[str, str]:
    """Return the time zones of channels; nothing if the role may not read the table."""
    table = f"{quote_identifier(schema)}.channel".replace(":", r"\:")
    query = text(f"select channel_id, time_zone from {table} where channel_id = any(:channels)")  # noqa: S608
    try:
        with translated_errors(schema=schema, commits=False), engine.connect() as connection:
            rows = connection.execute(query, {"channels": list(channels)})
            return {row.channel_id: row.time_zone for row in rows}
    except DBAPIError as error:
        report = error.orig
        sqlstate = getattr(report, "pgcode", None) or getattr(report, "sqlstate", None)
        if sqlstate != _INSUFFICIENT_PRIVILEGE:
            raise
        return {}
