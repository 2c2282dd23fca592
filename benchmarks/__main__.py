"""``python -m benchmarks``: measure; ``python -m benchmarks report FILE``: write the page."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import options, report
from benchmarks.checking import Wrong
from benchmarks.run import choose, run
from slotwarden.embedded import EmbeddedError, EmbeddedUnavailable

_FILE_WIDTH = 160
_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; 0: done, 1: a contender did wrong, 2: it cannot be done."""
    console = Console()
    if not console.is_terminal:
        # A file or a pipe has no edge that the tables would have to keep to.
        console = Console(width=_FILE_WIDTH)
    if arguments[:1] == ["report"]:
        return _report(arguments[1:], console)
    chosen = options.read(arguments)
    # So that servers are stopped, and what was loaded is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if chosen.list:
            for cell in choose(chosen):
                console.print(cell.name, highlight=False)
            return 0
        written = run(chosen, console)
    except Wrong as error:
        console.print(f"[red]Wrong:[/red] {error}")
        return 1
    except (ValueError, RuntimeError, EmbeddedUnavailable, EmbeddedError) as error:
        console.print(f"[red]{type(error).__name__}:[/red] {error}")
        return 2
    results = json.loads(written.read_text(encoding="utf-8"))
    report.print_tables(results, console)
    if not chosen.smoke:
        report.draw(results, chosen.out, console)
    console.print(f"All figures: {written}", highlight=False)
    return 0


def _report(arguments: list[str], console: Console) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report",
        description="Writes the page of a run; what is between its markers for notes stays.",
    )
    parser.add_argument("file", type=Path, help="results.json of a run")
    parser.add_argument("--page", type=Path, default=_PAGE, help="the page to write")
    chosen = parser.parse_args(arguments)
    try:
        results = json.loads(chosen.file.read_text(encoding="utf-8"))
        report.write_page(results, chosen.page, console)
    except (OSError, json.JSONDecodeError) as error:
        console.print(f"[red]{chosen.file}:[/red] {error}")
        return 2
    console.print(f"Written: {chosen.page}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
