"""The command line of the benchmark."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cells import parse_size

DEFAULT_OUT = Path("build") / "benchmarks"


def read(arguments: list[str]) -> argparse.Namespace:
    """Read the options of a run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures bookings beside other ways to book, on a PostgreSQL of its own. "
        "'python -m benchmarks report FILE.json' writes docs/performance.md from a run's file.",
    )
    parser.add_argument("--full", action="store_true", help="every combination (hours)")
    parser.add_argument(
        "--smoke", action="store_true", help="every shape and contender once, tiny: is it correct?"
    )
    parser.add_argument(
        "--cells",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only cells whose name shape/contender/clients/size matches, such as 'hot/*'",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the names of the cells, measure nothing"
    )
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (5)")
    parser.add_argument("--seconds", type=float, help="length of a round of a cell (2; full: 10)")
    parser.add_argument(
        "--sizes",
        type=lambda text: [parse_size(each) for each in text.split(",")],
        help="measure the cells at these sizes, such as 0,1M,10M",
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="a folder on the disk to measure (--out)"
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help=f"where results go ({DEFAULT_OUT})"
    )
    chosen = parser.parse_args(arguments)
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if chosen.seconds is not None and not 0 < chosen.seconds <= 600:
        parser.error("--seconds must be more than 0, and 600 at most")
    if chosen.sizes and any(size < 0 or size % 1000 for size in chosen.sizes):
        parser.error("--sizes must be multiples of 1000: there are 1,000 channels")
    return chosen
