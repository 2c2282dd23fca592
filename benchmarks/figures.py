"""Looks results up: medians, spreads, ratios of rounds that were measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.cells import parse_size
from benchmarks.statistic import median, spread


@dataclass(frozen=True)
class Results:
    """What a run has written."""

    raw: dict[str, Any]

    def cell(self, shape: str, contender: str, clients: int, size: int) -> dict[str, Any] | None:
        """Return a cell, or None if it was not measured."""
        wanted = (shape, contender, clients, size)
        for cell in self.raw["cells"]:
            if (cell["shape"], cell["contender"], cell["clients"], cell["size"]) == wanted:
                return dict(cell)
        return None

    def series(
        self, figure: str, shape: str, contender: str, clients: int, size: int
    ) -> list[float]:
        """Return a figure of each round; none if the cell was not measured."""
        cell = self.cell(shape, contender, clients, size)
        if cell is None:
            return []
        return [
            each[figure] if figure in each else each["extra"].get(figure, 0.0)
            for each in cell["rounds"]
        ]

    def median(
        self, figure: str, shape: str, contender: str, clients: int, size: int
    ) -> float | None:
        """Return the median over the rounds, or None if the cell was not measured."""
        found = self.series(figure, shape, contender, clients, size)
        return median(found) if found else None

    def ratios(
        self, figure: str, cell: tuple[str, str, int, int], base: tuple[str, str, int, int]
    ) -> list[float]:
        """Return the ratio of two cells in each round."""
        return [
            ours / theirs
            for ours, theirs in zip(
                self.series(figure, *cell), self.series(figure, *base), strict=False
            )
            if theirs
        ]

    def sizes(self) -> list[int]:
        """Return the sizes that were measured."""
        return sorted({cell["size"] for cell in self.raw["cells"]})

    def clients(self, shape: str) -> list[int]:
        """Return the numbers of clients of a shape."""
        return sorted({cell["clients"] for cell in self.raw["cells"] if cell["shape"] == shape})

    def stored_total(self) -> tuple[str, dict[str, tuple[float, float]]]:
        """Return the largest size, and bytes of tables and indexes for a booking there."""
        held = self.raw["stored"]
        if not held:
            return "", {}
        largest = max(held, key=parse_size)
        totals: dict[str, tuple[float, float]] = {}
        for row in held[largest]:
            heap, indexes = totals.get(row["contender"], (0.0, 0.0))
            totals[row["contender"]] = (heap + row["table_bytes"], indexes + row["index_bytes"])
        return largest, totals


def told(values: list[float], unit: str = "") -> str:
    """Return median and spread as text: 0.52 (0.48 to 0.55)."""
    middle, least, most = spread(values)
    return f"{number(middle)}{unit} ({number(least)} to {number(most)})"


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
