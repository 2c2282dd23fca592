"""What an import tells: a summary, the refused rows, and both for programs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from slotwarden.cli.output import shown, table
from slotwarden.importer import BadRow, Decision, Outcome, VideoFile

_MOST_SHOWN = 200
_UNREADABLE = "SWARG"
_MEANINGS = {
    "SWARG": "a value that cannot be",
    "SWCHN": "no such channel (--create-channels makes them)",
    "SWTYP": "no such video type",
    "SWGAP": "the clock skips that time",
    "SWKEY": "booked before with other values",
    "SWPST": "in the past",
    "SWBLK": "blacked out",
    "SWDUP": "video booked already",
    "SWTKN": "slot taken",
    "SWLIM": "daily limit reached",
    "SWSTA": "booked before, and cancelled or failed since",
    "SWNFD": "booked before, and deleted since",
}


@dataclass(frozen=True, slots=True)
class NotBooked:
    """A row that holds nothing, and why."""

    line: int
    cells: tuple[str, ...]
    sqlstate: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """The figures of one run.

    Attributes
    ----------
    file : str
        What was read.
    videos : VideoFile
        Its rows.
    outcome : Outcome
        What became of them.
    dry_run : bool
        Everything was rolled back.
    """

    file: str
    videos: VideoFile
    outcome: Outcome
    dry_run: bool

    @cached_property
    def booked(self) -> list[Decision]:
        """Rows that hold a reservation."""
        return [one for one in self.outcome.decisions if one.reservation is not None]

    @property
    def booked_before(self) -> int:
        """How many of them an earlier run had booked."""
        return sum(one.before for one in self.booked)

    @cached_property
    def refused(self) -> dict[str, int]:
        """How many rows were refused, by SQLSTATE, the most frequent first."""
        refusals = (one.refusal for one in self.outcome.decisions)
        return dict(Counter(error.sqlstate or "" for error in refusals if error).most_common())

    @cached_property
    def not_booked(self) -> list[NotBooked]:
        """The rows that hold nothing, in the order of the file."""
        return sorted(self._not_booked(), key=lambda row: row.line)

    def _not_booked(self) -> Iterator[NotBooked]:
        for bad in self.videos.bad:
            yield _unreadable(bad)
        for one in self.outcome.decisions:
            if one.refusal is not None:
                yield NotBooked(
                    one.row.line,
                    one.row.cells,
                    one.refusal.sqlstate or "",
                    one.refusal.message,
                )

    def to_dict(self) -> dict[str, object]:
        """Give the figures, and each row that was not booked, as plain values for JSON."""
        return {
            "file": self.file,
            "dry_run": self.dry_run,
            "rows": len(self.videos.rows) + len(self.videos.bad),
            "booked": len(self.booked),
            "booked_now": len(self.booked) - self.booked_before,
            "booked_before": self.booked_before,
            "refused": self.refused,
            "bad_rows": len(self.videos.bad),
            "channels_created": len(self.outcome.channels_created),
            "not_booked": [
                {
                    "line": row.line,
                    "sqlstate": row.sqlstate,
                    "reason": row.reason,
                    "row": dict(zip(self.videos.header, row.cells, strict=False)),
                }
                for row in self.not_booked
            ],
        }

    def tables(self) -> Iterator[RenderableType]:
        """Draw the rows that were not booked, then the figures."""
        if self.not_booked:
            yield self._refusals()
            left_out = len(self.not_booked) - _MOST_SHOWN
            if left_out > 0:
                yield Text(f"... and {left_out} more; --refused FILE writes all of them.")
        summary = table("", ">rows", title=shown(self.file))
        would = "would be booked" if self.dry_run else "booked"
        summary.add_row(f"{would} now", str(len(self.booked) - self.booked_before), style="green")
        summary.add_row("booked by an earlier run", str(self.booked_before))
        for sqlstate, count in self.refused.items():
            meaning = _MEANINGS.get(sqlstate, "refused")
            summary.add_row(f"refused: {meaning} [{sqlstate}]", str(count), style="red")
        if self.videos.bad:
            summary.add_row("could not be read", str(len(self.videos.bad)), style="red")
        summary.add_section()
        summary.add_row("all", str(len(self.videos.rows) + len(self.videos.bad)), style="bold")
        yield summary
        created = len(self.outcome.channels_created)
        if created:
            would = "would be created" if self.dry_run else "created"
            yield Text(f"Channels {would}: {created}")

    def _refusals(self) -> RenderableType:
        made = table(">line", "sqlstate", "channel", "video", "reason")
        facts = {one.row.line: (one.row.channel, one.row.video) for one in self.outcome.decisions}
        for row in self.not_booked[:_MOST_SHOWN]:
            channel, video = facts.get(row.line, ("-", "-"))
            made.add_row(
                str(row.line), row.sqlstate, shown(channel), shown(video), shown(row.reason)
            )
        return made


def write_refused(path: Path, report: ImportReport) -> None:
    """Write the rows that were not booked, with all their columns, as CSV.

    Columns ``sqlstate`` and ``reason`` are added, or replaced: the file may be corrected and
    imported itself.
    """
    header = report.videos.header
    kept = [place for place, name in enumerate(header) if name not in ("sqlstate", "reason")]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(header[place] for place in kept), "sqlstate", "reason"])
        for row in report.not_booked:
            # What is missing in a row stays empty; what it has too much comes last.
            cells = [row.cells[place] if place < len(row.cells) else "" for place in kept]
            extra = row.cells[len(header) :]
            writer.writerow([*cells, row.sqlstate, row.reason, *extra])


def _unreadable(bad: BadRow) -> NotBooked:
    return NotBooked(bad.line, bad.cells, _UNREADABLE, bad.reason)
