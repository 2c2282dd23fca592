"""LangFlix's ``ScheduleConfig``, and what it means for a channel's settings in the database."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from slotwarden.records import CountedAt
from slotwarden.scheduler import Scheduler
from slotwarden.takeover import LangflixSetting

from .failures import ScheduleConfigError

VIDEO_TYPES = ("final", "short")
"""LangFlix knows these two."""

HORIZON_DAYS = 14
"""How far ahead free slots are looked for."""

TOTAL_LIMIT = "daily_total"
"""The limit that ``daily_max_total`` is kept as, charged by both types."""

# What videos.insert costs of YouTube's quota of units; with another cost a
# quota is not one of units, and quota_limit does not speak of it.
_UPLOAD_UNITS = 1600
_DEFAULT_QUOTA = 10_000
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class ScheduleConfig:
    """What a channel may publish, and when it likes to.

    Parameters
    ----------
    daily_limits : dict, optional
        Videos a day, of ``final`` and ``short``. A type that is left out keeps
        the limit that it has.
    preferred_times : list of str, optional
        Times of day on the channel's clock, such as ``10:00``.
    quota_limit : int
        Units of YouTube's quota a day.
    warning_threshold : float
        Percentage of the quota from which `YouTubeScheduleManager.get_quota_warnings`
        warns. It is the manager's own: the database's ``warn_percent`` stays.
    time_slots : list of str, optional
        As ``preferred_times``, which they replace.
    slot_capacity : int
        1: a slot holds one video.
    daily_max_total : int, optional
        Videos a day of both types together; None: no such limit.

    Raises
    ------
    ValueError
        A value that cannot be.
    """

    daily_limits: dict[str, int] = field(default_factory=lambda: {"final": 2, "short": 5})
    preferred_times: list[str] = field(default_factory=lambda: ["10:00", "14:00", "18:00"])
    quota_limit: int = _DEFAULT_QUOTA
    warning_threshold: float = 80.0
    time_slots: list[str] | None = None
    slot_capacity: int = 1
    daily_max_total: int | None = None

    def __post_init__(self) -> None:
        # LangFlix lets None stand for the defaults.
        for name, default in (
            ("daily_limits", {"final": 2, "short": 5}),
            ("preferred_times", ["10:00", "14:00", "18:00"]),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        for video_type, limit in self.daily_limits.items():
            if video_type not in VIDEO_TYPES:
                raise _mistake("daily_limits", f"has a limit for {video_type!r}, no video type")
            _whole_number(f"daily_limits[{video_type!r}]", limit, least=0)
        _whole_number("quota_limit", self.quota_limit, least=0)
        if not 0 <= self.warning_threshold <= 100:  # noqa: PLR2004
            raise _mistake(
                "warning_threshold", f"must be between 0 and 100, got {self.warning_threshold}"
            )
        if self.slot_capacity != 1:
            raise _mistake(
                "slot_capacity",
                f"must be 1, got {self.slot_capacity}: a slot holds one video."
                " Give more time_slots instead",
            )
        if self.daily_max_total is not None:
            _whole_number("daily_max_total", self.daily_max_total, least=1)
        for text in [*(self.time_slots or ()), *self.preferred_times]:
            if not _TIME.fullmatch(str(text)):
                raise _mistake("time_slots", f"have {text!r}, no time of day such as '10:00'")

    @property
    def posting_times(self) -> tuple[str, ...]:
        """The times that hold, as ``HH:MM``, in order and each once."""
        return tuple(
            sorted({text.rjust(5, "0") for text in self.time_slots or self.preferred_times})
        )


@dataclass(frozen=True)
class Change:
    """One difference between a configuration and the database, and what removes it."""

    description: str
    apply: Callable[[Scheduler], object]


class ChannelSettings:
    """What the database holds of what a `ScheduleConfig` speaks of.

    Parameters
    ----------
    rows : iterable of LangflixSetting
        From `Scheduler.langflix_settings`.
    """

    def __init__(self, rows: Iterable[LangflixSetting]) -> None:
        found = list(rows)
        if not found:
            raise ScheduleConfigError("the channel defines no video types")
        self.time_zone = found[0].time_zone
        self.posting_times = tuple(found[0].posting_times)
        self._own = {(row.video_type, row.counted_at): row for row in found if row.own}
        self._total = {row.video_type: row for row in found if row.limit_id == TOTAL_LIMIT}

    def limit(self, video_type: str) -> LangflixSetting | None:
        """Give the daily limit of a type, counted on the day of publishing; None: it has none."""
        return self._own.get((video_type, CountedAt.PUBLISH))

    @property
    def quota(self) -> LangflixSetting | None:
        """The quota, counted on the day of the upload; None: none is charged."""
        return next(
            (row for kind in VIDEO_TYPES if (row := self._own.get((kind, CountedAt.UPLOAD)))), None
        )

    @property
    def total(self) -> int | None:
        """The maximum of both types together; None: there is none."""
        if set(self._total) >= set(VIDEO_TYPES):
            return self._total[VIDEO_TYPES[0]].max_units
        return None

    def as_config(self) -> ScheduleConfig:
        """Give the settings as LangFlix writes them."""
        limits = {kind: row for kind in VIDEO_TYPES if (row := self.limit(kind))}
        quota = self.quota
        return ScheduleConfig(
            daily_limits={kind: _maximum(row) // _units(row) for kind, row in limits.items()},
            preferred_times=list(self.posting_times),
            quota_limit=_maximum(quota) if quota else 0,
            warning_threshold=float(quota.warn_percent or 0) if quota else 80.0,
            daily_max_total=self.total or None,
        )

    def changes_to(self, config: ScheduleConfig) -> list[Change]:
        """List what has to change for a configuration to hold.

        Raises
        ------
        ScheduleConfigError
            Something in it cannot be expressed in this database.
        """
        return [
            *self._limit_changes(config),
            *self._quota_changes(config),
            *self._time_changes(config),
            *self._total_changes(config),
        ]

    def _limit_changes(self, config: ScheduleConfig) -> Iterator[Change]:
        for kind, wanted in config.daily_limits.items():
            row = self.limit(kind)
            if row is None:
                raise ScheduleConfigError(
                    f"videos of type {kind} charge no daily limit in this database",
                    hint=f"Make one with set_daily_limit, and set_charge('{kind}', ...).",
                )
            if _maximum(row) != wanted * _units(row):
                yield Change(
                    f"daily limit of {kind}: {wanted}, not {_maximum(row) // _units(row)}",
                    _setting_maximum(row, wanted * _units(row)),
                )

    def _quota_changes(self, config: ScheduleConfig) -> Iterator[Change]:
        row = self.quota
        if row is None or _units(row) != _UPLOAD_UNITS:
            if config.quota_limit != _DEFAULT_QUOTA:
                raise ScheduleConfigError(
                    f"quota_limit {config.quota_limit} is one of units, of which an upload takes"
                    f" {_UPLOAD_UNITS}, but this database does not count such units",
                    hint="Leave quota_limit out, or apply_quota_profile('units-10000').",
                )
        elif _maximum(row) != config.quota_limit:
            yield Change(
                f"quota: {config.quota_limit} units, not {_maximum(row)}",
                _setting_maximum(row, config.quota_limit),
            )

    def _time_changes(self, config: ScheduleConfig) -> Iterator[Change]:
        wanted = config.posting_times
        if wanted != self.posting_times:
            times = [dt.time.fromisoformat(text) for text in wanted]
            yield Change(
                f"posting times: {_listed(wanted)}, not {_listed(self.posting_times)}",
                lambda scheduler: scheduler.set_posting_times(times),
            )

    def _total_changes(self, config: ScheduleConfig) -> Iterator[Change]:
        wanted = config.daily_max_total
        if wanted == self.total:
            return

        def apply(scheduler: Scheduler) -> None:
            if wanted is not None:
                scheduler.set_daily_limit(TOTAL_LIMIT, max=wanted, counted_at="publish")
            for kind in VIDEO_TYPES:
                scheduler.set_charge(kind, TOTAL_LIMIT, 0 if wanted is None else 1)

        yield Change(
            f"videos a day in total: {_or_unlimited(wanted)}, not {_or_unlimited(self.total)}",
            apply,
        )


def _setting_maximum(row: LangflixSetting, units: int) -> Callable[[Scheduler], object]:
    limit = row.limit_id or ""
    return lambda scheduler: scheduler.set_daily_limit(limit, max=units)


def _maximum(row: LangflixSetting) -> int:
    return row.max_units or 0


def _units(row: LangflixSetting) -> int:
    return row.units or 1


def _listed(times: Iterable[str]) -> str:
    return ", ".join(times) or "none"


def _or_unlimited(maximum: int | None) -> str:
    return "no limit" if maximum is None else str(maximum)


def _whole_number(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _mistake(name, f"must be a whole number from {least}, got {value!r}")


def _mistake(name: str, problem: str) -> ScheduleConfigError:
    return ScheduleConfigError(f"{name} {problem}", detail={"parameter": name})
