"""What was aimed at, and what a run says about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Results, told
from benchmarks.statistic import median

_CALLERS = 50
_HISTORY_CALLS_MS = 5.0

Key = tuple[str, str, int, int]


@dataclass(frozen=True)
class Verdict:
    """A goal, what was measured, and whether that meets it; None: that cannot be said."""

    goal: str
    measured: str
    met: bool | None


def _judged(
    goal: str, values: list[float], holds: Callable[[float], bool], unit: str = ""
) -> Verdict:
    if not values:
        return Verdict(goal, "not measured", None)
    return Verdict(goal, told(values, unit), holds(median(values)))


def _told(what: str, values: list[float]) -> Verdict:
    """Tell a figure that has no number to be measured against."""
    return Verdict(what, told(values) if values else "not measured", None)


def verdicts(results: Results) -> list[Verdict]:
    """Judge each goal by the median of the rounds."""
    most = max(results.sizes())
    return [
        *_against_bare(results),
        *_refusals(results),
        *_one_day(results),
        *_growth(results, most),
        *(
            _judged(
                f"{title}: under 5 ms at the median, at {most:,} reservations",
                results.series("p50", shape, "sql", 1, most),
                lambda found: found < _HISTORY_CALLS_MS,
                " ms",
            )
            for shape, title in (
                ("calendar", "`calendar` of a month"),
                ("history", "`usage_history` of a year"),
            )
        ),
        _judged(
            "The wrapper: at most 150 microseconds of its own CPU for a booking",
            [results.raw["wrapper"]["own_us"]],
            lambda found: found <= 150,
            " us",
        ),
    ]


def _against_bare(results: Results) -> list[Verdict]:
    found = []
    for shape, title in (
        ("distinct", "each booking opens its day"),
        ("existing", "the days exist"),
    ):
        found += [
            _judged(
                f"Distinct days, 32 clients, {title}: at least 0.5 of bare's throughput",
                results.ratios("throughput", (shape, "sql", 32, 0), (shape, "bare", 32, 0)),
                lambda ratio: ratio >= 0.5,
            ),
            _judged(
                f"One client, {title}: at most 2 times bare's median latency",
                results.ratios("p50", (shape, "sql", 1, 0), (shape, "bare", 1, 0)),
                lambda ratio: ratio <= 2,
            ),
        ]
    return found


def _refusals(results: Results) -> list[Verdict]:
    key: Key = ("full_burst", "sql", _CALLERS, 0)
    held: Key = ("full_held", "sql", _CALLERS, 0)
    return [
        _judged(
            "Full day, 50 callers at once: refused in under 5 ms at the median",
            results.series("p50", *key),
            lambda found: found < 5,
            " ms",
        ),
        _judged(
            "Full day: no byte of WAL in a burst of 50 refusals (median of the bursts)",
            results.series("wal_bytes_a_burst", *key),
            lambda found: found == 0,
            " bytes",
        ),
        _judged(
            "Full day while another holds its lock: still refused in under 5 ms at the median",
            results.series("p50", *held),
            lambda found: found < 5,
            " ms",
        ),
    ]


def _one_day(results: Results) -> list[Verdict]:
    hot: Key = ("hot", "sql", _CALLERS, 0)
    return [
        _judged(
            "50 callers on one day with room: p99 under 100 ms",
            results.series("p99", *hot),
            lambda found: found < 100,
            " ms",
        ),
        _told(
            "50 callers at once: share of all pairs that are served in the order of their sending"
            " (1: all; by chance: 0.5)",
            results.series("pairs_in_order", "burst", "sql", _CALLERS, 0),
        ),
        _judged(
            "50 callers on one day with room: at least 20 times the ORM's throughput",
            results.ratios("throughput", hot, ("hot", "orm", _CALLERS, 0)),
            lambda ratio: ratio >= 20,
        ),
    ]


def _growth(results: Results, most: int) -> list[Verdict]:
    def next_slot(size: int) -> Key:
        return ("next_full", "sql", 1, size)

    return [
        *(
            _judged(
                f"{most:,} reservations, {count} client(s): latency within 1.2 times of empty",
                results.ratios(
                    "p50", ("distinct", "sql", count, most), ("distinct", "sql", count, 0)
                )
                if most
                else [],
                lambda ratio: ratio <= 1.2,
            )
            for count in (1, 32)
        ),
        *(
            _judged(
                f"`reserve_next_slot`, 13 of 14 days full, {size:,} reservations:"
                " within 2 times of `reserve_slot` where the day exists",
                results.ratios("p50", next_slot(size), ("existing", "sql", 1, size)),
                lambda ratio: ratio <= 2,
            )
            for size in sorted({0, most})
        ),
        *(
            _judged(
                f"`reserve_next_slot`, {size:,} reservations: 13 full days take as long as none"
                " (within 1.2 times)",
                results.ratios("p50", next_slot(size), ("next_free", "sql", 1, size)),
                lambda ratio: ratio <= 1.2,
            )
            for size in sorted({0, most})
        ),
    ]
