"""Clients, each a thread with a connection of its own, that carry out what was planned for them."""

from __future__ import annotations

import datetime as dt
import select
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from .calls import OF_RESULT, OTHER_ROWS, Registry, arguments_of, batch_of, statement_of
from .history import Op, State, World
from .model import instant_of
from .plan import SHARED_KEY, Step

_SHARE_OF_KEY_CLASHES = 0.02
_CUT = "slotwarden-cut"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Client:
    """Carries out planned calls, one after the other, and writes down what came of each."""

    def __init__(self, number: int, url: str, world: World, registry: Registry) -> None:
        self.ops: list[Op] = []
        self._number = number
        self._url = url
        self._world = world
        self._registry = registry
        self._connection = psycopg2.connect(url, options="-c TimeZone=UTC -c statement_timeout=20s")
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._keyed: list[Op] = []

    def close(self) -> None:
        self._connection.close()

    def begin_run(self, world: World, registry: Registry) -> None:
        """Forget the last run."""
        self.ops, self._keyed = [], []
        self._world, self._registry = world, registry

    def run(self, steps: Sequence[Step]) -> None:
        """Carry out all steps."""
        for step in steps:
            self._carry_out(step)

    def _carry_out(self, step: Step) -> None:
        if step.function == "reserve_slots":
            self._batch(step)
            return
        op = self._repeat(step) if step.function == "repeat" else self._new(step)
        if op is None:
            return
        self.ops.append(op)
        if step.cut_after is not None:
            self._cut(op, step.cut_after)
            if op.outcome == "unknown" and step.repeat_at_once:
                self.ask_again(op)
        elif step.in_transaction:
            self._in_transaction(op, step)
        else:
            self._call(op, *statement_of(op))
        if op.key is not None:
            self._keyed.append(op)

    def ask_again(self, op: Op) -> None:
        """Make the call once more, to learn what came of it."""
        again = self._op(op.function, op.arguments, op.key)
        self.ops.append(again)
        self._call(again, *statement_of(again))

    def _op(self, function: str, arguments: Any, key: str | None = None) -> Op:
        return Op(self._number, len(self.ops), function, arguments, key)

    def _repeat(self, step: Step) -> Op | None:
        if not self._keyed:
            return None
        earlier = self._keyed[int(step.pick * len(self._keyed))]
        return self._op(earlier.function, earlier.arguments, earlier.key)

    def _new(self, step: Step) -> Op | None:
        asked = arguments_of(step, self._world, self._registry)
        if asked is None:
            return None
        op = self._op(step.function, asked, step.key)
        if step.key == SHARED_KEY:
            op.key = self._registry.shared_key()
            if step.pick > _SHARE_OF_KEY_CLASHES:
                op.function, op.arguments = self._registry.shared(op.key, step.function, asked)
        op.isolation = step.isolation
        return op

    def _batch(self, step: Step) -> None:
        items, requests = batch_of(step, self._world)
        ops = [self._op("reserve_slots", item) for item in items]
        whole = Op(self._number, len(self.ops), "reserve_slots", {})
        sql = f"select {OF_RESULT} from slotwarden.reserve_slots(%s, %s) order by item"
        self._measure(whole, sql, [requests, step.all_or_nothing])
        rows = whole.reply or ()
        for index, op in enumerate(ops):
            op.start, op.end = whole.start, whole.end
            op.wall_start, op.wall_end = whole.wall_start, whole.wall_end
            op.outcome = whole.outcome
            if whole.outcome == "ok":
                self._answer_row(op, rows[index])
            elif whole.detail.get("item", index + 1) == index + 1:
                op.code, op.detail, op.message = whole.code, whole.detail, whole.message
                op.behind = tuple(_booked_before(ops, index, self._world))
            else:
                op.outcome = "rolled_back"
            op.number = len(self.ops)
            self.ops.append(op)
        self._tell(ops)

    def _tell(self, ops: Sequence[Op]) -> None:
        self._registry.tell([state for op in ops if op.outcome == "ok" for state in op.states])

    def _in_transaction(self, op: Op, step: Step) -> None:
        snapshot_start = time.monotonic()
        self._cursor.execute(f"begin isolation level {op.isolation}")
        self._cursor.execute("select")
        self._measure(op, *statement_of(op))
        if op.isolation != "read committed":
            # What it reads is as old as its snapshot.
            op.start = snapshot_start
        # A caller with more to do in its transaction keeps its locks meanwhile.
        time.sleep(step.think_seconds)
        ending = "rollback" if step.roll_back or op.outcome != "ok" else "commit"
        try:
            self._cursor.execute(ending)
        except psycopg2.Error as error:
            self._refused(op, error)
            self._cursor.execute("rollback")
        op.end, op.wall_end = time.monotonic(), _now()
        if op.outcome == "ok" and ending == "rollback":
            op.outcome = "rolled_back"
        self._interpret(op)
        self._tell([op])

    def _call(self, op: Op, sql: str, parameters: Sequence[Any]) -> None:
        self._measure(op, sql, parameters)
        self._interpret(op)
        self._tell([op])

    def _measure(self, op: Op, sql: str, parameters: Sequence[Any]) -> None:
        op.wall_start, op.start = _now(), time.monotonic()
        try:
            self._cursor.execute(sql, parameters)
            op.reply = tuple(self._cursor.fetchall())
            op.outcome = "ok"
        except psycopg2.Error as error:
            self._refused(op, error)
        op.end, op.wall_end = time.monotonic(), _now()

    def _refused(self, op: Op, error: psycopg2.Error) -> None:
        op.outcome, op.reply = "refused", None
        op.code, op.message = error.pgcode or "08006", str(error.diag.message_primary or error)
        said = error.diag.message_detail
        if said and said.startswith("{"):
            op.detail = psycopg2.extras.json.loads(said)

    def _interpret(self, op: Op) -> None:
        rows, op.reply = op.reply or (), None
        if op.outcome != "ok":
            return
        if op.function in OTHER_ROWS:
            op.reply = rows[0]
        elif op.function == "try_reserve_slot":
            self._answer_row(op, rows[0])
        else:
            op.states = [State(*row) for row in rows]

    def _answer_row(self, op: Op, row: tuple[Any, ...]) -> None:
        op.reply = None
        if row[0] == "reserved":
            op.states = [State(*row[2:])]
        else:
            op.outcome, op.code, op.detail = "refused", row[0], row[1]

    def _cut(self, op: Op, after: float) -> None:
        """Send a call and cut its connection, answered or not."""
        connection = psycopg2.connect(
            self._url, async_=True, options="-c TimeZone=UTC", application_name=_CUT
        )
        _finish(connection, None)
        cursor = connection.cursor()
        op.wall_start, op.start = _now(), time.monotonic()
        try:
            cursor.execute(*statement_of(op))
            if _finish(connection, after):
                op.reply, op.outcome = tuple(cursor.fetchall()), "ok"
        except psycopg2.Error as error:
            self._refused(op, error)
        op.end, op.wall_end = time.monotonic(), _now()
        # A close would say goodbye first, and so wait its turn.
        with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as raw:
            raw.shutdown(socket.SHUT_RDWR)
        connection.close()
        self._interpret(op)
        self._tell([op])


def _booked_before(items: Sequence[Op], index: int, world: World) -> list[Op]:
    """Return the items that a batch books before one of them: those of earlier publish times."""

    def order(place: int) -> tuple[dt.datetime, int]:
        asked = items[place].arguments
        zone = world.channels[asked["p_channel"]].time_zone
        return instant_of(zone, asked["p_date"], asked["p_time"]), place

    return [item for place, item in enumerate(items) if order(place) < order(index)]


def _finish(connection: Any, seconds: float | None) -> bool:
    """Drive an asynchronous connection until it is done; False: not within the time."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return True
        wants_write = state == psycopg2.extensions.POLL_WRITE
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        reading, writing = ([], [connection]) if wants_write else ([connection], [])
        if not any(select.select(reading, writing, [], left)):
            return False


def run_clients(clients: Sequence[Client], steps: Sequence[Sequence[Step]]) -> None:
    """Let all clients go at once, and wait for them; what one of them raises is raised."""
    gate = threading.Barrier(len(clients))
    raised: list[BaseException] = []

    def go(client: Client, planned: Sequence[Step]) -> None:
        try:
            gate.wait()
            client.run(planned)
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    threads = [
        threading.Thread(target=go, args=pair, daemon=True)
        for pair in zip(clients, steps, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def settle(client: Client, ops: Sequence[Op], connection: Any) -> None:
    """Ask again for whatever was cut off, once the cut calls have come to their end."""
    cursor = connection.cursor()
    for _ in range(3000):
        cursor.execute("select count(*) from pg_stat_activity where application_name = %s", [_CUT])
        if cursor.fetchone()[0] == 0:
            break
        time.sleep(0.01)
    else:
        raise TimeoutError("calls whose connection was cut are still running")
    for op in ops:
        if op.outcome == "unknown":
            client.ask_again(replace(op))
