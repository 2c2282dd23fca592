"""The tables of a run: rows of text, for the terminal and for the page alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.cells import SHAPES, TITLES, size_name
from benchmarks.figures import Results, number, told
from benchmarks.goals import verdicts
from benchmarks.statistic import median

_VERDICT = {True: "met", False: "not met", None: "-"}


@dataclass(frozen=True)
class Table:
    """A table, its first column of words and the others of figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(raw: dict[str, Any]) -> list[Table]:
    """Return all tables of a run."""
    results = Results(raw)
    return [
        Table(
            "Goals",
            ("goal", "measured: median (least to greatest round)", ""),
            [(each.goal, each.measured, _VERDICT[each.met]) for each in verdicts(results)],
        ),
        *_measured(raw),
        _explained(raw),
        _stored(results),
        _wrapper(raw),
    ]


def _measured(raw: dict[str, Any]) -> list[Table]:
    found = []
    results = Results(raw)
    for shape in SHAPES.values():
        cells = [cell for cell in raw["cells"] if cell["shape"] == shape.name]
        rows = [_row(results, cell) for cell in cells]
        if rows:
            columns = (
                "contender", "clients", "reservations", "calls a second", "of bare", "p50 ms",
                "p95 ms", "p99 ms", "cold ms", "WAL bytes a call",
            )  # fmt: skip
            found.append(Table(shape.title.capitalize(), columns, rows))
    return found


def _row(results: Results, cell: dict[str, Any]) -> tuple[str, ...]:
    key = (cell["shape"], cell["contender"], cell["clients"], cell["size"])
    bare = (cell["shape"], "bare", cell["clients"], cell["size"])
    ratios = results.ratios("throughput", key, bare)
    plain = [
        number(median([each[figure] for each in cell["rounds"]]))
        for figure in ("p50", "p95", "p99", "cold", "wal_bytes")
    ]
    return (
        TITLES[cell["contender"]],
        str(cell["clients"]),
        size_name(cell["size"]),
        told([each["throughput"] for each in cell["rounds"]]),
        told(ratios) if ratios and cell["contender"] != "bare" else "",
        *plain,
    )


def _explained(raw: dict[str, Any]) -> Table:
    names = [name for name in raw["explain"][0] if name != "statement"]
    return Table(
        "Buffers and WAL of one call, by explain (analyze, buffers, wal)",
        ("statement", *(name.lower().replace("wal", "WAL") for name in names)),
        [(row["statement"], *(f"{row[name]:,.0f}" for name in names)) for row in raw["explain"]],
    )


def _stored(results: Results) -> Table:
    largest, totals = results.stored_total()
    return Table(
        f"Bytes a booking holds, at {largest} reservations" if largest else "Bytes of a booking",
        ("contender", "tables", "indexes", "together"),
        [
            (name, f"{heap:,.0f}", f"{indexes:,.0f}", f"{heap + indexes:,.0f}")
            for name, (heap, indexes) in totals.items()
        ],
    )


def _wrapper(raw: dict[str, Any]) -> Table:
    found = raw["wrapper"]
    return Table(
        f"CPU of the calling thread for a booking, medians of {found['calls']} calls",
        ("", "microseconds"),
        [
            ("the wrapper, all of it", number(found["wrapper_us"])),
            ("psycopg2 alone, the same statement", number(found["psycopg2_us"])),
            ("the wrapper's own", number(found["own_us"])),
        ],
    )
