"""The pictures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.cells import CONTENDERS, SHAPES, TITLES, size_name
from benchmarks.figures import Results
from benchmarks.statistic import spread

# Of Okabe and Ito: told apart also by those who see few colours.
_COLOURS = {
    "bare": "#666666",
    "sql": "#0072B2",
    "python": "#56B4E9",
    "orm": "#D55E00",
    "serializable": "#CC79A7",
    "redis": "#E69F00",
}
_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.size": 10,
    "figure.figsize": (7.5, 4.5),
    "figure.dpi": 120,
    "legend.frameon": False,
    # The same figures give the same file.
    "svg.hashsalt": "slotwarden",
    "svg.fonttype": "none",
}


def draw_all(raw: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what the cells allow into `folder`, as PNG and SVG; the paths without an end."""
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(raw)
    drawn = []
    with mpl.rc_context(_STYLE):
        for name, draw in (
            ("throughput", _throughput),
            ("latency", _latency),
            ("ratios", _ratios),
        ):
            figure, axes = plt.subplots(layout="constrained")
            if draw(results, axes):
                drawn.append(_save(figure, folder / name))
            plt.close(figure)
    return drawn


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path.with_suffix(".png"), metadata={"Software": None})
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    return path


def _line(axes: Axes, points: list[tuple[float, list[float]]], label: str, **look: Any) -> None:
    """Draw medians, with bars from the least to the greatest round."""
    spreads = [spread(values) for _, values in points]
    axes.errorbar(
        [place for place, _ in points],
        [middle for middle, _, _ in spreads],
        yerr=[
            [middle - least for middle, least, _ in spreads],
            [most - middle for middle, _, most in spreads],
        ],
        label=label,
        marker="o",
        markersize=4,
        linewidth=1.5,
        capsize=3,
        **look,
    )


def _throughput(results: Results, axes: Axes) -> bool:
    counts = results.clients("distinct")
    size = min(results.sizes())
    any_drawn = False
    for contender in CONTENDERS:
        points = [
            (float(count), found)
            for count in counts
            if (found := results.series("throughput", "distinct", contender, count, size))
        ]
        if points:
            any_drawn = True
            _line(axes, points, TITLES[contender], color=_COLOURS[contender])
    if any_drawn:
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("clients")
        axes.set_ylabel("bookings a second")
        axes.set_title("Distinct days, each booking the first of its day", loc="left", fontsize=11)
        axes.legend()
    return any_drawn


def _latency(results: Results, axes: Axes) -> bool:
    sizes = results.sizes()
    any_drawn = False
    for shape, contender, clients, dash in (
        ("distinct", "bare", 1, "-"),
        ("distinct", "bare", 32, "--"),
        ("distinct", "sql", 1, "-"),
        ("distinct", "sql", 32, "--"),
        ("next_full", "sql", 1, ":"),
        ("calendar", "sql", 1, "-."),
    ):
        points = [
            (float(place), found)
            for place, size in enumerate(sizes)
            if (found := results.series("p50", shape, contender, clients, size))
        ]
        if len(points) > 1:
            any_drawn = True
            what = "" if shape == "distinct" else f": {SHAPES[shape].title}"
            label = f"{TITLES[contender]}, {clients} client{'s' * (clients > 1)}{what}"
            _line(axes, points, label, color=_COLOURS[contender], linestyle=dash)
    if any_drawn:
        axes.set_xticks(range(len(sizes)), [size_name(size) if size else "none" for size in sizes])
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("reservations in the table before")
        axes.set_ylabel("median latency, ms")
        axes.set_title("Latency against the size of the table", loc="left", fontsize=11)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        axes.figure.set_size_inches(9, 4.5)
    return any_drawn


def _ratios(results: Results, axes: Axes) -> bool:
    bars = []
    for cell in results.raw["cells"]:
        if cell["contender"] == "bare":
            continue
        key = (cell["shape"], cell["contender"], cell["clients"], cell["size"])
        found = results.ratios("throughput", key, (cell["shape"], "bare", *key[2:]))
        if found:
            label = (
                f"{cell['shape']}, {TITLES[cell['contender']]},"
                f" {cell['clients']} cl., {size_name(cell['size']) if cell['size'] else 'empty'}"
            )
            bars.append((label, cell["contender"], found))
    for place, (_, contender, found) in enumerate(bars):
        middle, least, most = spread(found)
        axes.barh(
            place,
            middle,
            xerr=[[middle - least], [most - middle]],
            color=_COLOURS[contender],
            height=0.7,
            capsize=3,
            error_kw={"linewidth": 1},
        )
    if bars:
        axes.set_yticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8)
        axes.invert_yaxis()
        axes.axvline(0.5, color="#222222", linewidth=0.8, linestyle="--")
        axes.set_xlabel("throughput, as a share of the bare INSERT's in the same round")
        axes.figure.set_size_inches(7.5, 1.2 + 0.28 * len(bars))
    return bool(bars)
