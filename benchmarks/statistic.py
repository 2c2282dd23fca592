"""Figures out of many figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` percent of the values do not pass; 0 of no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def median(values: Sequence[float]) -> float:
    """Return the median; 0 of no values."""
    return statistics.median(values) if values else 0.0


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, least and greatest."""
    return (median(values), min(values), max(values)) if values else (0.0, 0.0, 0.0)
