"""Tables that stay readable on narrow terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

# Two blanks and a line.
_FRAME = 3
UNLIMITED_WIDTH = 10_000
"""In characters: at that width nothing is cut or folded."""


class FoldingTable(Table):
    """A table that folds its wide columns, and where that is not enough, its rows.

    Nothing is cut: a number, a date or a time of which half is missing would be another one.

    Parameters
    ----------
    narrowest : int
        How narrow, in characters, a column may become; one that is no wider never folds.
    **options
        Those of `rich.table.Table`.
    """

    # Any: they are rich's.
    def __init__(self, *, narrowest: int, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._narrowest = narrowest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as a table if that fits, or else each row as lines of its own."""
        widths = [_natural_width(console, options, column) for column in self.columns]
        for column, width in zip(self.columns, widths, strict=True):
            column.no_wrap = width <= self._narrowest
        least = sum(min(width, self._narrowest) + _FRAME for width in widths) + 1
        if least <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._stacked(console, options)

    def _stacked(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.title:
            yield Text(str(self.title), style="italic")
        names = [" ".join(str(column.header).split()) for column in self.columns]
        cells = zip(*(column.cells for column in self.columns), strict=True)
        for row, (heading, *others) in zip(self.rows, cells, strict=True):
            yield Text(str(heading), style="bold")
            lines = Table.grid(padding=(0, 1))
            lines.add_column(no_wrap=True)
            lines.add_column(overflow="fold")
            for name, cell in zip(names[1:], others, strict=True):
                if _width(console, options, cell):
                    lines.add_row(f"  {name}", cell, style=row.style)
            yield lines


def _natural_width(console: Console, options: ConsoleOptions, column: Column) -> int:
    cells: Sequence[RenderableType] = [column.header, *column.cells]
    return max(_width(console, options, cell) for cell in cells)


def _width(console: Console, options: ConsoleOptions, cell: RenderableType) -> int:
    return Measurement.get(console, options.update(width=UNLIMITED_WIDTH), cell).maximum
