"""The life of each reservation, version by version, put together from what callers were told."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .history import History, Op, State, Violation, World, wall_span
from .model import Expected, Holdings, day_in, instant_of, kind_of, upload_time

RESERVES = frozenset(
    {"reserve_slot", "try_reserve_slot", "reserve_slot_at", "reserve_next_slot", "reserve_slots"}
)
MOVES = frozenset({"reschedule_reservation", "retry_upload"})
_PERFORMERS = {
    "reserve": RESERVES,
    "reschedule": frozenset({"reschedule_reservation"}),
    "retry": frozenset({"retry_upload"}),
    "cancel": frozenset({"cancel_reservation"}),
    "start": frozenset({"start_upload", "claim_due_uploads"}),
    "claim": frozenset({"claim_due_uploads"}),
    "complete": frozenset({"complete_upload"}),
    "fail": frozenset({"fail_upload"}),
}
_BECOMES = {
    "cancel_reservation": "cancelled",
    "complete_upload": "completed",
    "fail_upload": "failed",
    "reschedule_reservation": "scheduled",
    "retry_upload": "scheduled",
}


def stored_name(op: Op) -> str:
    """Return the function under which a request key is kept."""
    return "reserve_slot" if op.function == "try_reserve_slot" else op.function


class Timeline:
    """When each version of something began at the earliest, and at the latest.

    Versions follow each other, so none began before its predecessors' earliest moment, nor after
    its successors' latest; a version whose moments contradict breaks real time.
    """

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        self.begins: list[float] = []
        earliest = float("-inf")
        for start, _ in spans:
            earliest = max(earliest, start)
            self.begins.append(earliest)
        latest = float("inf")
        ends: list[float] = []
        for _, end in reversed(spans):
            latest = min(latest, end)
            ends.append(latest)
        self.ends = ends[::-1]

    def broken(self) -> int | None:
        """Return the first version whose successor had ended before it began, else None."""
        for index, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            if begin > end:
                return index + 1
        return None

    def current(self, version: int, start: float, end: float) -> bool:
        """Return whether a version may have been the latest at some moment of a span."""
        if not 0 <= version <= len(self.begins):
            return False
        begun = version == 0 or self.begins[version - 1] <= end
        return begun and (version == len(self.ends) or self.ends[version] >= start)

    def possible(self, start: float, end: float) -> range:
        """Return the versions that may have been the latest at some moment of a span."""
        return range(bisect_left(self.ends, start), bisect_right(self.begins, end) + 1)


@dataclass
class Life:
    """The versions of a reservation, who made each, and what each requires of the ledger."""

    states: list[State] = field(default_factory=list)
    makers: list[list[Op]] = field(default_factory=list)
    expected: list[list[Expected]] = field(default_factory=list)
    timeline: Timeline = field(default_factory=lambda: Timeline([]))


def matches(  # noqa: PLR0911
    world: World, op: Op, kind: str, after: State, before: State | None
) -> bool:
    """Return whether a call asks for the change that led to a version."""
    if op.function not in _PERFORMERS[kind]:
        return False
    asked = op.arguments
    channel = world.channels[after.channel_id]
    if op.function == "claim_due_uploads":
        return asked["p_channel"] in (None, after.channel_id)
    if op.function in RESERVES and (
        asked["p_channel"] != after.channel_id
        or asked["p_type"] != after.video_type
        or asked["p_video"] != after.video_path
    ):
        return False
    if op.function == "reserve_slot_at":
        return bool(asked["p_publish_time"] == after.scheduled_publish_time)
    if "p_time" in asked and after.scheduled_publish_time != instant_of(
        channel.time_zone, asked["p_date"], asked["p_time"]
    ):
        return False
    expected_version = asked.get("p_expected_version")
    if before is not None and expected_version not in (None, before.version):
        return False
    if op.function in ("complete_upload", "fail_upload") and asked["p_token"] != after.lease_token:
        return False
    return op.function != "complete_upload" or (
        asked["p_youtube_video_id"] == after.youtube_video_id
    )


class Lives:
    """All reservations of a history; what does not fit is a violation."""

    def __init__(self, history: History) -> None:
        self.world = history.world
        self.violations: list[Violation] = []
        self._requests = history.requests
        self._told: dict[int, list[tuple[Op, State]]] = defaultdict(list)
        self._unknown: dict[int, list[Op]] = defaultdict(list)
        for op in history.ops:
            if op.outcome == "ok":
                for state in op.states:
                    if state.empty:
                        self._add("replies", "it was answered with no reservation", 0, op)
                        continue
                    self._told[state.reservation_id].append((op, state))
            elif op.outcome == "unknown":
                request = history.requests.get(op.key) if op.key else None
                target = request[1] if request else op.arguments.get("p_reservation_id")
                if target is not None:
                    self._unknown[target].append(op)
        self.lives: dict[int, Life] = {}
        final = {state.reservation_id: state for state in history.reservations}
        for number in sorted(final.keys() | self._told.keys()):
            if number not in final:
                self._add("lost", f"acknowledged reservation {number} is not in the table", number)
            self.lives[number] = self._life(number, final.get(number))

    def _add(self, check: str, message: str, number: int, op: Op | None = None) -> None:
        self.violations.append(Violation(check, message, (number,), op=op))

    def _life(self, number: int, final: State | None) -> Life:
        told = self._told.get(number, [])
        rows: dict[int, State] = {}
        for op, state in told:
            known = rows.setdefault(state.version, state)
            if known != state:
                self._add("replies", f"two replies differ on version {state.version}", number, op)
        if final is not None:
            known = rows.setdefault(final.version, final)
            if known != final:
                self._add("final rows", f"the row is not as acknowledged: {final}", number)
            if max(rows) > final.version:
                self._add("lost", f"version {max(rows)} was acknowledged and is lost", number)
        life = Life()
        holdings = Holdings(self.world)
        before: State | None = None
        for version in range(1, max(rows) + 1):
            after = rows.get(version) or self._inferred(number, version, before, rows)
            if after is None:
                self._add("asked", f"nobody asked for version {version}", number)
                break
            kind = kind_of(before, after)
            if kind is None:
                self._add("life", f"version {version} cannot follow: {after}", number)
                break
            makers = self._makers(number, kind, before, after)
            if not makers:
                self._add("asked", f"nobody asked for version {version} ({kind})", number)
            elif version in rows:
                self._check_times(kind, before, after, makers)
            life.states.append(after)
            life.makers.append(makers)
            life.expected.append(holdings.apply(after, kind))
            before = after
        self._settle(number, life, told)
        return life

    def _candidates(self, number: int, version: int) -> Iterator[Op]:
        for op, state in self._told.get(number, []):
            if state.version == version or (op.key and state.version > version):
                yield op
        yield from self._unknown.get(number, [])

    def _makers(self, number: int, kind: str, before: State | None, after: State) -> list[Op]:
        version = after.version
        makers = [
            op
            for op in self._candidates(number, version)
            if matches(self.world, op, kind, after, before)
        ]
        callers = {op.key or id(op) for op in makers if op.outcome == "ok"}
        if kind in ("reserve", "start", "claim") and len(callers) > 1:
            self._add("accepted twice", f"{kind}: {len(callers)} calls got it", number, makers[-1])
        return makers

    def _check_times(self, kind: str, before: State | None, after: State, makers: list[Op]) -> None:
        channel = self.world.channels[after.channel_id]
        first, last = wall_span(makers)
        publish = after.scheduled_publish_time
        number = after.reservation_id
        if kind in ("reserve", "reschedule", "retry"):
            earliest, latest = (upload_time(channel, publish, now) for now in (first, last))
            if not earliest <= after.upload_time <= latest:
                self._add("clock", f"upload_time {after.upload_time} of {kind}", number, makers[0])
            if not first <= after.charged_at <= last:
                self._add("clock", f"charged_at {after.charged_at} of {kind}", number, makers[0])
            local = day_in(channel.time_zone, publish)
            if (after.local_date, after.time_zone) != (local, channel.time_zone):
                self._add("local day", f"{after.local_date} is not {local}", number, makers[0])
        if kind in ("start", "claim"):
            if not first <= after.upload_time <= last:
                self._add("clock", f"upload began {after.upload_time}", number, makers[0])
            lease = makers[0].arguments["p_lease"]
            expires = None if lease is None else after.upload_time + lease
            if after.lease_token is None or after.lease_expires_at != expires:
                self._add("lease", f"until {after.lease_expires_at}", number, makers[0])
            if kind == "claim" and before is not None:
                lost = before.lease_expires_at
                if lost is None or after.upload_time < lost:
                    self._add("lease", f"its worker had it until {lost}", number, makers[0])

    def _settle(self, number: int, life: Life, told: list[tuple[Op, State]]) -> None:
        acknowledged: dict[int, float] = {}
        for op, state in told:
            end = acknowledged.get(state.version, op.end)
            acknowledged[state.version] = min(end, op.end)
        spans = [
            (
                min((op.start for op in makers), default=float("-inf")),
                acknowledged.get(state.version, float("inf")),
            )
            for state, makers in zip(life.states, life.makers, strict=True)
        ]
        life.timeline = Timeline(spans)
        broken = life.timeline.broken()
        if broken is not None:
            self._add("real time", f"version {broken} began after it was acknowledged", number)
        for op, state in told:
            if state.version > len(life.states):
                continue
            makers = life.makers[state.version - 1]
            if not any(op is maker for maker in makers) and not self._repeats(op, state):
                self._add("replies", f"{op.function} was answered by another's change", number, op)
            if not life.timeline.current(state.version, op.start, op.end):
                self._add("stale reply", f"version {state.version} was not current", number, op)

    def _repeats(self, op: Op, state: State) -> bool:
        if op.key is not None:
            return self._requests.get(op.key) == (stored_name(op), state.reservation_id)
        if op.function == "cancel_reservation":
            # Asking again changes nothing, whatever version was expected.
            return state.upload_status == "cancelled"
        return (
            op.function == "reschedule_reservation"
            and state.upload_status == "scheduled"
            and matches(self.world, op, "reschedule", state, None)
        )

    def _inferred(
        self, number: int, version: int, before: State | None, rows: dict[int, State]
    ) -> State | None:
        """Return a version that nobody was told of: calls of unknown outcome may have made it."""
        later = rows[min(known for known in rows if known > version)]
        asked_for = sorted(self._candidates(number, version), key=lambda op: op.outcome == "ok")
        for op in asked_for:
            channel = self.world.channels[later.channel_id]
            asked = op.arguments
            publish = (
                asked["p_publish_time"]
                if "p_publish_time" in asked
                else instant_of(channel.time_zone, asked["p_date"], asked["p_time"])
                if "p_time" in asked
                else (before or later).scheduled_publish_time
            )
            moved = op.function in RESERVES | MOVES
            after = (before or later)._replace(
                scheduled_publish_time=publish,
                upload_status=_BECOMES.get(op.function, "scheduled"),
                attempt=before.attempt + (op.function == "retry_upload") if before else 1,
                version=version,
            )
            if moved:
                after = after._replace(upload_time=upload_time(channel, publish, op.wall_start))
            if op.function == "complete_upload":
                after = after._replace(youtube_video_id=asked["p_youtube_video_id"])
            kind = kind_of(before, after)
            leads_on = later.version > version + 1 or kind_of(after, later) is not None
            if kind and leads_on and matches(self.world, op, kind, after, before):
                return after
        return None
