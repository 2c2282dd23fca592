"""``slotwarden import-langflix``, and what becomes of the rows that it could not book."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Engine

from slotwarden.cli.arguments import as_day, as_time_of_day
from slotwarden.cli.connection import engine_for, opened_engine, opened_scheduler
from slotwarden.cli.failures import ExitCode
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.output import shown, table
from slotwarden.cli.pictures import reservation_table
from slotwarden.cli.settings import settings_of
from slotwarden.langflix import ImportReport, import_database, read_database
from slotwarden.langflix.source import QuotaDay
from slotwarden.takeover import ImportConflict, ImportedRow

_SUMMARY = {
    "imported": "imported",
    "known": "known from an earlier import",
    "conflict": "kept as conflicts",
    "over_limit": "over a limit, kept as they are (days)",
}


def import_langflix(
    context: typer.Context,
    *,
    from_url: Annotated[
        str | None,
        typer.Option(
            "--from",
            envvar="LANGFLIX_DATABASE_URL",
            metavar="URL",
            help="LangFlix's database. Without it: the one that slotwarden is in.",
        ),
    ] = None,
    from_schema: Annotated[
        str, typer.Option(metavar="SCHEMA", help="The schema of LangFlix's tables.")
    ] = "public",
    source: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Name of that database; a row imported under it is not imported again.",
        ),
    ] = "langflix",
    channel: ChannelOption = "default",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it, say what came of it, and take it back.")
    ] = False,
) -> None:
    """Take over the bookings of a LangFlix database, in one transaction, and recount its quota.

    Nothing is dropped: of several live rows in one slot, or of one video, the first keeps it; the
    others, and rows that make no sense, are kept as conflicts (exit code 1), for
    'slotwarden import-conflicts' and 'slotwarden rebook'. A day over its limit is kept as it is,
    full. What was imported before is left alone.
    """
    settings = settings_of(context)
    with opened_engine(settings) as engine, settings.output.working("Importing ..."):
        with _langflix_engine(from_url, engine) as langflix:
            database = read_database(langflix, schema=from_schema)
        report = import_database(
            engine,
            database,
            schema=settings.schema,
            source=source,
            channel=channel,
            dry_run=dry_run,
        )
    settings.output.result(_as_json(report, dry_run=dry_run), *_drawn(report))
    if dry_run:
        settings.output.notice("Nothing was changed: this was a dry run.")
    if any(row.action == "conflict" for row in report.rows):
        raise typer.Exit(ExitCode.REFUSED)


def import_conflicts(
    context: typer.Context,
    *,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this import.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those that were booked since as well.")
    ] = False,
) -> None:
    """List the rows of imports that could not be booked as they were."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        conflicts = scheduler.list_import_conflicts(source=source, open=not every)
    made = table(">conflict", "video", "type", "publish time", "status", "why", "reservation")
    for conflict in conflicts:
        made.add_row(*_cells(conflict))
    settings.output.result(
        [conflict.to_dict() for conflict in conflicts],
        made if conflicts else Text("There are no open conflicts."),
    )


def rebook(
    context: typer.Context,
    conflict: Annotated[
        int, typer.Argument(metavar="CONFLICT", help="Its number in 'import-conflicts'.")
    ],
    date: Annotated[
        dt.date | None,
        typer.Argument(
            parser=as_day, metavar="DATE", help="The day; without it: the next free slot."
        ),
    ] = None,
    time: Annotated[
        dt.time | None,
        typer.Argument(
            parser=as_time_of_day, metavar="TIME", help="The time of day, such as 10:00."
        ),
    ] = None,
    *,
    video_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Instead of the row's type.")
    ] = None,
    channel: ChannelOption = "default",
) -> None:
    """Book the video of an import conflict, at a time or in the next free slot."""
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        booked = scheduler.rebook_import_conflict(
            conflict, date, time, type=video_type, channel=channel
        )
    settings.output.result(booked.to_dict(), reservation_table(booked))


@contextmanager
def _langflix_engine(url: str | None, own: Engine) -> Iterator[Engine]:
    if url is None:
        yield own
        return
    with engine_for(url, connections=1) as engine:
        yield engine


def _as_json(report: ImportReport, *, dry_run: bool) -> dict[str, object]:
    def counted(day: QuotaDay) -> dict[str, int]:
        return {"quota_used": day.quota_used, "finals": day.finals, "shorts": day.shorts}

    return {
        "dry_run": dry_run,
        "rows": [row.to_dict() for row in report.rows],
        "differences": [
            {
                "date": difference.date.isoformat(),
                "langflix": counted(difference.langflix),
                "recounted": counted(difference.recounted),
            }
            for difference in report.differences
        ],
    }


def _drawn(report: ImportReport) -> Iterator[RenderableType]:
    counts = Counter(row.action for row in report.rows)
    summary = table(">rows", "what came of them")
    for action, meaning in _SUMMARY.items():
        if counts[action]:
            summary.add_row(f"{counts[action]:,}", meaning)
    yield summary if counts else Text("LangFlix's schedule is empty.")
    told = [row for row in report.rows if row.reason]
    if told:
        yield _reasons(told)
    if report.differences:
        yield _differences(report)


def _reasons(rows: list[ImportedRow]) -> RenderableType:
    made = table("row", "why")
    for row in rows:
        made.add_row(shown(row.source_id or "-"), shown(row.reason))
    return made


def _differences(report: ImportReport) -> RenderableType:
    made = table(
        "day", ">quota", ">recounted", ">finals", ">recounted", ">shorts", ">recounted",
        title="What LangFlix had counted otherwise",
    )  # fmt: skip
    for difference in report.differences:
        was, now = difference.langflix, difference.recounted
        pairs = (
            (was.quota_used, now.quota_used),
            (was.finals, now.finals),
            (was.shorts, now.shorts),
        )
        made.add_row(
            difference.date.isoformat(), *(f"{number:,}" for pair in pairs for number in pair)
        )
    return made


def _cells(conflict: ImportConflict) -> list[str]:
    said = (
        conflict.video_path,
        conflict.video_type,
        conflict.publish_time,
        conflict.status,
        conflict.reason,
    )
    booked = "" if conflict.reservation_id is None else f"#{conflict.reservation_id}"
    return [str(conflict.import_conflict_id), *(shown(text or "-") for text in said), booked]
