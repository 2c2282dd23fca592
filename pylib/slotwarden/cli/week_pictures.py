"""What ``slotwarden week`` draws: a grid where there is room, else one day below the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from slotwarden.cli.output import shown, table
from slotwarden.cli.pictures import STATUS_STYLES, type_styles
from slotwarden.models import CalendarEntry, QuotaWarning, UploadStatus

_BAR_CELLS = 8
_FULL_PERCENT = 100
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days of a channel.

    Attributes
    ----------
    channel, time_zone : str
        The channel and the zone of its clock.
    days : sequence of datetime.date
        Monday to Sunday.
    posting_times : sequence of datetime.time
        Those of every day.
    entries : sequence of CalendarEntry
        The bookings.
    usage : sequence of QuotaWarning
        Each limit on each day.
    warn_percent : mapping
        Share of each limit from which its bar is yellow.
    """

    channel: str
    time_zone: str
    days: Sequence[dt.date]
    posting_times: Sequence[dt.time]
    entries: Sequence[CalendarEntry]
    usage: Sequence[QuotaWarning]
    warn_percent: Mapping[str, int]

    @property
    def times(self) -> list[dt.time]:
        """Posting times and those of bookings, in order."""
        return sorted({*self.posting_times, *(entry.local_time for entry in self.entries)})

    @property
    def limits(self) -> list[str]:
        """The limits, those of the publish day first."""
        return list(dict.fromkeys(row.limit_id for row in self.usage))

    @property
    def title(self) -> str:
        """What is shown."""
        return f"{shown(self.channel)}, {self.days[0]} to {self.days[-1]} ({shown(self.time_zone)})"

    def at(self, day: dt.date, time: dt.time) -> list[CalendarEntry]:
        """Return the bookings of one time; several, if all but one have failed."""
        return [entry for entry in self.entries if (entry.day, entry.local_time) == (day, time)]

    def bar(self, limit: str, day: dt.date, *, ascii_only: bool) -> Text:
        """Draw what is used of a limit on a day."""
        found = [row for row in self.usage if (row.limit_id, row.day) == (limit, day)]
        return _bar(found[0], self.warn_percent[limit], ascii_only=ascii_only) if found else Text()


def week_grid(week: Week, *, ascii_only: bool) -> Table:
    """Draw days across and times down, and below them a row of bars for each limit."""
    styles = type_styles(entry.video_type for entry in week.entries)
    made = table("", *(f"{day:%a}\n{day:%m-%d}" for day in week.days), title=week.title)
    for time in week.times:
        made.add_row(
            f"{time:%H:%M}",
            *(Group(*_cell(week, day, time, styles, ascii_only=ascii_only)) for day in week.days),
        )
    made.add_section()
    for limit in week.limits:
        bars = [week.bar(limit, day, ascii_only=ascii_only) for day in week.days]
        made.add_row(Text(shown(limit), style="bold"), *bars)
    return made


def week_by_day(week: Week, *, ascii_only: bool) -> Group:
    """Draw the days below each other, for a narrow terminal."""
    styles = type_styles(entry.video_type for entry in week.entries)
    lines = [Text(week.title, style="italic")]
    for day in week.days:
        lines.append(Text(f"{day:%a %Y-%m-%d}", style="bold"))
        for time in week.times:
            lines += [
                Text(f"  {time:%H:%M} ").append_text(cell)
                for cell in _cell(week, day, time, styles, ascii_only=ascii_only)
            ]
        for limit in week.limits:
            bar = week.bar(limit, day, ascii_only=ascii_only)
            bar = Text(" ").join(bar.split("\n"))
            lines.append(Text("  ").append_text(bar).append(f" {shown(limit)}"))
    return Group(*lines)


def _cell(
    week: Week, day: dt.date, time: dt.time, styles: dict[str, str], *, ascii_only: bool
) -> Iterator[Text]:
    entries = week.at(day, time)
    if not entries and time in week.posting_times:
        yield Text("-" if ascii_only else "·", style="dim")
    for entry in entries:
        style = STATUS_STYLES.get(entry.upload_status, styles[entry.video_type])
        yield Text.assemble(
            (shown(entry.video_type), f"bold {style}"), (f" #{entry.reservation_id}", "dim")
        )
        if entry.upload_status != UploadStatus.SCHEDULED:
            yield Text(entry.upload_status, style=style)


def _bar(usage: QuotaWarning, warn_percent: int, *, ascii_only: bool) -> Text:
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    style = "green"
    if usage.used_percent >= warn_percent:
        style = "red" if usage.used_percent >= _FULL_PERCENT else "yellow"
    filled = min(round(float(usage.used_percent) / 100 * _BAR_CELLS), _BAR_CELLS)
    bar = Text(full * filled, style=style).append(empty * (_BAR_CELLS - filled), style="dim")
    return bar.append(f"\n{_short(usage.used_units)}/{_short(usage.max_units)}", style=style)


def _short(units: int) -> str:
    """Return a number that fits under a bar: 9,600 as 9.6k."""
    return f"{units / _THOUSAND:g}k" if units >= _THOUSAND else str(units)
