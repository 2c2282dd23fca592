"""Clients that go on through a fault: they connect anew, and write down what they do not know."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import psycopg2

from histories.calls import Registry, first_day, statement_of
from histories.history import Op, World
from histories.plan import _KEYED, Planner, Shape, Step
from histories.workload import Client, _now

from .server import wait_for
from .stage import SHAPE

_OPTIONS = "-c TimeZone=UTC -c statement_timeout=20s -c client_min_messages=error"
_CONNECT_SECONDS = 60.0
_PAUSE_SECONDS = 0.01
# Whose outcome can be learnt by asking again. A claim cannot: it takes whatever is due by then.
SETTLED = frozenset(
    {
        "reserve_slot",
        "try_reserve_slot",
        "reserve_slot_at",
        "reserve_next_slot",
        "cancel_reservation",
        "reschedule_reservation",
        "retry_upload",
        "start_upload",
        "complete_upload",
        "fail_upload",
        "repeat",
    }
)
# The connection is gone, or is none of the server's any more.
_LOST = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05"})


class Address:
    """Where the database is at present."""

    def __init__(self, url: str) -> None:
        self.url = url


class Steps:
    """Plans steps for as long as they are asked for."""

    def __init__(self, seed: int, shape: Shape, clients: int) -> None:
        self._planner = Planner(seed, shape, first_day(), clients, 2000)
        self._lock = threading.Lock()

    def next(self, client: int, number: int) -> Step:
        with self._lock:
            while True:
                step = self._planner._step(client, number)
                if step.function in SETTLED:
                    break
        key = step.key
        if key is None and step.function in _KEYED:
            key = f"client-{client}-{number}"
        return replace(step, key=key, cut_after=None)


class Survivor(Client):
    """A client that outlives its connection.

    `harmless` are SQLSTATEs that the fault makes, and that are no refusals: the statement is as if
    it had never been sent. That it really is, the oracle sees.
    """

    def __init__(
        self,
        number: int,
        address: Address,
        world: World,
        registry: Registry,
        *,
        options: str = _OPTIONS,
        harmless: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(number, address.url, world, registry)
        self._connection.close()
        self._address = address
        self._options = options
        self._harmless = harmless
        self.stopping = threading.Event()
        self.reconnects = -1
        self.acknowledged = 0
        self.seen: list[str] = []

    def live(self, steps: Steps) -> None:
        """Carry out steps until told to stop."""
        number = 0
        while not self.stopping.is_set():
            self._carry_out(steps.next(self._number, number))
            number += 1

    def connect(self) -> None:
        """Connect, if not connected; wait for the database as long as that takes."""
        if not self._connection.closed:
            return

        def connected() -> bool:
            try:
                self._connection = psycopg2.connect(
                    self._address.url, options=self._options, connect_timeout=5
                )
            except psycopg2.OperationalError:
                return False
            return True

        wait_for(connected, "there is no connection to be had", _CONNECT_SECONDS)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self.reconnects += 1

    def _measure(self, op: Op, sql: str, parameters: Any) -> None:
        self.connect()
        super()._measure(op, sql, parameters)
        self._weigh(op)
        self.acknowledged += op.outcome == "ok"

    def _weigh(self, op: Op) -> None:
        """Tell a connection that was lost, and a fault, from a refusal."""
        if op.outcome != "refused":
            return
        code = op.code or ""
        if self._connection.closed or code in _LOST or code.startswith("08"):
            op.outcome, op.code = "unknown", None
            self._connection.close()
        elif code in self._harmless:
            self.seen.append(code)
            op.outcome, op.code = "rolled_back", None

    def _in_transaction(self, op: Op, step: Step) -> None:
        self.connect()
        began = time.monotonic()
        op.wall_start, op.start = _now(), began
        try:
            self._cursor.execute(f"begin isolation level {op.isolation}")
            self._cursor.execute("select")
        except psycopg2.Error:
            self._never_sent(op)
            return
        self._measure_in_transaction(op, step)
        if op.isolation != "read committed":
            op.start = began
        op.end, op.wall_end = time.monotonic(), _now()
        self._interpret(op)
        self._tell([op])

    def _measure_in_transaction(self, op: Op, step: Step) -> None:
        Client._measure(self, op, *statement_of(op))
        self._weigh(op)
        if op.outcome == "unknown":
            # Nothing was sent that could have committed it.
            self._never_sent(op)
            return
        time.sleep(step.think_seconds)
        if op.outcome == "ok" and not step.roll_back:
            self._commit(op)
            return
        if op.outcome == "ok":
            op.outcome = "rolled_back"
        try:
            self._cursor.execute("rollback")
        except psycopg2.Error:
            self._connection.close()

    def _commit(self, op: Op) -> None:
        try:
            self._cursor.execute("commit")
        except psycopg2.Error as error:
            self._refused(op, error)
            self._weigh(op)
            return
        self.acknowledged += 1

    def _never_sent(self, op: Op) -> None:
        op.outcome, op.reply = "rolled_back", None
        op.end, op.wall_end = time.monotonic(), _now()
        self._connection.close()


class Load:
    """Clients at work in the background, for the time of a ``with`` block."""

    def __init__(
        self,
        address: Address,
        world: World,
        *,
        seed: int,
        clients: int = 8,
        shape: Shape = SHAPE,
        **options: Any,
    ) -> None:
        registry = Registry()
        self.clients = [
            Survivor(number, address, world, registry, **options) for number in range(clients)
        ]
        self._steps = Steps(seed, shape, clients)
        self._raised: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._live, args=(client,), daemon=True)
            for client in self.clients
        ]

    def _live(self, client: Survivor) -> None:
        try:
            client.live(self._steps)
        except BaseException as error:  # noqa: BLE001
            self._raised.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self.clients:
            client.stopping.set()
        for thread in self._threads:
            thread.join(_CONNECT_SECONDS)
        for client in self.clients:
            client.close()
        if self._raised and error is None:
            raise self._raised[0]

    @property
    def acknowledged(self) -> int:
        return sum(client.acknowledged for client in self.clients)

    @property
    def reconnects(self) -> int:
        return sum(client.reconnects for client in self.clients)

    @property
    def ops(self) -> list[Op]:
        return [op for client in self.clients for op in client.ops]

    @property
    def seen(self) -> list[str]:
        """The harmless SQLSTATEs that were met."""
        return [code for client in self.clients for code in client.seen]

    def go_on(self, calls: int, what: str = "nothing succeeds any more") -> None:
        """Wait until so many more calls have succeeded."""
        enough = self.acknowledged + calls

        def done() -> bool:
            if self._raised:
                raise self._raised[0]
            return self.acknowledged >= enough

        wait_for(done, what)


def pause(longest: float, draw: random.Random) -> None:
    """Let a moment pass, so that a fault hits calls at any point of theirs."""
    time.sleep(draw.random() * longest)
