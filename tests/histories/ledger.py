"""Replays the ledger of each limit's day in version order: every step has its reason."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from .chains import Lives, Timeline
from .history import FOR_EVER, NEVER, Entry, History, Op, Violation, wall_span
from .model import Expected, day_in

Day = tuple[str, dt.date]
Span = tuple[float, float]
_EVER: Span = (float("-inf"), float("inf"))


@dataclass
class DayReplay:
    """A limit's day as its entries leave it."""

    entries: list[Entry]
    makers: list[list[Op]] = field(default_factory=list)
    timeline: Timeline = field(default_factory=lambda: Timeline([]))
    overridden: list[bool] = field(default_factory=list)

    def usage(self, version: int) -> tuple[int, int | None]:
        """Return balance and maximum at a version; before the first, the maximum is not known."""
        if version == 0:
            return 0, None
        entry = self.entries[version - 1]
        return entry.used_units, entry.max_units


class Replay:
    """The whole ledger, matched with what the calls of a history require of it."""

    def __init__(self, history: History, lives: Lives) -> None:
        self.violations: list[Violation] = []
        self._world = history.world
        self._lives = lives
        self._maximum_ops: dict[tuple[str, int], Op] = {}
        self._day_ops: dict[tuple[str, dt.date, int], Op] = {}
        self._taken_back: dict[Day, list[Op]] = defaultdict(list)
        self._external: dict[tuple[str, dt.date, int], list[Op]] = defaultdict(list)
        for op in history.ops:
            if op.outcome in ("ok", "unknown"):
                self._note(op)
        self._required: dict[tuple[str, dt.date, int], deque[tuple[int, Expected]]]
        self._required = defaultdict(deque)
        for number, life in lives.lives.items():
            for state, expected in zip(life.states, life.expected, strict=False):
                for due in expected:
                    self._required[due.limit_id, due.day, number].append((state.version, due))
        by_day: dict[Day, list[Entry]] = defaultdict(list)
        for entry in history.ledger:
            by_day[entry.limit_id, entry.day].append(entry)
        self.days: dict[Day, DayReplay] = {}
        for day, entries in by_day.items():
            self.days[day] = self._replay(day, sorted(entries, key=lambda e: e.version))
        self._check_left_over()
        self._check_final_days(history)
        self._check_limit_changes(history)

    def _add(self, check: str, message: str, day: Day, *numbers: int, near: int = 0) -> None:
        around = (near - 2, near + 2) if near else None
        self.violations.append(Violation(check, message, numbers, (day,), versions=around))

    def _note(self, op: Op) -> None:
        asked = op.arguments
        if op.function == "set_daily_limit":
            self._maximum_ops[asked["p_limit"], asked["p_max"]] = op
        elif op.function == "override_day" and asked["p_max"] is None:
            self._taken_back[asked["p_limit"], asked["p_day"]].append(op)
        elif op.function == "override_day":
            self._day_ops[asked["p_limit"], asked["p_day"], asked["p_max"]] = op
        elif op.function == "record_usage":
            self._external[asked["p_limit"], asked["p_day"], asked["p_units"]].append(op)

    def _replay(self, day: Day, entries: list[Entry]) -> DayReplay:
        replay = DayReplay(entries)
        used, overridden = 0, False
        maximum: int | None = None
        spans: list[Span] = []
        earlier: dt.datetime | None = None
        for position, entry in enumerate(entries, 1):
            if entry.version != position:
                self._add("gapless", f"version {entry.version} follows {position - 1}", day)
                break
            if entry.used_units != used + entry.units:
                self._add("balance", f"version {position}: {entry}", day, near=position)
            if entry.units > 0 and entry.used_units > entry.max_units:
                self._add("over the maximum", f"version {position}: {entry}", day, near=position)
            if earlier is not None and entry.at < earlier:
                self._add(
                    "clock", f"version {position} is dated before {position - 1}", day,
                    near=position,
                )  # fmt: skip
            used, earlier = entry.used_units, entry.at
            span, makers = self._made_by(day, entry)
            if entry.reason == "maximum":
                makers, overridden = self._maximum(day, entry, overridden)
                span = (makers[0].start, makers[0].end) if len(makers) == 1 else span
            elif maximum is not None and entry.max_units != maximum:
                self._add(
                    "maximum", f"version {position}: {entry.max_units}, not {maximum}", day,
                    near=position,
                )  # fmt: skip
            maximum = entry.max_units
            first, last = wall_span(makers) if makers else (NEVER, FOR_EVER)
            if not first <= entry.at <= last:
                self._add(
                    "clock", f"version {position} is dated {entry.at}, outside of its call", day,
                    near=position,
                )  # fmt: skip
            spans.append(span)
            replay.makers.append(makers)
            replay.overridden.append(overridden)
        replay.timeline = Timeline(spans)
        broken = replay.timeline.broken()
        if broken is not None:
            self._add(
                "real time", f"version {broken} began after a later one had ended", day,
                near=broken,
            )  # fmt: skip
        return replay

    def _made_by(self, day: Day, entry: Entry) -> tuple[Span, list[Op]]:
        if entry.reason == "external":
            ops = self._external.get((*day, entry.units), [])
            if not ops:
                self._add("asked", f"nobody asked for {entry}", day, near=entry.version)
                return _EVER, []
            op = ops.pop()
            return (op.start, op.end if op.outcome == "ok" else _EVER[1]), [op]
        if entry.reservation_id is None:
            return _EVER, []
        required = self._required.get((*day, entry.reservation_id))
        found = Expected(entry.limit_id, entry.day, entry.attempt, entry.units, entry.reason)
        if not required or required[0][1] != found:
            self._add(
                "asked",
                f"version {entry.version} is not what was asked for: {found}; "
                f"required: {required[0][1] if required else 'nothing'}",
                day,
                entry.reservation_id,
                near=entry.version,
            )
            return _EVER, []
        version, _ = required.popleft()
        life = self._lives.lives[entry.reservation_id]
        timeline = life.timeline
        return (
            (timeline.begins[version - 1], timeline.ends[version - 1]),
            life.makers[version - 1],
        )

    def _maximum(self, day: Day, entry: Entry, overridden: bool) -> tuple[list[Op], bool]:
        limit, maximum = day[0], entry.max_units
        override = self._day_ops.get((*day, maximum))
        if override is not None:
            return [override], True
        change = self._maximum_ops.get((limit, maximum))
        if overridden:
            if not self._taken_back.get(day):
                self._add("asked", f"nobody took the override back: {entry}", day,
                          near=entry.version)  # fmt: skip
            return self._taken_back.get(day, []), False
        if change is None:
            self._add("asked", f"nobody asked for {entry}", day, near=entry.version)
            return [], False
        return [change], False

    def _check_left_over(self) -> None:
        for (limit, day, number), required in self._required.items():
            for version, expected in required:
                self._add(
                    "missing", f"version {version} of {number} requires {expected}",
                    (limit, day), number,
                )  # fmt: skip
        for (limit, day, units), ops in self._external.items():
            for op in ops:
                if op.outcome == "ok":
                    self._add("missing", f"{units} external units", (limit, day))

    def _check_final_days(self, history: History) -> None:
        rows = {(row.limit_id, row.day): row for row in history.days}
        for day, row in rows.items():
            if not row.overridden and row.max_units != history.maximums[row.limit_id]:
                self._add("maximum", f"{row} does not follow its limit", day)
        for day, replay in self.days.items():
            if day not in rows:
                self._add("final rows", "a day with entries has no row", day)
                continue
            row = rows[day]
            if replay.overridden and (row.max_units, row.overridden) != (
                replay.entries[-1].max_units,
                replay.overridden[-1],
            ):
                self._add("final rows", f"{row} after {replay.entries[-1]}", day)

    def _check_limit_changes(self, history: History) -> None:
        """See each acknowledged change of a maximum on each day that it must have reached."""
        days_of: dict[str, list[tuple[Day, DayReplay, set[int]]]] = defaultdict(list)
        for day, replay in self.days.items():
            reached = {e.max_units for e in replay.entries if e.reason == "maximum"}
            days_of[day[0]].append((day, replay, reached))
        for op in history.ops:
            if op.outcome != "ok" or op.arguments.get("p_max") is None:
                continue
            if op.function == "override_day":
                day = (op.arguments["p_limit"], op.arguments["p_day"])
                found = self.days.get(day)
                maximum = op.arguments["p_max"]
                count = Counter(
                    e.max_units for e in (found.entries if found else []) if e.reason == "maximum"
                )[maximum]
                if count != 1:
                    self._add("missing", f"{count} entries of maximum {maximum}", day)
            elif op.function == "set_daily_limit":
                for day, replay, reached in days_of[op.arguments["p_limit"]]:
                    self._check_reached(op, day, replay, reached)

    def _check_reached(self, op: Op, day: Day, replay: DayReplay, reached: set[int]) -> None:
        maximum = op.arguments["p_max"]
        today = day_in(self._world.limit_zones[day[0]], op.wall_end)
        if maximum in reached or day[1] < today:
            return
        for version in replay.timeline.possible(op.start, op.end):
            if version == 0 or replay.overridden[version - 1]:
                return
            if replay.entries[version - 1].max_units == maximum:
                return
        self._add("missing", f"the maximum {maximum} of {op.told()} did not reach it", day)

    def stale_maximums(self) -> Iterator[Violation]:
        """Yield the entries whose maximum had been replaced before their call began."""
        changes: dict[str, list[Op]] = defaultdict(list)
        for (limit, _), op in self._maximum_ops.items():
            if op.outcome == "ok":
                changes[limit].append(op)
        done = {limit: _Done(ops) for limit, ops in changes.items()}
        for day, replay in self.days.items():
            first = self._world.first_maximum[day[0]]
            for index, begun in enumerate(replay.timeline.begins):
                entry = replay.entries[index]
                set_by = self._maximum_ops.get((day[0], entry.max_units))
                if replay.overridden[index]:
                    continue
                if set_by is None and entry.max_units != first:
                    yield Violation("maximum", f"{entry} has a maximum of nobody", days=(day,))
                since = set_by.end if set_by is not None else float("-inf")
                later = done[day[0]].latest_before(begun) if day[0] in done else None
                if later is not None and since < later.start:
                    yield Violation(
                        "maximum",
                        f"{entry} is later than {later.told()}",
                        days=(day,),
                        versions=(index - 1, index + 3),
                    )


class _Done:
    """Changes of a maximum; which of them began last, of those that had ended by a moment."""

    def __init__(self, ops: list[Op]) -> None:
        self._ends: list[float] = []
        self._latest: list[Op] = []
        for op in sorted(ops, key=lambda op: op.end):
            self._ends.append(op.end)
            before = self._latest[-1] if self._latest else op
            self._latest.append(op if op.start >= before.start else before)

    def latest_before(self, moment: float) -> Op | None:
        ended = bisect_left(self._ends, moment)
        return self._latest[ended - 1] if ended else None
