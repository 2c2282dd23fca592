"""Every pair of operations, step by step: the first one's transaction is open as the second calls.

The second either waits for the first (``pg_blocking_pids`` says so) or goes its way; then the first
commits, rolls back, or holds on until the second has waited long enough. What comes of both must be
what the plain model says of one after the other.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import psycopg2
import pytest
from psycopg2.extras import NamedTupleCursor
from steps import (
    KEYED,
    NEEDED,
    OPERATIONS,
    SETTINGS,
    Call,
    Came,
    Scene,
    came_of,
    prepare,
    scene_on,
    serially,
    state_in_model,
    state_of,
)

from conftest import Copies
from support import Background, PgConnection, assert_consistent, attempt, query, scalar

_FUNCTIONS = (
    "reserve_slot",
    "reserve_next_slot",
    "cancel_reservation",
    "reschedule_reservation",
    "start_upload",
    "complete_upload",
    "fail_upload",
    "retry_upload",
    "override_day",
)
_ENDINGS = ("commit", "rollback", "timeout")
# Long enough that a call that waits for nobody never meets it.
_SHORT_WAIT = "250ms"
_LOOKS = 20_000
_GIVES_WAY = "40001"

# `make interleavings` asks for every pair; these stand for them where there is no time.
_FEW = [
    ("reserve", "reserve"),
    ("reserve", "cancel"),
    ("cancel", "reserve"),
    ("reschedule", "reschedule"),
    ("fail", "retry"),
    ("override", "next"),
]
_EVERY = list(itertools.product(OPERATIONS, repeat=2))
_PAIRS = _EVERY if "SLOTWARDEN_EVERY_PAIR" in os.environ else _FEW


def _applies(setting: str, first: str, second: str) -> bool:
    if setting == "same key":
        return first == second and first in KEYED
    return setting != "same reservation" or {first, second} <= NEEDED.keys()


_CASES = [(pair, setting) for pair in _PAIRS for setting in SETTINGS if _applies(setting, *pair)]


def _told(part: tuple[str, str] | str) -> str:
    return part if isinstance(part, str) else " then ".join(part)


@dataclass
class Stage:
    """A database with the sessions of both calls."""

    db: PgConnection
    first: PgConnection
    second: PgConnection
    days: Iterator[dt.date] = field(default_factory=lambda: iter(()))

    def scene(self) -> Scene:
        return scene_on(self.db, next(self.days))


def _days(db: PgConnection) -> Iterator[dt.date]:
    today: dt.date = scalar(db, "select current_date")
    return (today + dt.timedelta(days=30 + 3 * number) for number in itertools.count())


@pytest.fixture(scope="module")
def stages(copies: Copies) -> Iterator[dict[str, Stage]]:
    """A database whose calls wait patiently, and one whose calls soon give up."""
    made: dict[str, Stage] = {}
    with ExitStack() as stack:
        for name, budget in (("patient", "60s"), ("hasty", _SHORT_WAIT)):
            url = stack.enter_context(copies())

            def connect(target: str = url) -> PgConnection:
                opened = psycopg2.connect(target, cursor_factory=NamedTupleCursor)
                return stack.enter_context(closing(opened))

            db, first, second = connect(), connect(), connect()
            db.autocommit = second.autocommit = True
            for function in _FUNCTIONS:
                signature = scalar(db, "select %s::regproc::regprocedure", f"slotwarden.{function}")
                query(db, f"alter function {signature} set lock_timeout = '{budget}'")
            query(db, "select slotwarden.set_daily_limit('api_units', 1000000000)")
            made[name] = Stage(db, first, second, _days(db))
        yield made
        for stage in made.values():
            # The last call of a case may have been refused, and so have ended no transaction.
            stage.first.rollback()
            assert_consistent(stage.db)


def _waits(db: PgConnection, call: Background, holder: PgConnection) -> bool:
    """Wait until a call waits for `holder` (True) or has come to its end (False)."""
    for _ in range(_LOOKS):
        if not call.running:
            # It may have waited between two looks.
            return came_of(call.outcome).code == "55P03"
        if holder.info.backend_pid in scalar(db, "select pg_blocking_pids(%s)", call.pid):
            return True
    pytest.fail("the second call neither waits nor ends")


def _run(stage: Stage, setting: str, names: tuple[str, str], ending: str) -> bool:
    """Drive one case to its end; return whether the second call had to wait."""
    scene = stage.scene()
    first, second = prepare(scene, setting, *names)
    began = came_of(attempt(stage.first, first.sql, *first.parameters))
    call = Background(stage.second, second.sql, *second.parameters)
    waited = _waits(stage.db, call, stage.first)
    if ending == "timeout":
        ended = came_of(call.outcome)
        stage.first.commit()
        assert ended.code == "55P03" or not waited, ended
        if waited:
            # It has left nothing, and may be made again.
            ended = _again(stage, second)
    else:
        if ending == "commit" and began.code is None:
            stage.first.commit()
        else:
            stage.first.rollback()
        ended = came_of(call.outcome)
    undone = ending == "rollback" or began.code is not None
    _compare(scene, (first, second), (began, ended), stage, waited=waited, undone=undone)
    return waited


def _again(stage: Stage, call: Call) -> Came:
    return came_of(attempt(stage.second, call.sql, *call.parameters))


def _compare(
    scene: Scene,
    calls: tuple[Call, Call],
    came: tuple[Came, Came],
    stage: Stage,
    *,
    waited: bool,
    undone: bool,
) -> None:
    first, second = calls
    began, ended = came
    if ended.code == _GIVES_WAY:
        # What it was about has changed while it waited: the caller is told to try again.
        assert waited
        assert not undone
        ended = _again(stage, second)
    (alone,), _ = serially(scene, first)
    assert began == alone
    if undone:
        (wanted,), model = serially(scene, second)
    elif waited and not _chose_before(scene, calls, ended):
        (_, wanted), model = serially(scene, first, second)
    else:
        # It has chosen without having seen the first, so it comes before it.
        (wanted, then), model = serially(scene, second, first)
        assert began == then
    assert ended == wanted
    assert state_of(scene) == state_in_model(model)


def _chose_before(scene: Scene, calls: tuple[Call, Call], ended: Came) -> bool:
    """Return whether a call looked for a slot, and found one, before it had to wait."""
    first, second = calls
    return second.function == "reserve_next_slot" and serially(scene, second, first)[0][0] == ended


@pytest.mark.parametrize(("pair", "setting"), _CASES, ids=_told)
def test_two_calls_come_to_what_one_after_the_other_comes_to(
    stages: dict[str, Stage], pair: tuple[str, str], setting: str
) -> None:
    for ending in _ENDINGS:
        stage = stages["hasty" if ending == "timeout" else "patient"]
        _run(stage, setting, pair, ending)
