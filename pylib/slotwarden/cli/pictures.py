"""What bookings and limits look like in a terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from slotwarden.cli.output import shown, table
from slotwarden.models import CalendarEntry, DailyStatus, Reservation, UploadStatus

_DAYS_A_WEEK = 7
_LONGEST_VIDEO = 24
# So that a week has room on a terminal of 80 characters.
_NARROWEST_DAY = 7
_BAR_CELLS = 15
_WARN_PERCENT = 80
_FULL_PERCENT = 100
_TYPE_STYLES = ("cyan", "magenta", "green", "yellow", "blue")
STATUS_STYLES = {
    UploadStatus.UPLOADING: "yellow",
    UploadStatus.COMPLETED: "green",
    UploadStatus.FAILED: "red strike",
}


def weeks(
    entries: Sequence[CalendarEntry],
    first: dt.date,
    days: int,
    title: str,
    *,
    details: bool = True,
) -> list[Table]:
    """Draw a calendar, a table for each seven days: days across, times down.

    Weeks without a booking are left out.

    Parameters
    ----------
    entries : sequence of CalendarEntry
        The bookings.
    first : datetime.date
        The first day.
    days : int
        How many days.
    title : str
        What is shown, such as the channel; the days are added.
    details : bool
        False: the types only.
    """
    styles = type_styles(entry.video_type for entry in entries)
    drawn = []
    for start in range(0, days, _DAYS_A_WEEK):
        shown_days = [
            first + dt.timedelta(start + i) for i in range(min(_DAYS_A_WEEK, days - start))
        ]
        inside = [entry for entry in entries if shown_days[0] <= entry.day <= shown_days[-1]]
        if inside:
            drawn.append(_week(inside, shown_days, styles, title, details=details))
    return drawn


def reservation_table(reservation: Reservation) -> Table:
    """Draw one reservation, a line for each of what people ask about it."""
    made = Table(show_header=False, box=None)
    made.add_column(style="bold")
    made.add_column()
    local = local_text(reservation.scheduled_publish_time, reservation)
    lines = {
        "reservation": reservation.reservation_id,
        "status": reservation.upload_status,
        "channel": reservation.channel_id,
        "type": reservation.video_type,
        "video": "-" if reservation.video_path is None else reservation.video_path,
        "published": f"{local} ({reservation.time_zone})",
        "in UTC": f"{reservation.scheduled_publish_time:%Y-%m-%d %H:%M}",
        "version": reservation.version,
    }
    for name, value in lines.items():
        made.add_row(name, shown(value))
    return made


def local_text(instant: dt.datetime, reservation: Reservation) -> str:
    """Return an instant of a reservation on its channel's clock, to the minute."""
    return f"{instant.astimezone(reservation.local_publish_time.tzinfo):%a %Y-%m-%d %H:%M}"


def status_table(rows: Sequence[DailyStatus], channel: str) -> Table:
    """Draw what is used of each limit of a channel, on a day."""
    made = table(
        "limit", "used", ">left", "day", "starts afresh", title=f"Limits of {shown(channel)}"
    )
    for row in rows:
        style = "green"
        if row.used_percent >= _WARN_PERCENT:
            style = "red" if row.used_percent >= _FULL_PERCENT else "yellow"
        filled = min(round(float(row.used_percent) / 100 * _BAR_CELLS), _BAR_CELLS)
        used = Text(f"{row.used_units:,} of {row.max_units:,}\n", style=style)
        used.append("█" * filled).append("░" * (_BAR_CELLS - filled), style="dim")
        if row.overridden:
            used.append("\nof that day alone", style="dim")
        made.add_row(
            Text(shown(row.limit_id)).append(f"\nat {row.counted_at}", style="dim"),
            used,
            f"{row.remaining_units:,}",
            Text(row.day.isoformat()).append(f"\n{row.time_zone}", style="dim"),
            f"{row.resets_at:%Y-%m-%d}\n{row.resets_at:%H:%M} UTC",
        )
    return made


def _week(
    entries: Sequence[CalendarEntry],
    days: Sequence[dt.date],
    styles: dict[str, str],
    title: str,
    *,
    details: bool,
) -> Table:
    made = table(
        "",
        *(f"{day:%a}\n{day:%m-%d}" for day in days),
        title=f"{shown(title)}, {days[0]} to {days[-1]} ({entries[0].time_zone})",
        narrowest=_NARROWEST_DAY,
    )
    for time in sorted({entry.local_time for entry in entries}):
        cells = [
            Group(
                *(
                    line
                    for entry in entries
                    if (entry.day, entry.local_time) == (day, time)
                    for line in _cell(entry, styles, details=details)
                )
            )
            for day in days
        ]
        made.add_row(f"{time:%H:%M}", *cells)
    return made


def _cell(entry: CalendarEntry, styles: dict[str, str], *, details: bool) -> Iterator[Text]:
    style = STATUS_STYLES.get(entry.upload_status, styles[entry.video_type])
    if not details:
        yield Text(shown(entry.video_type), style=style)
        return
    number = (f" #{entry.reservation_id}", "dim")
    yield Text.assemble((shown(entry.video_type), f"bold {style}"), number)
    if entry.upload_status != UploadStatus.SCHEDULED:
        yield Text(entry.upload_status, style=style)
    if entry.video_path is not None:
        video = shown(entry.video_path)
        short = video if len(video) <= _LONGEST_VIDEO else f"{video[: _LONGEST_VIDEO - 1]}…"
        yield Text(short, style=style, no_wrap=True, overflow="ellipsis")


def type_styles(types: Iterable[str]) -> dict[str, str]:
    """Return a colour for each video type, the same in every picture of the same types."""
    return {
        name: _TYPE_STYLES[number % len(_TYPE_STYLES)]
        for number, name in enumerate(sorted(set(types)))
    }
