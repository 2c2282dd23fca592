"""Checks a whole history: every acknowledged call, every entry, every refusal.

1. The ledger holds exactly the entries that the acknowledged calls require, and no others.
2. The versions of each limit's day run 1..n without a gap, balances add up, no maximum is passed.
3. A plain model (``model.py``) finds every step legal and ends with the stored rows.
4. Every refusal was justified at a version that was the latest at some moment of its call.
5. What ended before another call began has the lower version.
6. Of the calls that complete (start, claim, book under one key), one is accepted; a slot has one
   live booking at every moment.

Apart from sorting, and from looking at the slots before the one that ``reserve_next_slot`` chose,
the work is linear in the size of the history.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from .chains import Lives, stored_name
from .history import History, Violation
from .ledger import Replay
from .refusals import Refusals


def check(history: History) -> list[Violation]:
    """Return everything about a history that must not be."""
    lives = Lives(history)
    replay = Replay(history, lives)
    refusals = Refusals(history, lives, replay)
    return [
        *lives.violations,
        *replay.violations,
        *replay.stale_maximums(),
        *refusals.check(),
        *_shared_keys(history),
        *_shared_slots(lives),
        *_first_free(history, lives, refusals),
        *_drift(history),
    ]


def _shared_keys(history: History) -> Iterator[Violation]:
    """One key, one reservation: whoever was told of another was booked twice."""
    for op in history.ops:
        if op.key is None or op.outcome != "ok":
            continue
        request = history.requests.get(op.key)
        if request is None:
            yield Violation("key", "its key was not kept", key=op.key, op=op)
        elif request != (stored_name(op), op.states[0].reservation_id):
            told = op.states[0].reservation_id or 0
            yield Violation(
                "key", f"the key leads to {request}, told was {told}", (told,), key=op.key, op=op
            )


def _shared_slots(lives: Lives) -> Iterator[Violation]:
    """Two bookings that both certainly held a slot at one moment."""
    held: dict[tuple[str, dt.datetime], list[tuple[float, float, int]]] = defaultdict(list)
    for number, life in lives.lives.items():
        since: float | None = None
        for index, state in enumerate(life.states):
            following = life.states[index + 1] if index + 1 < len(life.states) else None
            if state.live and since is None:
                since = life.timeline.ends[index]
            stays = following is not None and following.live and following.slot == state.slot
            if since is not None and not stays:
                until = life.timeline.begins[index + 1] if following else float("inf")
                if since < until:
                    held[state.slot].append((since, until, number))
                since = None
    for slot, spans in held.items():
        latest, holder = float("-inf"), 0
        for since, until, number in sorted(spans):
            if since < latest and holder != number:
                yield Violation("shared slot", f"{slot} has two bookings", (holder, number))
            if until > latest:
                latest, holder = until, number


def _first_free(history: History, lives: Lives, refusals: Refusals) -> Iterator[Violation]:
    """``reserve_next_slot`` passes over no slot that was free as long as it ran."""
    for op in history.ops:
        if op.function != "reserve_next_slot" or op.outcome != "ok":
            continue
        life = lives.lives.get(op.states[0].reservation_id)
        if life is None or not life.states or op.states[0].version != 1:
            continue
        # Of several calls under one key, it is not known which one chose.
        if len(life.makers[0]) > 1:
            continue
        first = life.states[0]
        for slot in refusals.candidates(op):
            if slot == first.scheduled_publish_time:
                break
            if refusals.free_throughout(op, first.channel_id, first.video_type, slot):
                yield Violation(
                    "first free", f"{slot} was free and passed over", (first.reservation_id,),
                    op=op,
                )  # fmt: skip
                break
        else:
            yield Violation("first free", "no such candidate", (first.reservation_id,), op=op)


def _drift(history: History) -> Iterator[Violation]:
    for row in history.drift:
        yield Violation("drift", f"usage_drift shows {row}")


def excerpt(history: History, violation: Violation, most: int = 12) -> list[str]:
    """Return the part of a history that a violation is about, in order of time."""
    numbers = set(violation.reservations)
    days = set(violation.days)
    shown = []
    for op in history.ops:
        about = (
            op is violation.op
            or (violation.key is not None and op.key == violation.key)
            or any(state.reservation_id in numbers for state in op.states)
            or op.arguments.get("p_reservation_id") in numbers
            or (
                op.function in ("set_daily_limit", "override_day")
                and any(op.arguments["p_limit"] == limit for limit, _ in days)
                and not numbers
            )
        )
        if about:
            shown.append(op)
    if violation.op is not None:
        at = violation.op.start
        shown.sort(key=lambda op: abs(op.start - at))
    else:
        # Calls that changed nothing say the least.
        shown.sort(key=lambda op: op.outcome not in ("ok", "unknown"))
    lines = [op.told() for op in sorted(shown[:most], key=lambda op: op.start)]
    low, high = violation.versions or (0, most if days else 0)
    for entry in history.ledger:
        near = (entry.limit_id, entry.day) in days and low <= entry.version <= high
        if near or (entry.reservation_id in numbers and not days):
            lines.append("ledger " + " ".join(str(value) for value in entry))
    return lines[: 2 * most]
