"""What a run leaves behind: the calls with their outcomes, and the rows of the tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
LIVE = frozenset({"scheduled", "uploading", "completed"})


class State(NamedTuple):
    """A row of ``reservation``: one version of it."""

    reservation_id: int
    channel_id: str
    video_type: str
    video_path: str | None
    scheduled_publish_time: dt.datetime
    upload_time: dt.datetime
    local_date: dt.date
    time_zone: str
    upload_status: str
    attempt: int
    lease_token: str | None
    lease_expires_at: dt.datetime | None
    youtube_video_id: str | None
    error_message: str | None
    version: int
    charged_at: dt.datetime
    created_at: dt.datetime
    created_by: str

    @property
    def empty(self) -> bool:
        """Whether a call that was to answer with a reservation answered with none."""
        number: int | None = self.reservation_id
        return number is None

    @property
    def slot(self) -> tuple[str, dt.datetime]:
        return self.channel_id, self.scheduled_publish_time

    @property
    def live(self) -> bool:
        return self.upload_status in LIVE


class Entry(NamedTuple):
    """A row of ``usage_ledger``."""

    limit_id: str
    day: dt.date
    version: int
    reservation_id: int | None
    attempt: int | None
    units: int
    used_units: int
    max_units: int
    reason: str
    at: dt.datetime


class LimitDay(NamedTuple):
    """A row of ``limit_day``."""

    limit_id: str
    day: dt.date
    max_units: int
    overridden: bool


@dataclass(slots=True)
class Op:
    """One call: what was asked, when, and what came of it.

    `outcome` is ``ok``, ``refused``, ``rolled_back`` (by its caller) or ``unknown`` (its connection
    was cut). `start` and `end` are seconds of the monotonic clock, the wall clock's beside them.
    `behind` are the items of an all-or-nothing batch that were booked, and taken back, before this
    one was refused.
    """

    client: int
    number: int
    function: str
    arguments: Mapping[str, Any]
    key: str | None = None
    isolation: str = "read committed"
    start: float = 0.0
    end: float = 0.0
    wall_start: dt.datetime = NEVER
    wall_end: dt.datetime = NEVER
    outcome: str = "unknown"
    states: list[State] = field(default_factory=list)
    reply: tuple[Any, ...] | None = None
    code: str | None = None
    message: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    behind: tuple[Op, ...] = ()

    def told(self) -> str:
        """Return the call and its outcome in one line."""
        if self.outcome == "refused":
            came = f"{self.code} {dict(self.detail)} {self.message if not self.detail else ''}"
        elif self.outcome == "ok":
            came = (
                ", ".join(
                    f"#{s.reservation_id} v{s.version} {s.upload_status} "
                    f"{s.scheduled_publish_time:%d %H:%M}Z try {s.attempt}"
                    for s in self.states
                )
                or f"ok {self.reply or ''}"
            )
        else:
            came = self.outcome
        asked = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        key = f" key={self.key}" if self.key else ""
        isolation = "" if self.isolation == "read committed" else f" [{self.isolation}]"
        return (
            f"{self.start:.4f}-{self.end:.4f} client {self.client} call {self.number}: "
            f"{self.function}({asked}){key}{isolation} -> {came}"
        )


def wall_span(makers: Sequence[Op]) -> tuple[dt.datetime, dt.datetime]:
    """Return when, by the wall clock, one of some calls did its work.

    A call whose connection was cut may have gone on after that.
    """
    return (
        min(op.wall_start for op in makers),
        max(FOR_EVER if op.outcome == "unknown" else op.wall_end for op in makers),
    )


@dataclass(frozen=True)
class Rule:
    """A charge rule with what the day of its limit depends on."""

    limit_id: str
    units: int
    counted_at: str
    time_zone: str


@dataclass(frozen=True)
class Channel:
    """A channel of the workload; nothing of it changes during a run."""

    channel_id: str
    time_zone: str
    upload_lead: dt.timedelta
    posting_times: tuple[dt.time, ...]
    blackouts: tuple[tuple[dt.datetime, dt.datetime], ...]


@dataclass(frozen=True)
class World:
    """What stays the same during a run."""

    channels: Mapping[str, Channel]
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]
    limit_zones: Mapping[str, str]
    first_maximum: Mapping[str, int]


@dataclass
class History:
    """All that is known of one run."""

    name: str
    world: World
    ops: list[Op]
    reservations: list[State] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)
    days: list[LimitDay] = field(default_factory=list)
    maximums: dict[str, int] = field(default_factory=dict)
    requests: dict[str, tuple[str, int]] = field(default_factory=dict)
    external: list[tuple[str, dt.date, int]] = field(default_factory=list)
    drift: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def successes(self) -> int:
        return sum(op.outcome == "ok" for op in self.ops)


@dataclass(frozen=True)
class Violation:
    """Something that must not be, and what it is about."""

    check: str
    message: str
    reservations: tuple[int, ...] = ()
    days: tuple[tuple[str, dt.date], ...] = ()
    key: str | None = None
    op: Op | None = None
    versions: tuple[int, int] | None = None
