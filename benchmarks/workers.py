"""Processes, each with threads, in which the contenders that are application code book.

As many processes as processor cores: one interpreter would be the limit instead of the database.
They live as long as the run; each contender's connections make their plans before the clock runs.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from benchmarks.application import Contender, make
from benchmarks.cells import REFUSALS, Cell
from benchmarks.pgbench import Measured, summary
from benchmarks.wishes import Plan

_START_SECONDS = 0.05
_ANSWER_SECONDS = 300
# The first calls of a thread make its connection's plans.
_WARM_CALLS = 6


@dataclass(frozen=True)
class Task:
    """A share of a cell: threads number `first`, `first` + `step`, ... of so many clients."""

    cell: Cell
    plan: Plan
    url: str
    room: dict[str, int]
    redis_socket: str | None
    first: int
    step: int
    seconds: float
    # Calls of each client, instead of seconds.
    calls: int | None


@dataclass
class _Client:
    latencies: list[float]
    cold: float = 0.0
    booked: int = 0
    calls: int = 0
    last: float = 0.0


@dataclass
class _Kept:
    """The contender that a process has open."""

    key: tuple[str, str] = ("", "")
    threads: int = 0
    contender: Contender | None = None


class Workers:
    """The processes. A context manager."""

    def __init__(self, redis_socket: str | None) -> None:
        self.redis_socket = redis_socket
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(os.cpu_count() or 1):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.terminate()

    def run(
        self,
        cell: Cell,
        plan: Plan,
        url: str,
        room: dict[str, int],
        seconds: float,
        calls: int | None = None,
    ) -> Measured:
        """Let the clients of a cell book for some seconds, or so many calls each.

        Raises
        ------
        RuntimeError
            A client failed; the message is its error.
        """
        pipes = self._pipes[: cell.clients]
        for number, pipe in enumerate(pipes):
            pipe.send(
                Task(cell, plan, url, room, self.redis_socket, number, len(pipes), seconds, calls)
            )
        for pipe in pipes:
            _receive(pipe, cell)
        begin = time.monotonic() + _START_SECONDS
        for pipe in pipes:
            pipe.send(begin)
        clients: list[_Client] = [client for pipe in pipes for client in _receive(pipe, cell)]
        latencies = [took for client in clients for took in client.latencies]
        booked = sum(client.booked for client in clients)
        end = max(client.last for client in clients)
        figures = summary([client.cold for client in clients], latencies, end - begin, booked)
        return Measured(
            sum(client.calls for client in clients), booked, figures.throughput, figures.p50,
            figures.p95, figures.p99, figures.cold,
        )  # fmt: skip


def _receive(pipe: Connection, cell: Cell) -> Any:
    if not pipe.poll(_ANSWER_SECONDS):
        raise RuntimeError(f"{cell.name}: no answer within {_ANSWER_SECONDS} s")
    answer = pipe.recv()
    if isinstance(answer, RuntimeError):
        raise answer
    return answer


def _serve(pipe: Connection) -> None:
    kept = _Kept()
    while True:
        try:
            task: Task = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send(_work(task, kept, pipe))
        except Exception as error:  # noqa: BLE001
            # Told to the parent, which ends the run.
            pipe.send(RuntimeError(f"{task.cell.name}: {type(error).__name__}: {error}"))


def _work(task: Task, kept: _Kept, pipe: Connection) -> list[_Client]:
    numbers = range(task.first, task.cell.clients, task.step)
    contender = _contender(task, len(numbers), kept)
    clients = [_Client([]) for _ in numbers]
    failed: list[Exception] = []
    start = threading.Event()
    begin: list[float] = []
    # Everybody has warmed up when the process says that it is ready.
    ready = threading.Barrier(len(numbers) + 1, timeout=_ANSWER_SECONDS)

    def live(number: int, client: _Client) -> None:
        try:
            warm = 0 if task.calls is not None else _WARM_CALLS
            for turn in range(warm):
                took = _call(contender, task, number + turn * task.cell.clients, client)
                client.cold = client.cold or took
            ready.wait()
            start.wait()
            time.sleep(max(0.0, begin[0] - time.monotonic()))
            turn = warm
            while (
                client.calls < task.calls
                if task.calls is not None
                else (time.monotonic() < begin[0] + task.seconds)
            ):
                took = _call(contender, task, number + turn * task.cell.clients, client)
                client.latencies.append(took)
                turn += 1
            client.last = time.monotonic()
        except Exception as error:  # noqa: BLE001
            failed.append(error)
            ready.abort()

    threads = [
        threading.Thread(target=live, args=(number, client))
        for number, client in zip(numbers, clients, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        ready.wait()
        pipe.send("ready")
        begin.append(pipe.recv())
    except threading.BrokenBarrierError:
        begin.append(0.0)
    finally:
        start.set()
        for thread in threads:
            thread.join()
    if failed:
        broken = [each for each in failed if not isinstance(each, threading.BrokenBarrierError)]
        raise (broken or failed)[0]
    return clients


def _contender(task: Task, threads: int, kept: _Kept) -> Contender:
    """Return a contender with a connection for each thread, the last one's if that will do.

    Only one is kept: the server has no room for every contender's connections at once.
    """
    key = (task.cell.contender, task.url)
    if kept.contender is not None and kept.key == key and kept.threads >= threads:
        return kept.contender
    if kept.contender is not None:
        kept.contender.close()
    made = make(task.cell.contender, task.url, threads, task.room, task.redis_socket)
    kept.key, kept.threads, kept.contender = key, threads, made
    return made


def _call(contender: Contender, task: Task, n: int, client: _Client) -> float:
    began = time.perf_counter()
    booked = contender.book(task.plan.wish(n))
    took = time.perf_counter() - began
    client.calls += 1
    client.booked += booked
    if booked and task.cell.shape in REFUSALS:
        raise RuntimeError(f"{task.cell.contender} booked on a full day")
    return took
