"""What bookings and limits look like in a terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from slotwarden.cli.output import shown, table
from slotwarden.models import CalendarEntry, DailyStatus, Reservation, UploadStatus

_DAYS_A_WEEK = 7
_LONGEST_VIDEO = 24
_BAR_CELLS = 20
_WARN_PERCENT = 80
_FULL_PERCENT = 100
_TYPE_STYLES = ("cyan", "magenta", "green", "yellow", "blue")
_STATUS_STYLES = {
    UploadStatus.UPLOADING: "yellow",
    UploadStatus.COMPLETED: "green",
    UploadStatus.FAILED: "red strike",
}


def weeks(entries: Sequence[CalendarEntry], first: dt.date, days: int, channel: str) -> list[Table]:
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
    channel : str
        For the title.
    """
    styles = _styles(entry.video_type for entry in entries)
    drawn = []
    for start in range(0, days, _DAYS_A_WEEK):
        shown_days = [
            first + dt.timedelta(start + i) for i in range(min(_DAYS_A_WEEK, days - start))
        ]
        inside = [entry for entry in entries if shown_days[0] <= entry.day <= shown_days[-1]]
        if inside:
            drawn.append(_week(inside, shown_days, styles, channel))
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
        "limit", "day", "zone", "counted at", ">used", ">max", ">left", "", "starts afresh",
        title=f"Limits of {shown(channel)}",
    )  # fmt: skip
    for row in rows:
        style = "green"
        if row.used_percent >= _WARN_PERCENT:
            style = "red" if row.used_percent >= _FULL_PERCENT else "yellow"
        filled = min(round(float(row.used_percent) / 100 * _BAR_CELLS), _BAR_CELLS)
        bar = Text("█" * filled, style=style).append("░" * (_BAR_CELLS - filled), style="dim")
        made.add_row(
            shown(row.limit_id),
            row.day.isoformat(),
            row.time_zone,
            row.counted_at,
            Text(f"{row.used_units:,}", style=style),
            f"{row.max_units:,}" + (" (that day)" if row.overridden else ""),
            f"{row.remaining_units:,}",
            bar,
            f"{row.resets_at:%Y-%m-%d %H:%M} UTC",
        )
    return made


def _week(
    entries: Sequence[CalendarEntry],
    days: Sequence[dt.date],
    styles: dict[str, str],
    channel: str,
) -> Table:
    made = table(
        "",
        *(f"{day:%a}\n{day:%m-%d}" for day in days),
        title=f"{shown(channel)}, {days[0]} to {days[-1]} ({entries[0].time_zone})",
    )
    for time in sorted({entry.local_time for entry in entries}):
        cells = [
            Text("\n").join(
                _cell(entry, styles)
                for entry in entries
                if (entry.day, entry.local_time) == (day, time)
            )
            for day in days
        ]
        made.add_row(f"{time:%H:%M}", *cells)
    return made


def _cell(entry: CalendarEntry, styles: dict[str, str]) -> Text:
    style = _STATUS_STYLES.get(entry.upload_status, styles[entry.video_type])
    text = Text(shown(entry.video_type), style=f"bold {style}")
    text.append(f" #{entry.reservation_id}", style="dim")
    if entry.upload_status != UploadStatus.SCHEDULED:
        text.append(f"\n{entry.upload_status}", style=style)
    if entry.video_path is not None:
        video = shown(entry.video_path)
        short = video if len(video) <= _LONGEST_VIDEO else f"{video[: _LONGEST_VIDEO - 1]}…"
        text.append(f"\n{short}", style=style)
    return text


def _styles(types: Iterable[str]) -> dict[str, str]:
    return {
        name: _TYPE_STYLES[number % len(_TYPE_STYLES)]
        for number, name in enumerate(sorted(set(types)))
    }
