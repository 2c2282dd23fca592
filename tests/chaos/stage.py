"""What a case works with: servers made from one template, a report, and the oracle."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from histories.calls import Registry
from histories.checker import check
from histories.history import History, Op, Violation, World
from histories.plan import SHAPES, Shape
from histories.workload import Client, settle
from histories.workspace import Workspace
from slotwarden.embedded.account import server_account
from slotwarden.embedded.binaries import binaries_for, major_version
from slotwarden.embedded.places import temporary_directory

from .server import DATABASE, Server

SHAPE = SHAPES["4 days"]
# So many calls a limit's maximum has to last for.
_CALLS = 20_000


class Skipped(Exception):
    """A case cannot be run here; the message says why."""


@dataclass
class Report:
    """What a case has found: counts, violations, and what should have happened and did not."""

    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    violations: list[tuple[History, Violation]] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    succeeded: int = 0
    unknown: int = 0

    def count(self, name: str, number: int, *, least: int | None = None) -> None:
        """Note a count; below `least` the fault has not hit, and the case does not count."""
        self.counts[name] = self.counts.get(name, 0) + number
        if least is not None and number < least:
            self.failures.append(f"{name}: {number}, at least {least} are needed to count")

    def exact(self, name: str, number: int, expected: int) -> None:
        """Note a count that must be as expected."""
        self.counts[name] = self.counts.get(name, 0) + number
        if number != expected:
            self.failures.append(f"{name}: {number}, not {expected}")

    def judge(
        self, history: History, *, passed_over: frozenset[str] = frozenset()
    ) -> list[Violation]:
        """Let the oracle look at a history, and note what it finds."""
        found = self.note(history)
        found = [violation for violation in found if violation.check not in passed_over]
        self.violations += [(history, violation) for violation in found]
        return found

    def note(self, history: History) -> list[Violation]:
        """Count the calls of a history, and return what the oracle finds."""
        outcomes = Counter(op.outcome for op in history.ops)
        self.calls += len(history.ops)
        self.succeeded += outcomes["ok"]
        self.unknown += outcomes["unknown"]
        self.codes.update(op.code for op in history.ops if op.code)
        return check(history)


class Stage:
    """Where the cases of one version of PostgreSQL run."""

    def __init__(self, bin_dir: Path) -> None:
        self.account = server_account()
        self.bin_dir = binaries_for(self.account, bin_dir)
        self.major = major_version(self.bin_dir)
        self.root = temporary_directory(self.account, in_memory=True)
        self._numbers = itertools.count(1)
        self._template = self._make_template()

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _make_template(self) -> Path:
        server = Server(self.bin_dir, self.root / "t", self.account)
        server.make_data(self.major)
        server.start()
        try:
            server.query(f"create database {DATABASE}", database="postgres")
            server.query(
                f"alter database {DATABASE} set deadlock_timeout = '50ms'", database="postgres"
            )
            workspace = Workspace(server.url(), 0)
            try:
                workspace.install()
            finally:
                workspace.close()
        finally:
            server.stop()
        return server.data

    def folder(self) -> Path:
        """Return a new folder for a server."""
        return self.root / str(next(self._numbers))

    @contextmanager
    def server(
        self,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        started: bool = True,
    ) -> Iterator[Server]:
        """Make a server with slotwarden, for the time of a ``with`` block."""
        server = Server(self.bin_dir, self.folder(), self.account, settings, environment)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, server.data.parent, ignore_errors=True)
            stack.callback(server.stop)
            server.copy_data(self._template)
            if started:
                server.start()
            yield server

    @contextmanager
    def standby(self, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
        """Make room for a standby, for the time of a ``with`` block."""
        server = Server(self.bin_dir, self.folder(), self.account, settings)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, server.data.parent, ignore_errors=True)
            stack.callback(server.stop)
            yield server


def empty(url: str, shape: Shape = SHAPE) -> World:
    """Empty the workspace, and return the world of the calls to come."""
    workspace = Workspace(url, 0)
    try:
        return workspace.empty(shape, _CALLS)
    finally:
        workspace.close()


def conclude(url: str, name: str, world: World, ops: Sequence[Op]) -> History:
    """Settle what is unknown by asking again, and return the whole history."""
    workspace = Workspace(url, 0)
    client = Client(-1, url, world, Registry())
    try:
        settle(client, [op for op in ops if op.outcome == "unknown"], workspace.connection)
        everything = sorted([*ops, *client.ops], key=lambda op: op.start)
        return workspace.read(History(name, world, everything))
    finally:
        client.close()
        workspace.close()


def carried_out(url: str, ops: Sequence[Op]) -> int:
    """Return how many unknown calls with a key were carried out, before they are settled."""
    workspace = Workspace(url, 0)
    try:
        keys = {key for (key,) in workspace.rows("select request_key from slotwarden.request")}
    finally:
        workspace.close()
    return sum(op.outcome == "unknown" and op.key in keys for op in ops)
