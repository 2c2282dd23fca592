"""The primary is killed with all that it has, and its standby takes over."""

from __future__ import annotations

import random
from contextlib import ExitStack

from .load import Address, Load, pause
from .server import Server, wait_for
from .stage import Report, Stage, carried_out, conclude, empty

PROMOTIONS = 20
CONTROLS = 5
_CALLS_BETWEEN = 40
_LOST_CALLS = 20
_NAME = "synchronous_standby_names"
_GAVE_UP = "canceling wait for synchronous replication"


def _attach(standby: Server, primary: Server, *, synchronous: bool) -> None:
    """Make a standby of the primary and wait until it follows."""
    standby.copy_from(primary)
    standby.start()
    state = "sync" if synchronous else "async"
    wait_for(
        lambda: primary.query("select 1 from pg_stat_replication where sync_state = %s", state),
        "the standby does not follow",
    )


def _promote(standby: Server) -> None:
    if standby.query("select pg_promote(true, 60)") != [(True,)]:
        raise RuntimeError("the standby was not promoted")


def synchronous_standby(stage: Stage) -> Report:
    """Kill the primary and promote its synchronous standby, 20 times, under one load."""
    report = Report()
    draw = random.Random(4)  # noqa: S311
    with ExitStack() as stack:
        primary = stack.enter_context(stage.server())
        standby = stack.enter_context(stage.standby())
        world = empty(primary.url())
        # Copied with the data, so that who is promoted waits for its own standby in turn.
        primary.configure(_NAME, "twin")
        address = Address(primary.url())
        promotions = 0
        # It waits: there is no standby yet.
        load = stack.enter_context(Load(address, world, seed=4))
        for _ in range(PROMOTIONS):
            _attach(standby, primary, synchronous=True)
            load.go_on(_CALLS_BETWEEN)
            pause(0.02, draw)
            primary.kill()
            _promote(standby)
            promotions += 1
            primary, standby = standby, primary
            address.url = primary.url()
        _attach(standby, primary, synchronous=True)
        load.go_on(_CALLS_BETWEEN)
        load.__exit__(None, None, None)
        report.exact("primaries killed, standbys promoted", promotions, PROMOTIONS)
        gave_up = primary.count_in_log(_GAVE_UP) + standby.count_in_log(_GAVE_UP)
        report.exact("commits that gave up waiting for the standby", gave_up, 0)
        report.count("unknown, carried out", carried_out(primary.url(), load.ops))
        unknown = sum(op.outcome == "unknown" for op in load.ops)
        report.count("unknown outcomes", unknown, least=1)
        found = report.judge(conclude(primary.url(), "synchronous standby", world, load.ops))
        report.exact("acknowledged and lost", sum(each.check == "lost" for each in found), 0)
    return report


def asynchronous_standby(stage: Stage) -> Report:
    """The control: a standby that nobody waits for, and that is late. The oracle must see it."""
    report = Report()
    losing = lost = 0
    for number in range(CONTROLS):
        with ExitStack() as stack:
            primary = stack.enter_context(stage.server())
            standby = stack.enter_context(stage.standby())
            world = empty(primary.url())
            _attach(standby, primary, synchronous=False)
            address = Address(primary.url())
            with Load(address, world, seed=100 + number) as load:
                load.go_on(_CALLS_BETWEEN)
                # Stopped here and not at the standby, which would find the rest in its socket.
                primary.process_named("walsender").suspend()
                load.go_on(_LOST_CALLS)
                primary.kill()
                _promote(standby)
                address.url = standby.url()
                load.go_on(_CALLS_BETWEEN)
            found = report.note(conclude(standby.url(), "asynchronous standby", world, load.ops))
            losses = sum(violation.check == "lost" for violation in found)
            lost += losses
            losing += losses > 0
    report.exact("promotions that lose", losing, CONTROLS)
    report.count("acknowledged versions that the oracle finds lost", lost, least=CONTROLS)
    return report
