"""Shows a run: on the terminal, as pictures, and as docs/performance.md."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.tables import Table, tables

_NOTES_BEGIN = "<!-- notes: written by hand, kept when the page is written anew -->"
_NOTES_END = "<!-- end of the notes -->"
_EMPTY_NOTES = f"{_NOTES_BEGIN}\n{_NOTES_END}"
_IMAGES = Path("images") / "performance"
_PICTURES = {
    "throughput": "Throughput against clients, distinct days",
    "latency": "Latency against the number of reservations",
    "ratios": "Throughput as a share of bare's, median and spread of the rounds",
}


def print_tables(raw: dict[str, Any], console: Console) -> None:
    """Print all tables, and what was left out."""
    for table in tables(raw):
        shown = RichTable(title=table.title, title_justify="left")
        for number, column in enumerate(table.columns):
            numeric = number > 0 and table.title != "Goals"
            shown.add_column(column, justify="right" if numeric else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for contender, reason in raw["skipped"].items():
        console.print(f"[yellow]{contender} was left out:[/yellow] {reason}")


def draw(raw: dict[str, Any], folder: Path, console: Console) -> list[Path]:
    """Draw the pictures as PNG and SVG; without matplotlib say so and draw none."""
    if importlib.util.find_spec("matplotlib") is None:
        console.print(
            "No pictures: matplotlib is not installed (pip install 'slotwarden[bench]')",
            highlight=False,
        )
        return []
    # Only here: everything else works without it.
    from benchmarks.plots import draw_all  # noqa: PLC0415

    return draw_all(raw, folder)


def write_page(raw: dict[str, Any], page: Path, console: Console, *, pictures: bool = True) -> None:
    """Write the page of a run, with its pictures beside it; the notes on it stay.

    Raises
    ------
    OSError
        It cannot be written.
    """
    notes = _EMPTY_NOTES
    if page.exists():
        before = page.read_text(encoding="utf-8")
        _, begun, rest = before.partition(_NOTES_BEGIN)
        kept, ended, _ = rest.partition(_NOTES_END)
        if begun and ended:
            notes = f"{_NOTES_BEGIN}{kept}{_NOTES_END}"
    paths = draw(raw, page.parent / _IMAGES, console) if pictures else []
    drawn = {path.stem for path in paths}
    first, *others = tables(raw)
    parts = [
        "# Performance",
        _introduction(raw),
        _markdown(first),
        notes,
        *(
            f"![{title}]({(_IMAGES / name).as_posix()}.svg)"
            for name, title in _PICTURES.items()
            if name in drawn
        ),
        *(_markdown(table) for table in others if table.rows),
        _machine(raw),
    ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _introduction(raw: dict[str, Any]) -> str:
    skipped = "".join(f" Left out: {name}, since {why}." for name, why in raw["skipped"].items())
    return (
        f"Measured at {raw['at']}: {raw['rounds']} rounds of each cell, {raw['seconds']:g} seconds"
        " each, every cell once in each round and the compared ones one after another. Figures are"
        " medians of the rounds, with the least and the greatest; ratios are of rounds that were"
        " measured side by side. A connection's first call is told apart, as cold."
        f" {raw['total_seconds'] / 60:.0f} minutes in all, {raw['loading_seconds'] / 60:.1f} of"
        f" them for loading.{skipped}\n\n"
        "The bare INSERT goes into a table of the reservation's columns with its unique indexes and"
        " nothing else. All callers run on the machine of the server. The ORM, SERIALIZABLE, the"
        " Redis lock and the wrapper run in as many processes as there are cores, a thread and a"
        " connection for each client. WAL is that of the whole server during a round.\n\n"
        "Again: `make bench`, then `python -m benchmarks report build/benchmarks/results.json`."
    )


def _machine(raw: dict[str, Any]) -> str:
    machine = raw["machine"]
    settings = ", ".join(f"{name} {value}" for name, value in machine["settings"].items())
    load = ", ".join(f"{each:.1f}" for each in machine["load_before"])
    return (
        "## The machine\n\n"
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB,"
        f" {machine['filesystem']} on a disk, {machine['system']}; PostgreSQL"
        f" {machine['postgresql']}, {machine['pgbench']}, Python {machine['python']}. Load"
        f" before the rounds: {load}.\n\nSettings: {settings}. One checkpoint before the rounds,"
        " none during them."
    )


def _markdown(table: Table) -> str:
    right = "---" if table.title == "Goals" else "---:"
    lines = [
        f"## {table.title}",
        "",
        "| " + " | ".join(table.columns) + " |",
        "|---|" + "|".join(right for _ in table.columns[1:]) + "|",
        *("| " + " | ".join(row) + " |" for row in table.rows),
    ]
    return "\n".join(lines)
