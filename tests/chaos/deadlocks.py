"""Callers who book several days in one transaction, each in an order of its own."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing

from histories.calls import Registry
from histories.history import Op, World
from histories.workload import _now

from .load import Address, Survivor
from .server import wait_for
from .singles import book
from .stage import Report, Stage, conclude, empty

_CALLERS = 4
_DAYS = 3
_TRANSACTIONS = 50
_FEWEST = 20


class Caller:
    """Books the days of a transaction in odd order, and repeats what a deadlock has undone."""

    def __init__(self, number: int, address: Address, world: World) -> None:
        self.client = Survivor(number, address, world, Registry(), harmless=frozenset({"40P01"}))
        self.committed = 0
        self._number = number
        self._draw = random.Random(number)  # noqa: S311

    def live(self) -> None:
        for transaction in range(_TRANSACTIONS):
            slot = self._number * _TRANSACTIONS + transaction
            attempt = 0
            while not self._transaction(slot, attempt):
                attempt += 1
            self.committed += 1

    def _transaction(self, slot: int, attempt: int) -> bool:
        """Return whether it came through; if not, nothing of it is left."""
        self.client.connect()
        self.client._cursor.execute("begin")
        days = self._draw.sample(range(_DAYS), _DAYS)
        booked: list[Op] = []
        for day in days:
            booked.append(book(self.client, f"{slot}-{day}", slot, day))
            if booked[-1].outcome != "ok":
                break
        done = all(op.outcome == "ok" for op in booked)
        self.client._cursor.execute("commit" if done else "rollback")
        for op in booked:
            # Nobody else sees it before the end of the transaction.
            op.end, op.wall_end = time.monotonic(), _now()
            if not done and op.outcome == "ok":
                op.outcome = "rolled_back"
        if booked[-1].outcome == "refused":
            raise RuntimeError(f"refused in try {attempt}: {booked[-1].told()}")
        return done


def deadlocks(stage: Stage) -> Report:
    """Book three days in one transaction, in odd order, until it comes through."""
    report = Report()
    with stage.server() as server:
        world = empty(server.url())
        address = Address(server.url())
        callers = [Caller(number, address, world) for number in range(_CALLERS)]
        threads = [threading.Thread(target=caller.live, daemon=True) for caller in callers]
        for thread in threads:
            thread.start()
        wait_for(lambda: not any(t.is_alive() for t in threads), "callers do not end", 60)
        ops = [op for caller in callers for op in caller.client.ops]
        for caller in callers:
            with closing(caller.client):
                report.count("40P01", len(caller.client.seen))
        report.count("40P01", 0)
        if report.counts["40P01"] < _FEWEST:
            report.failures.append(f"fewer than {_FEWEST} deadlocks do not count")
        in_log = server.count_in_log("deadlock detected")
        report.exact("deadlocks in the server's log", in_log, report.counts["40P01"])
        report.exact(
            "transactions, all done in the end",
            sum(caller.committed for caller in callers),
            _CALLERS * _TRANSACTIONS,
        )
        history = conclude(server.url(), "deadlocks", world, ops)
        report.exact("bookings", len(history.reservations), _CALLERS * _TRANSACTIONS * _DAYS)
        report.judge(history)
    return report
