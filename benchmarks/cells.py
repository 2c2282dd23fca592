"""What is measured: a cell is a shape, a contender, so many clients, and a size of table."""

from __future__ import annotations

import fnmatch
import itertools
from dataclasses import dataclass, replace

MILLION = 1_000_000
CHANNELS = 1_000
POOL = 200
WINDOW_CHANNELS = 100

BY_PGBENCH = ("bare", "sql")
BY_APPLICATION = ("python", "orm", "serializable", "redis")
CONTENDERS = BY_PGBENCH + BY_APPLICATION

TITLES = {
    "bare": "bare INSERT",
    "sql": "slotwarden SQL",
    "python": "slotwarden Python",
    "orm": "ORM",
    "serializable": "serializable",
    "redis": "Redis lock",
}


@dataclass(frozen=True)
class Shape:
    """How the wishes of a round lie in time.

    Attributes
    ----------
    name, title : str
        On the command line, and in tables.
    prefix, channels : str, int
        The channels that are booked: so many of them, ``c0``, ``c1``, ...
    period : int
        After so many wishes the same days come again, a minute later; 0: never.
    contenders : tuple
        Who can do that.
    """

    name: str
    title: str
    prefix: str = "c"
    channels: int = CHANNELS
    period: int = 0
    contenders: tuple[str, ...] = CONTENDERS


# Days that exist already for the shape that asks for such; each has room for 840 slots.
PREPARED = 5_000
SLOTWARDEN = ("sql",)

SHAPES = {
    shape.name: shape
    for shape in (
        Shape("distinct", "distinct days, each booking the first of its day"),
        Shape("existing", "distinct days that exist already", period=PREPARED),
        Shape("hot", "one hot day with room", "h", POOL, POOL),
        Shape(
            "full",
            "one full day: refusals",
            "f",
            POOL,
            POOL,
            ("sql", "python", "orm", "serializable", "redis"),
        ),
        Shape("burst", "one hot day with room, all at once", "h", POOL, POOL, SLOTWARDEN),
        Shape("full_burst", "one full day, all at once", "f", POOL, POOL, SLOTWARDEN),
        Shape("full_held", "one full day, its lock held by another", "f", POOL, POOL, SLOTWARDEN),
        Shape(
            "race",
            "more callers than room",
            "f",
            POOL,
            POOL,
            ("sql", "python", "orm", "serializable", "redis"),
        ),
        Shape(
            "next_full",
            "next free slot, 13 of 14 days full",
            "n",
            WINDOW_CHANNELS,
            contenders=SLOTWARDEN,
        ),
        Shape(
            "next_free",
            "next free slot, all days free",
            "n",
            WINDOW_CHANNELS,
            contenders=SLOTWARDEN,
        ),
        Shape("calendar", "calendar of a month", contenders=SLOTWARDEN),
        Shape("history", "usage_history of a year", contenders=SLOTWARDEN),
    )
}

READS = ("calendar", "history")
NEXT = ("next_full", "next_free")
BURSTS = ("burst", "full_burst", "full_held")
REFUSALS = ("full", "full_burst", "full_held")


@dataclass(frozen=True, order=True)
class Cell:
    """One thing to measure. Ordered so that what is compared is measured one after another."""

    shape: str
    clients: int
    size: int
    contender: str

    @property
    def name(self) -> str:
        """As the option ``--cells`` matches it: shape/contender/clients/size."""
        return f"{self.shape}/{self.contender}/{self.clients}/{size_name(self.size)}"


def size_name(size: int) -> str:
    """Return 0, 1M, 10M, or the number."""
    if size and size % MILLION == 0:
        return f"{size // MILLION}M"
    return str(size)


def parse_size(text: str) -> int:
    """Read what `size_name` writes."""
    number = text.strip().lower()
    return int(number[:-1]) * MILLION if number.endswith("m") else int(number)


def _cells(shape: str, contenders: str, clients: str, sizes: tuple[int, ...]) -> list[Cell]:
    return [
        Cell(shape, int(count), size, contender)
        for contender, count, size in itertools.product(
            contenders.split() if contenders else SHAPES[shape].contenders, clients.split(), sizes
        )
    ]


def goal_cells() -> list[Cell]:
    """Return the cells that carry the goals, few enough for a coffee break."""
    empty, most, every = (0,), (10 * MILLION,), (0, MILLION, 10 * MILLION)
    return [
        *_cells("distinct", "bare sql", "1 8 32 128", empty),
        *_cells("distinct", "python orm serializable redis", "32", empty),
        *_cells("distinct", "bare sql", "1 32", (MILLION, *most)),
        *_cells("existing", "bare sql", "1 32", empty),
        *_cells("existing", "sql", "1", most),
        *_cells("hot", "", "50", empty),
        *_cells("full", "sql orm", "50", empty),
        *_cells("burst", "", "50", empty),
        *_cells("full_burst", "", "50", empty),
        *_cells("full_held", "", "50", empty),
        *_cells("next_full", "", "1", (0, *most)),
        *_cells("next_free", "", "1", (0, *most)),
        *_cells("calendar", "", "1", every),
        *_cells("history", "", "1", every),
    ]


def every_cell() -> list[Cell]:
    """Return every combination, and those that the goals need beside."""
    every = (0, MILLION, 10 * MILLION)
    cells = [
        cell
        for shape in ("distinct", "existing", "hot", "full", *NEXT)
        for cell in _cells(shape, "", "1 8 32 128", every)
    ]
    cells += [cell for shape in (*BURSTS, "hot", "full") for cell in _cells(shape, "", "50", every)]
    return [*cells, *(cell for cell in goal_cells() if cell not in set(cells))]


def smoke_cells() -> list[Cell]:
    """Return every contender, racing for too little room too, and every shape once, small."""
    size = (2_000,)
    return [
        *_cells("distinct", "", "4", size),
        *_cells("race", "", "16", size),
        *(
            cell
            for shape in ("existing", "hot", "full")
            for cell in _cells(shape, "sql", "4", size)
        ),
        *(cell for shape in (*BURSTS, *NEXT) for cell in _cells(shape, "", "4", size)),
        *(cell for shape in READS for cell in _cells(shape, "", "1", size)),
    ]


def chosen(cells: list[Cell], patterns: list[str], sizes: list[int] | None) -> list[Cell]:
    """Return the cells whose names match a pattern, in order; at the sizes, where some are given.

    Raises
    ------
    ValueError
        Nothing is left.
    """
    wanted = sorted(
        {
            cell
            for each_cell in cells
            for cell in (
                [replace(each_cell, size=size) for size in sizes] if sizes else [each_cell]
            )
            if not patterns or any(fnmatch.fnmatch(cell.name, each) for each in patterns)
        }
    )
    if not wanted:
        raise ValueError("no cell matches; their names are shape/contender/clients/size")
    return wanted
