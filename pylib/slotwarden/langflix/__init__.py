"""LangFlix's scheduler interface over slotwarden, and the import of its database.

In a LangFlix checkout ``langflix/youtube/schedule_manager.py`` becomes an
import of `YouTubeScheduleManager`, `ScheduleConfig` and `DailyQuotaStatus` from
here; docs/from-langflix.md has every edit.
"""

from .config import ScheduleConfig
from .failures import DatabaseConnectionError, NoAvailableSlot, ScheduleConfigError
from .manager import YouTubeScheduleManager
from .quota import DailyQuotaStatus
from .source import ImportReport, LangflixDatabase, QuotaComparison, import_database, read_database

__all__ = [
    "DailyQuotaStatus",
    "DatabaseConnectionError",
    "ImportReport",
    "LangflixDatabase",
    "NoAvailableSlot",
    "QuotaComparison",
    "ScheduleConfig",
    "ScheduleConfigError",
    "YouTubeScheduleManager",
    "import_database",
    "read_database",
]
