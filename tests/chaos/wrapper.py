"""What the Python wrapper says when a reply is lost, no connection is free, or time is up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import OperationalError

from histories.history import Op
from slotwarden import (
    DatabaseUnavailable,
    OutcomeUnknown,
    Scheduler,
    SlotwardenError,
    create_engine,
    translated_errors,
)
from wrapper_relay import Relay

from .load import Address, Load
from .server import Server, wait_for
from .singles import booking, end, through
from .stage import Report, Stage, carried_out, conclude, empty

ROUNDS = 50
_WAITS = 20
_CONNECTIONS = 20
_CALLERS = 40
_CALLS_EACH = 5
_MANY_TIMEOUTS = 200
_MANY_SUCCESSES = 1000
# So short that a call now and then does not make it.
_SHORT = "-c TimeZone=UTC -c statement_timeout=6ms -c client_min_messages=error"


@contextmanager
def _engine(url: str | URL) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def lost_reply(stage: Stage) -> Report:
    """Lose the reply to the committing statement: of a call, and of a caller's COMMIT."""
    report = Report()
    ops: list[Op] = []
    told: list[tuple[Op, int]] = []
    unknown = {"call": 0, "commit": 0}
    with stage.server() as server:
        world = empty(server.url())
        with Relay(server.url()) as relay:
            for number in range(2 * ROUNDS):
                name, lose = (("call", _in_call), ("commit", _in_commit))[number % 2]
                op = booking(f"{name}-{number}", number)
                ops.append(op)
                with _engine(relay.url) as engine:
                    unknown[name] += isinstance(lose(relay, engine, op), OutcomeUnknown)
                    end(op, "unknown")
                    told.append((op, through(Scheduler(engine), op).reservation_id))
        report.exact("calls: OutcomeUnknown", unknown["call"], ROUNDS)
        report.exact("COMMITs: OutcomeUnknown", unknown["commit"], ROUNDS)
        history = conclude(server.url(), "lost replies", world, ops)
        same = [history.requests.get(op.key or "") == ("reserve_slot", n) for op, n in told]
        report.exact("settled by the same key", sum(same), 2 * ROUNDS)
        report.exact("bookings", len(history.reservations), 2 * ROUNDS)
        report.judge(history)
    return report


def _in_call(relay: Relay, engine: Engine, op: Op) -> SlotwardenError | None:
    scheduler = Scheduler(engine)
    scheduler.calendar()
    relay.cut_after("reserve_slot")
    try:
        through(scheduler, op)
    except SlotwardenError as error:
        return error
    return None


def _in_commit(relay: Relay, engine: Engine, op: Op) -> SlotwardenError | None:
    relay.cut_after("COMMIT")
    try:
        with translated_errors(), engine.begin() as connection:
            through(Scheduler(connection), op)
    except SlotwardenError as error:
        return error
    return None


def no_connections(stage: Stage) -> Report:
    """Let callers find all connections taken."""
    report = Report()
    with stage.server({"max_connections": str(_CONNECTIONS)}) as server:
        world = empty(server.url())
        server.query("create role web login in role slotwarden_app")
        web = make_url(server.url()).set(username="web")
        ops = _all_taken(server, web, report)
        ops += _scramble(web, report)
        history = conclude(server.url(), "connections", world, ops)
        report.exact("bookings", len(history.reservations), len(history.requests))
        report.judge(history)
    return report


def _all_taken(server: Server, web: URL, report: Report) -> list[Op]:
    ops: list[Op] = []
    held = []
    try:
        while True:
            held.append(psycopg2.connect(web.render_as_string()))
    except psycopg2.OperationalError:
        report.count("connections taken", len(held), least=1)
    unavailable = 0
    with Scheduler(web) as scheduler:
        for number in range(_WAITS):
            op = booking(f"refused-{number}", number)
            try:
                through(scheduler, op)
            except DatabaseUnavailable:
                unavailable += 1
            ops.append(end(op, "rolled_back"))
    report.exact("all taken: DatabaseUnavailable", unavailable, _WAITS)
    for connection in held:
        connection.close()
    wait_for(
        lambda: (
            server.query("select count(*) < 5 from pg_stat_activity where usename = 'web'")
            == [(True,)]
        ),
        "the connections are still taken",
    )
    return ops


def _scramble(web: URL, report: Report) -> list[Op]:
    """Let more callers come at once than there are connections; each repeats until it has one."""
    ops: list[Op] = []
    unavailable = [0] * _CALLERS
    gate = threading.Barrier(_CALLERS)

    def call(caller: int) -> None:
        gate.wait()
        for number in range(_CALLS_EACH):
            op = booking(f"caller-{caller}-{number}", 100 + caller * _CALLS_EACH + number)
            while True:
                with Scheduler(web) as scheduler:
                    try:
                        through(scheduler, op)
                    except DatabaseUnavailable:
                        unavailable[caller] += 1
                        continue
                break
            # What the reply held is learnt, and checked, by asking again.
            ops.append(end(op, "unknown"))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    report.exact(f"{_CALLERS} callers at once: done", len(ops), _CALLERS * _CALLS_EACH)
    report.count("DatabaseUnavailable on the way", sum(unavailable), least=1)
    return ops


def statement_timeouts(stage: Stage) -> Report:
    """Let ``statement_timeout`` end calls: while they wait, and anywhere under load."""
    report = Report()
    with stage.server() as server:
        world = empty(server.url())
        ops: list[Op] = []
        ended = 0
        hurried = make_url(server.url()).update_query_dict({"options": "-cstatement_timeout=100"})
        with _engine(server.url()) as engine, Scheduler(hurried) as scheduler:
            for number in range(_WAITS):
                held = booking(f"holder-{number}", number)
                with engine.begin() as connection:
                    through(Scheduler(connection), held)
                    op = booking(f"waiting-{number}", 100 + number)
                    try:
                        through(scheduler, op)
                    except OperationalError as error:
                        ended += getattr(error.orig, "pgcode", None) == "57014"
                    ops.append(end(op, "rolled_back"))
                ops.append(end(held, "unknown"))
        report.exact("waiting calls ended with 57014", ended, _WAITS)
        report.judge(conclude(server.url(), "statement_timeout, waiting", world, ops))
        world = empty(server.url())
        load = Load(
            Address(server.url()), world, seed=2, options=_SHORT, harmless=frozenset({"57014"})
        )
        with load:
            wait_for(
                lambda: len(load.seen) >= _MANY_TIMEOUTS and load.acknowledged >= _MANY_SUCCESSES,
                "too few calls were ended",
            )
        report.count("calls under load ended with 57014", len(load.seen), least=_MANY_TIMEOUTS)
        report.judge(conclude(server.url(), "statement_timeout, load", world, load.ops))
    return report


def idle_transactions(stage: Stage) -> Report:
    """Forget a transaction that has booked: the server ends it, and those behind it go on."""
    report = Report()
    ops: list[Op] = []
    said: list[SlotwardenError] = []
    with stage.server() as server:
        world = empty(server.url())
        forgetful = make_url(server.url()).update_query_dict(
            {"options": "-cidle_in_transaction_session_timeout=100"}
        )
        with _engine(forgetful) as engine, Scheduler(server.url()) as scheduler:
            for number in range(_WAITS):
                op = booking(f"forgotten-{number}", number)
                behind = booking(f"behind-{number}", number)
                try:
                    with translated_errors(), engine.begin() as connection:
                        through(Scheduler(connection), op)
                        # Of the same slot: it has to wait for the other's end.
                        through(scheduler, behind)
                        ops.append(end(behind, "unknown"))
                except SlotwardenError as error:
                    said.append(error)
                ops.append(end(op, "rolled_back"))
        report.exact(
            "transactions ended",
            server.count_in_log("terminating connection due to idle-in-transaction timeout"),
            _WAITS,
        )
        report.exact("bookings behind them", carried_out(server.url(), ops), _WAITS)
        for kind in (DatabaseUnavailable, OutcomeUnknown):
            of_kind = sum(isinstance(error, kind) for error in said)
            if of_kind:
                report.count(f"their COMMIT: {kind.__name__}", of_kind)
        report.exact("their COMMITs that failed", len(said), _WAITS)
        report.judge(conclude(server.url(), "idle in transaction", world, ops))
    return report
