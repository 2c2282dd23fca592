"""A CSV of videos as rows to book, and as rows that cannot be."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>(?:[01]\d|2[0-3]):\d\d(?::\d\d(?:[.,]\d{1,6})?)?)"
    r" ?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?"
)


class UnusableFile(Exception):
    """The file as a whole cannot be imported; nothing was booked."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns to read."""

    channel: str = "channel"
    type: str = "type"
    time: str = "publish_time"
    video: str = "video"


@dataclass(frozen=True, slots=True)
class Row:
    """One video to book.

    Attributes
    ----------
    line : int
        Line of the file on which it begins; the header is line 1.
    cells : tuple of str
        All that stands in it, as it stands.
    channel, type, video : str
        As in the file, to the last character.
    publish_time : datetime.datetime
        Shifted, with its seconds. Aware (in UTC): an instant. Naive: on the channel's clock.
    request_key : str
        The same whenever the same row is imported. Of rows that are alike in everything each has
        its own.
    """

    line: int
    cells: tuple[str, ...]
    channel: str
    type: str
    video: str
    publish_time: dt.datetime
    request_key: str

    @property
    def slot(self) -> dt.datetime:
        """The publish time, cut to the minute."""
        return _minute(self.publish_time)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that says too little, or nothing sensible."""

    line: int
    cells: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class VideoFile:
    """What a CSV holds, in its order."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]


def read_videos(content: bytes, columns: Columns, *, shift_days: int = 0) -> VideoFile:
    """Read a CSV of videos: UTF-8 with or without a byte order mark, commas, a header line.

    Parameters
    ----------
    content : bytes
        The file.
    columns : Columns
        The columns to use; all others are kept but not looked at.
    shift_days : int
        Added to each publish time: days of 24 hours to an instant, dates to a local time.

    Raises
    ------
    UnusableFile
        Not UTF-8, not CSV, or without one of the columns.
    """
    lines = _lines(_decoded(content))
    _, header = next(lines, (1, ()))
    places = _places(header, columns)
    reader = _RowReader(len(header), places, shift_days)
    rows: list[Row] = []
    bad: list[BadRow] = []
    for line, cells in lines:
        try:
            rows.append(reader.read(line, cells))
        except ValueError as error:
            bad.append(BadRow(line, cells, str(error)))
    return VideoFile(header, tuple(rows), tuple(bad))


def parse_time(text: str) -> dt.datetime:
    """Read a publish time in ISO 8601: aware if it names an offset or Z, else naive.

    Raises
    ------
    ValueError
        It is not one; a day alone is not.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} is not a time such as 2027-03-01T10:00, 2027-03-01 10:00:30+01:00"
            " or 2027-03-01T10:00:00Z"
        )
    offset = (found["offset"] or "").upper()
    time = found["time"].replace(",", ".")
    try:
        return dt.datetime.fromisoformat(f"{found['day']}T{time}{offset}")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


class _RowReader:
    def __init__(self, width: int, places: Sequence[int], shift_days: int) -> None:
        self._width = width
        self._places = places
        self._shift_days = shift_days
        self._alike: Counter[str] = Counter()

    def read(self, line: int, cells: tuple[str, ...]) -> Row:
        if len(cells) > self._width:
            raise ValueError(f"it has {len(cells)} columns, the header {self._width}")
        if len(cells) <= max(self._places):
            raise ValueError(f"it has only {len(cells)} columns")
        channel, video_type, time, video = (cells[place] for place in self._places)
        for name, value in (("channel", channel), ("type", video_type), ("video", video)):
            if not value.strip():
                raise ValueError(f"the {name} is empty")
        publish_time = self._shifted(time)
        key = self._key(channel, video_type, _minute(publish_time).isoformat(), video)
        return Row(line, cells, channel, video_type, video, publish_time, key)

    def _shifted(self, text: str) -> dt.datetime:
        try:
            moved = parse_time(text) + dt.timedelta(days=self._shift_days)
            return moved if moved.tzinfo is None else moved.astimezone(dt.UTC)
        except OverflowError:
            raise ValueError(f"{text!r} is not in the years 1 to 9999 when shifted") from None

    def _key(self, *facts: str) -> str:
        # By what the row says, not by where it stands: a file may grow, or be sorted anew.
        plain = json.dumps(facts)
        self._alike[plain] += 1
        digest = hashlib.sha256(plain.encode()).hexdigest()
        return f"import:{digest}:{self._alike[plain]}"


def _minute(time: dt.datetime) -> dt.datetime:
    return time.replace(second=0, microsecond=0)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnusableFile(
            f"line {line} is not UTF-8; save the file as UTF-8, or convert it with iconv"
        ) from error


def _lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows that are not blank, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UnusableFile(f"the row that begins on line {line} is not CSV: {error}") from error
        if cells is None:
            return
        if cells:
            yield line, tuple(cells)


def _places(header: Sequence[str], columns: Columns) -> list[int]:
    wanted = [str(getattr(columns, field.name)) for field in fields(columns)]
    for name in wanted:
        if header.count(name) != 1:
            problem = "several columns" if name in header else "no column"
            raise UnusableFile(
                f"there is {problem} {name!r} among {', '.join(header) or 'none'}; name the columns"
                " with --channel-column, --type-column, --time-column and --video-column"
            )
    return [header.index(name) for name in wanted]
