"""Booking a CSV of videos: `read_videos` reads it, `import_rows` books its rows."""

from slotwarden.importer.rows import BadRow, Columns, Row, UnusableFile, VideoFile, read_videos
from slotwarden.importer.work import Decision, Outcome, Plan, import_rows

__all__ = [
    "BadRow",
    "Columns",
    "Decision",
    "Outcome",
    "Plan",
    "Row",
    "UnusableFile",
    "VideoFile",
    "import_rows",
    "read_videos",
]
