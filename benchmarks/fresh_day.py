"""Fifty callers at once on a fresh day, a hundred times: exactly what the limits allow.

Each round takes a day that nobody has booked. Its callers, each with a
connection of its own, start together and ask for mixed types and times. Counted
are the bookings and the refusals by SQLSTATE, and compared with what the limits
allow; the latency is that of the call as its caller sees it, on one durable
server (``fsync`` and ``synchronous_commit`` on). The first round is each
connection's first call, which fills its caches and makes its plans: it is told
apart, as cold, and the percentiles are those of the other rounds. Prints a
report; exits with 1 if a single booking was too many or too few.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections import Counter

import psycopg2

from slotwarden import migrations
from slotwarden.embedded import EmbeddedServer

# What a fresh day lets in: 2 finals, and then as many shorts as 10,000 units
# at 1,600 an upload leave, 4 of the 5 that their own limit would.
ALLOWED_FINALS = 2
ALLOWED = 10_000 // 1_600


def call(
    connection: psycopg2.extensions.connection,
    barrier: threading.Barrier,
    wish: tuple[int, str, str],
    outcomes: list[tuple[str, str, float]],
) -> None:
    """Book one wish (days ahead, type, time) when all are ready, and note what came of it."""
    barrier.wait()
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select reservation_id from slotwarden.reserve_slot(current_date + %s, %s, %s)",
                wish,
            )
        outcome = "booked"
    except psycopg2.Error as error:
        outcome = error.pgcode or "lost"
    outcomes.append((outcome, wish[1], time.perf_counter() - began))


def one_round(
    connections: list[psycopg2.extensions.connection], days_ahead: int
) -> list[tuple[str, str, float]]:
    """Let all callers book on one fresh day at once."""
    barrier = threading.Barrier(len(connections))
    outcomes: list[tuple[str, str, float]] = []
    # Two slots of three are asked for by several callers.
    wishes = [
        (days_ahead, "final" if n % 2 else "short", f"{8 + n % 12:02}:{n % 3 * 20:02}")
        for n in range(len(connections))
    ]
    threads = [
        threading.Thread(target=call, args=(connection, barrier, wish, outcomes))
        for connection, wish in zip(connections, wishes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def percentile(values: list[float], share: float) -> float:
    """Return the value, in milliseconds, that so many percent of the values do not pass."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share / 100))] * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()

    if arguments.callers < 1 or arguments.rounds < 2:
        parser.error("it takes a caller, a round that is cold, and one that is not")

    cold: list[tuple[str, str, float]] = []
    outcomes: list[tuple[str, str, float]] = []
    wrong = 0
    with EmbeddedServer(settings={"max_connections": "100"}) as server:
        url = server.url("postgres")
        migrations.upgrade(url)
        connections = [psycopg2.connect(url) for _ in range(arguments.callers)]
        for connection in connections:
            connection.autocommit = True
        for number in range(arguments.rounds):
            # Days are apart, so that the quota day of one is not that of the next.
            seen = one_round(connections, 30 + 2 * number)
            booked = Counter(kind for outcome, kind, _ in seen if outcome == "booked")
            wrong += booked.total() != ALLOWED or booked["final"] > ALLOWED_FINALS
            (outcomes if number else cold).extend(seen)
        with connections[0].cursor() as cursor:
            cursor.execute("select count(*) from slotwarden.usage_drift")
            drift = cursor.fetchone()
        for connection in connections:
            connection.close()

    counted = Counter(outcome for outcome, _, _ in cold + outcomes)
    print(f"{arguments.rounds} rounds of {arguments.callers} callers: {dict(counted)}")
    print(f"rounds with other bookings than the limits allow: {wrong}; drift: {drift}")
    for name, some in (
        ("cold, booked", [took for outcome, _, took in cold if outcome == "booked"]),
        ("cold, refused", [took for outcome, _, took in cold if outcome != "booked"]),
        ("booked", [took for outcome, _, took in outcomes if outcome == "booked"]),
        ("refused", [took for outcome, _, took in outcomes if outcome != "booked"]),
    ):
        if not some:
            continue
        print(
            f"{name}: median {statistics.median(some) * 1000:.1f} ms,"
            f" p95 {percentile(some, 95):.1f} ms, p99 {percentile(some, 99):.1f} ms"
        )
    refused_wrongly = set(counted) - {"booked", "SWTKN", "SWLIM"}
    return int(bool(wrong or refused_wrongly or drift != (0,)))


if __name__ == "__main__":
    sys.exit(main())
