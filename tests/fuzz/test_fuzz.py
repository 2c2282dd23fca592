"""Every public function with whatever callers may pass, through SQL and through Python.

``SLOTWARDEN_FUZZ_EXAMPLES`` is how many calls to make in all, ``SLOTWARDEN_FUZZ_SEED`` the seed
that decides them. ``make fuzz`` makes 100,000 and prints the seed and what came of them.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fuzz_python import MethodCall, call_method, drawn_methods, public_methods
from fuzz_sql import Call, calls, enter, make, objection, public_functions, refused_in_rows
from fuzz_world import World, fingerprint, furnish
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, pool

from conftest import Copies, ServerAddress
from sessions import PgConnection, own_database, query, scalar
from slotwarden import Scheduler

_EXAMPLES = int(os.environ.get("SLOTWARDEN_FUZZ_EXAMPLES", "300"))
_LONG = "SLOTWARDEN_FUZZ_EXAMPLES" in os.environ
# Without a wish, a short run is the same each time.
_SEED = int(
    os.environ.get("SLOTWARDEN_FUZZ_SEED") or (random.randrange(2**32) if _LONG else 1)  # noqa: S311
)
# Hypothesis remembers what it has drawn; a fresh start keeps that short.
_ROUND = 2500
_PYTHON_SHARE = 3
# A call that takes longer than this hangs.
_LONGEST_CALL = "10s"


@dataclass
class Fuzzed:
    """The workspace, and what has come of the calls so far."""

    connection: PgConnection
    world: World
    before: str
    booked: str
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def note(self, face: str, function: str, code: str) -> None:
        self.counts[face, function, code] += 1


@pytest.fixture(scope="module")
def fuzzed(copies: Copies) -> Iterator[Fuzzed]:
    with own_database(copies) as connection:
        world = furnish(connection)
        query(connection, f"set statement_timeout = '{_LONGEST_CALL}'")
        made = Fuzzed(
            connection, world, fingerprint(connection, world), scalar(connection, world.booked_sql)
        )
        began = time.monotonic()
        yield made
        if _LONG:
            sys.stdout.write(_report(made.counts, time.monotonic() - began))


def _report(counts: Counter[tuple[str, str, str]], seconds: float) -> str:
    lines = [f"\nseed {_SEED}, {counts.total()} calls in {seconds:.0f} s, by SQLSTATE:"]
    for face in sorted({face for face, _, _ in counts}):
        by_code: Counter[str] = Counter()
        for (of, _, code), number in counts.items():
            if of == face:
                by_code[code] += number
        lines += [f"  {face:6} {code:12} {number:7}" for code, number in by_code.most_common()]
    lines.append("by function:")
    for name in sorted({name for _, name, _ in counts}):
        mine = Counter({(f, c): n for (f, of, c), n in counts.items() if of == name})
        good = sum(number for (_, code), number in mine.items() if code == "00000")
        kinds = len({code for _, code in mine})
        lines.append(f"  {name:26} {mine.total():6} calls, {good:6} done, {kinds:3} SQLSTATEs")
    return "\n".join(lines) + "\n"


def _fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int) -> None:
    sys.stdout.write(f"seed {_SEED}\n")
    for number, done in enumerate(range(0, examples, _ROUND)):
        limits = settings(
            max_examples=min(_ROUND, examples - done),
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )

        def example(call: Any) -> None:
            check(call)

        seed(_SEED + number)(limits(given(strategy)(example)))()


def test_every_function_through_sql(fuzzed: Fuzzed) -> None:
    db, world = fuzzed.connection, fuzzed.world
    functions = public_functions(db)
    assert len({function.name for function in functions}) == len(functions) > 30

    def check(call: Call) -> None:
        enter(db, call.role, call.state)
        ended = "rollback"
        try:
            came = make(db, call)
            if came.code != "00000":
                # Whatever a refused call has done would stay.
                ended = "commit"
            fuzzed.note("SQL", call.function.short_name, came.code)
            assert objection(call, came) is None, f"{objection(call, came)}: {came}"
            if came.code == "00000":
                query(db, "set constraints all immediate; reset role")
                assert query(db, "select * from slotwarden.usage_drift") == []
                writes_nothing = call.function.reads_only or call.state == "read only"
                if writes_nothing or call.arguments.get("p_dry_run") == "true":
                    assert fingerprint(db, world) == fuzzed.before
                elif refused_in_rows(came):
                    assert scalar(db, world.booked_sql) == fuzzed.booked
        finally:
            query(db, ended)
        assert fingerprint(db, world) == fuzzed.before

    _fuzz(calls(functions, world), check, _EXAMPLES - _EXAMPLES // _PYTHON_SHARE)


def test_every_method_through_python(fuzzed: Fuzzed, server: ServerAddress) -> None:
    name = scalar(fuzzed.connection, "select current_database()")
    engine = create_engine(
        server.url(name).replace("postgresql:", "postgresql+psycopg2:"),
        poolclass=pool.StaticPool,
        connect_args={"options": f"-c statement_timeout={_LONGEST_CALL}"},
    )
    functions = {function.short_name: function for function in public_functions(fuzzed.connection)}
    methods = public_methods(Scheduler)
    assert {method.name for method in methods} == set(functions)

    def check(call: MethodCall) -> None:
        function = functions[call.method.name]
        with engine.connect() as connection, connection.begin() as transaction:
            code = call_method(connection, call)
            fuzzed.note("Python", function.short_name, code)
            assert code in {"00000", "SWARG", "SWGAP", *_from(call.state)} | function.codes, code
            if code == "00000":
                connection.exec_driver_sql("set constraints all immediate; reset role")
                drift = connection.exec_driver_sql("select * from slotwarden.usage_drift")
                assert drift.all() == []
                if function.reads_only:
                    seen = connection.exec_driver_sql(fuzzed.world.fingerprint_sql)
                    assert seen.scalar_one() == fuzzed.before
            transaction.rollback()
        assert fingerprint(fuzzed.connection, fuzzed.world) == fuzzed.before

    try:
        _fuzz(drawn_methods(methods, fuzzed.world), check, _EXAMPLES // _PYTHON_SHARE)
    finally:
        engine.dispose()


def _from(state: str) -> set[str]:
    """Return what PostgreSQL says of a caller's own transaction."""
    return {"read only": {"25006"}, "aborted": {"25P02"}}.get(state, set())
