"""Was each refusal justified, at a version that was the latest at some moment of its call?"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

from .chains import MOVES, RESERVES, Life, Lives, stored_name
from .history import History, Op, State, Violation
from .ledger import Replay
from .model import charges_for, instant_of, upload_time

_BOOKING = {"SWGAP", "SWPST", "SWBLK", "SWDUP", "SWTKN", "SWLIM", "SWKEY"}
_ALLOWED = {
    **dict.fromkeys(RESERVES, _BOOKING),
    "reserve_next_slot": {"SWKEY", "SWDUP", "SWNON"},
    "reschedule_reservation": _BOOKING | {"SWSTA", "SWVER"},
    "retry_upload": _BOOKING | {"SWSTA", "SWVER"},
    "cancel_reservation": {"SWSTA", "SWVER"},
    "start_upload": {"SWSTA", "SWLIM"},
    "claim_due_uploads": set(),
    "complete_upload": {"SWSTA"},
    "fail_upload": {"SWSTA"},
    "record_usage": {"SWLIM"},
    "set_daily_limit": set(),
    "override_day": set(),
}
_GIVES_WAY = ("was moved meanwhile", "changed meanwhile")
_NEEDED = {
    "cancel_reservation": "scheduled",
    "reschedule_reservation": "scheduled",
    "start_upload": "scheduled",
    "retry_upload": "failed",
    "complete_upload": "uploading",
    "fail_upload": "uploading",
}
# lock_timeout takes whole milliseconds, so what is left of the budget is cut to them.
_LOCK_BUDGET_SECONDS = 4.999


class Refusals:
    """Judges every refusal of a history."""

    def __init__(self, history: History, lives: Lives, replay: Replay) -> None:
        self._history = history
        self._world = history.world
        self._lives = lives.lives
        self._replay = replay
        self._slots: dict[tuple[str, dt.datetime], list[tuple[Life, int]]] = defaultdict(list)
        for life in self._lives.values():
            for state in life.states:
                if state.live:
                    self._slots[state.slot].append((life, state.version))
        self._under_key: dict[str, list[Op]] = defaultdict(list)
        for op in history.ops:
            if op.key is not None:
                self._under_key[op.key].append(op)
        self._judges: dict[str, Callable[[Op], str | None]] = {
            "SWLIM": self._limit,
            "SWTKN": lambda op: self._holder(op, lambda s: s.slot == self._slot(op, s)),
            "SWDUP": lambda op: self._holder(op, lambda s: s.video_path == op.detail["video"]),
            "SWSTA": self._status,
            "SWVER": self._version,
            "SWKEY": self._key,
            "SWNON": self._none_free,
            "SWPST": lambda op: (
                None if self._publish(op) <= op.wall_end else "it was not in the past"
            ),
            "SWGAP": lambda op: None if self._skipped(op) else "the clock has that time",
            "SWBLK": lambda op: None if self._blacked_out(op) else "there is no blackout",
            "40001": self._conflict,
            "40P01": lambda _: "functions never deadlock among themselves",
            "55P03": self._timeout,
        }

    def check(self) -> Iterator[Violation]:
        """Yield the refusals that nothing justifies."""
        for op in self._history.ops:
            if op.outcome != "refused":
                continue
            code = op.code or ""
            allowed = code in _ALLOWED[op.function] or code in ("40001", "40P01", "55P03")
            if not allowed:
                why: str | None = f"{op.function} must not raise {code}: {op.message}"
                check = "sqlstate"
            else:
                why = self._judges[code](op) or self._own_key(op)
                check = f"refusal {code}"
            if why is not None:
                named = op.detail.get("reservation_id") or op.arguments.get("p_reservation_id")
                limit = op.detail.get("limit")
                days = ((limit, dt.date.fromisoformat(op.detail["day"])),) if limit else ()
                version = op.detail.get("version", 0) if limit else 0
                yield Violation(
                    check, why, (named,) if named else (), days, op.key, op,
                    (version - 2, version + 2) if version else None,
                )  # fmt: skip

    def _publish(self, op: Op, zone: str | None = None) -> dt.datetime:
        asked = op.arguments
        if "p_publish_time" in asked:
            given: dt.datetime = asked["p_publish_time"]
            return given
        channel = zone or self._world.channels[asked["p_channel"]].time_zone
        return instant_of(channel, asked["p_date"], asked["p_time"])

    def _slot(self, op: Op, holder: State) -> tuple[str, dt.datetime]:
        if op.function in MOVES:
            zone = self._world.channels[holder.channel_id].time_zone
            return holder.channel_id, self._publish(op, zone)
        return op.arguments["p_channel"], self._publish(op)

    def _states(self, number: int, op: Op) -> Iterator[State]:
        life = self._lives.get(number)
        if life is not None:
            for version in life.timeline.possible(op.start, op.end):
                if version:
                    yield life.states[version - 1]

    def _holder(self, op: Op, holds: Callable[[State], bool]) -> str | None:
        number = op.detail["reservation_id"]
        if any(state.live and holds(state) for state in self._states(number, op)):
            request = self._history.requests.get(op.key) if op.key else None
            if request == (stored_name(op), number) and op.function in RESERVES:
                return "it was refused by its own booking"
            return None
        return f"reservation {number} did not hold it at any moment of the call"

    def _own_key(self, op: Op) -> str | None:
        """Return what is wrong with refusing a key that had been carried out before."""
        request = self._history.requests.get(op.key) if op.key else None
        if request is None or op.code == "SWKEY" or request[0] != stored_name(op):
            return None
        life = self._lives.get(request[1])
        if life is None or op.code in ("40001", "40P01", "55P03") or op.function in MOVES:
            return None
        if life.timeline.ends[0] < op.start:
            return "its key had been carried out before it began"
        if op.code == "SWLIM":
            day = (op.detail["limit"], dt.date.fromisoformat(op.detail["day"]))
            entries = self._replay.days[day].entries if day in self._replay.days else []
            own = (e for e in entries if e.reservation_id == request[1])
            if any(entry.version <= op.detail["version"] for entry in own):
                return "it was refused by its own booking"
        return None

    def _limit(self, op: Op) -> str | None:
        said = op.detail
        day = (said["limit"], dt.date.fromisoformat(said["day"]))
        if said["used"] + said["units"] <= said["max"] or said["units"] <= 0:
            return "what it says is within the maximum"
        replay = self._replay.days.get(day)
        if replay is None:
            own = self._taken_by_batch(op, day)
            known = said["version"] == len(own) and said["used"] == sum(own)
            return None if known else "there is no such version"
        own = self._taken_by_batch(op, day)
        version = said["version"] - len(own)
        if not replay.timeline.current(version, op.start, op.end):
            return f"version {version} was not the latest at any moment of the call"
        used, maximum = replay.usage(version)
        if said["used"] - sum(own) != used or maximum not in (None, said["max"]):
            return f"at version {version} {used} of {maximum} were used"
        if op.function in RESERVES and not self._charges(op, day, said["units"]):
            return "it would not have charged that"
        return None

    def _taken_by_batch(self, op: Op, day: tuple[str, dt.date]) -> list[int]:
        """Return what the items before it in its batch took of a day, until they were undone."""
        taken = []
        for item in op.behind:
            asked = item.arguments
            channel = self._world.channels[asked["p_channel"]]
            publish = self._publish(item)
            planned = upload_time(channel, publish, item.wall_start)
            charges = charges_for(
                self._world, channel.channel_id, asked["p_type"], publish, planned
            )
            taken += [units for charge, units in charges.items() if (charge[0], charge[2]) == day]
        return taken

    def _charges(self, op: Op, day: tuple[str, dt.date], units: int) -> bool:
        asked = op.arguments
        channel = self._world.channels[asked["p_channel"]]
        publish = self._publish(op)
        return any(
            (charge[0], charge[2]) == day and taken == units
            for now in (op.wall_start, op.wall_end)
            for charge, taken in charges_for(
                self._world, channel.channel_id, asked["p_type"], publish,
                upload_time(channel, publish, now),
            ).items()
        )  # fmt: skip

    def _status(self, op: Op) -> str | None:
        said = op.detail
        number = op.arguments["p_reservation_id"]
        needed = _NEEDED[op.function]
        for state in self._states(number, op):
            if state.upload_status != said.get("status"):
                continue
            if state.upload_status != needed:
                return None
            if "attempt" in said and state.lease_token != op.arguments.get("p_token"):
                return None
        return f"reservation {number} was not {said.get('status')} at any moment of the call"

    def _version(self, op: Op) -> str | None:
        asked = op.arguments["p_expected_version"]
        number = op.arguments["p_reservation_id"]
        versions = {state.version for state in self._states(number, op)}
        right = op.detail["version"] != asked and op.detail["version"] in versions
        return None if right else "that version was not the latest at any moment of the call"

    def _key(self, op: Op) -> str | None:
        request = self._history.requests.get(op.key or "")
        if request is None:
            return "nothing was carried out under the key"
        same = [
            other
            for other in self._under_key[op.key or ""]
            if other.outcome == "ok"
            and stored_name(other) == stored_name(op) == request[0]
            and other.arguments == op.arguments
        ]
        return "its key was used with the same arguments" if same else None

    def _conflict(self, op: Op) -> str | None:
        if op.isolation != "read committed" or any(text in op.message for text in _GIVES_WAY):
            return None
        return f"at READ COMMITTED, under locks: {op.message}"

    def _timeout(self, op: Op) -> str | None:
        return None if op.end - op.start >= _LOCK_BUDGET_SECONDS else "it had not waited that long"

    def _skipped(self, op: Op) -> bool:
        asked = op.arguments
        if "p_time" not in asked:
            return False
        zone = op.detail["time_zone"]
        local = dt.datetime.combine(asked["p_date"], asked["p_time"])
        shown = instant_of(zone, asked["p_date"], asked["p_time"]).astimezone(ZoneInfo(zone))
        return shown.replace(tzinfo=None) != local

    def _blacked_out(self, op: Op) -> bool:
        name = op.arguments.get("p_channel") or op.detail["channel"]
        channel = self._world.channels[name]
        publish = self._publish(op, channel.time_zone)
        return any(start <= publish < end for start, end in channel.blackouts)

    def free_throughout(self, op: Op, channel_id: str, kind: str, publish: dt.datetime) -> bool:
        """Return whether a slot was certainly free, limits included, as long as a call ran."""
        channel = self._world.channels[channel_id]
        if any(start <= publish < end for start, end in channel.blackouts):
            return False
        for life, version in self._slots.get((channel_id, publish), ()):
            if life.timeline.current(version, op.start, op.end):
                return False
        for now in (op.wall_start, op.wall_end):
            planned = upload_time(channel, publish, now)
            charges = charges_for(self._world, channel_id, kind, publish, planned)
            for (limit, _, day), units in charges.items():
                if not self._fits(op, (limit, day), units):
                    return False
        return publish > op.wall_end

    def _fits(self, op: Op, day: tuple[str, dt.date], units: int) -> bool:
        replay = self._replay.days.get(day)
        if replay is None:
            return False
        for version in replay.timeline.possible(op.start, op.end):
            used, maximum = replay.usage(version)
            if maximum is None or used + units > maximum:
                return False
        return True

    def _none_free(self, op: Op) -> str | None:
        for slot in self.candidates(op):
            if self.free_throughout(op, op.arguments["p_channel"], op.arguments["p_type"], slot):
                return f"{slot} was free as long as the call ran"
        return None

    def candidates(self, op: Op) -> Iterator[dt.datetime]:
        """Yield the slots of a call of ``reserve_next_slot`` in the order of the contract."""
        channel = self._world.channels[op.arguments["p_channel"]]
        hours = [dt.time(hour) for hour in range(9, 22)]
        preferred = sorted(channel.posting_times)
        times = preferred + [time for time in hours if time not in preferred]
        for offset in range(op.arguments["p_horizon_days"]):
            day: Any = op.arguments["p_from"] + dt.timedelta(days=offset)
            for time in times:
                yield instant_of(channel.time_zone, day, time)
