"""``slotwarden import``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slotwarden.cli.connection import opened_engine
from slotwarden.cli.failures import ExitCode, Failure
from slotwarden.cli.import_report import ImportReport, write_refused
from slotwarden.cli.output import Output
from slotwarden.cli.settings import settings_of
from slotwarden.importer import (
    Columns,
    Outcome,
    Plan,
    UnusableFile,
    VideoFile,
    import_rows,
    read_videos,
)

_DEFAULTS = Columns()
_STANDARD_INPUT = Path("-")


def import_videos(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="CSV in UTF-8 with a header line; - reads standard input.",
        ),
    ],
    *,
    channel_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the channel.")
    ] = _DEFAULTS.channel,
    type_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the video type.")
    ] = _DEFAULTS.type,
    time_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the publish time.")
    ] = _DEFAULTS.time,
    video_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the video, a path or an id.")
    ] = _DEFAULTS.video,
    shift_days: Annotated[
        int, typer.Option(metavar="N", help="Add so many days to every publish time.")
    ] = 0,
    create_channels: Annotated[
        bool,
        typer.Option(
            "--create-channels",
            help="Create channels that are missing, each with limits of its own like those of"
            " the channel 'default'.",
        ),
    ] = False,
    time_zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Zone of the channels that are created.")
    ] = "UTC",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would happen and change nothing: everything is really done, and rolled"
            " back. Until then it keeps the days that it books locked.",
        ),
    ] = False,
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the rows that were not booked to this CSV: all their columns, and sqlstate"
            " and reason.",
        ),
    ] = None,
    connections: Annotated[
        int, typer.Option(min=1, max=32, help="How many connections to book over at once.")
    ] = 4,
) -> None:
    """Book a CSV of videos, one booking a row.

    Rows are decided in order of publish time, then of the file, as if one person booked them one
    by one. Several are booked at once only where channels share no limit, so that this cannot
    change the outcome.

    A publish time such as 2027-03-01T10:00:30Z or 2027-03-01 10:00+09:00 is an instant; without
    an offset it is on the channel's own clock. Seconds are cut off. What lies in the past is
    refused; --shift-days moves old data into the future.

    Running it again goes on where it was interrupted, and books nothing twice: a row is known
    again by its channel, type, time and video. Refused rows are decided again. A row that
    was booked and then cancelled by somebody stays so. Channels and videos are taken to the letter:
    names that only look alike are two.

    Exit code 1: at least one row was refused or could not be read; the others are booked.
    """
    settings = settings_of(context)
    output = settings.output
    columns = Columns(channel_column, type_column, time_column, video_column)
    _check_refused_file(refused, file)
    try:
        videos = read_videos(_content(file), columns, shift_days=shift_days)
    except UnusableFile as error:
        raise Failure(ExitCode.MISTAKE, f"{file}: {error}") from error
    plan = Plan(
        schema=settings.schema,
        create_channels=create_channels,
        time_zone=time_zone,
        dry_run=dry_run,
        connections=connections,
    )
    with opened_engine(settings, connections=connections) as engine:
        outcome = _with_progress(
            output, videos, lambda on_row: import_rows(engine, videos.rows, plan, on_row)
        )
        # Told before the embedded server is stopped, which takes a moment.
        report = ImportReport(str(file), videos, outcome, dry_run=dry_run)
        if refused is not None:
            write_refused(refused, report)
        output.result(report.to_dict(), *report.tables())
        if dry_run:
            output.notice("Nothing was changed: this was a dry run.")
    if report.not_booked:
        raise typer.Exit(ExitCode.REFUSED)


def _with_progress(
    output: Output, videos: VideoFile, work: Callable[[Callable[[], None]], Outcome]
) -> Outcome:
    decided = 0
    total = len(videos.rows)
    with output.progress("Booking", total) as advance:

        def on_row() -> None:
            nonlocal decided
            decided += 1
            advance()

        try:
            return work(on_row)
        except BaseException:
            if decided:
                output.notice(
                    f"Stopped after {decided} of {total} rows. Running it again goes on from there;"
                    " nothing is booked twice.",
                    style="yellow",
                )
            raise


def _content(file: Path) -> bytes:
    return sys.stdin.buffer.read() if file == _STANDARD_INPUT else file.read_bytes()


def _check_refused_file(refused: Path | None, file: Path) -> None:
    """Find out before anything is booked whether the refused rows can be written."""
    if refused is None:
        return
    if refused.exists() and file != _STANDARD_INPUT and refused.samefile(file):
        raise Failure(ExitCode.MISTAKE, f"--refused would overwrite {file}, which is to be read")
    with refused.open("a", encoding="utf-8"):
        pass
