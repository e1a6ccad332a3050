"""Plots that are logged with a run: what people would rather see than read."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from oferta.evaluation.intervals import Interval

mpl.rcParams["font.size"] = 10
_INK = "#1f2937"
_BEST = "#0f766e"
_OTHER = "#94a3b8"


def comparison(values: Mapping[str, Interval], metric: str, path: Path) -> None:
    """One metric by model, best on top, each with its 95 % interval; written as PNG."""
    ordered = sorted(values, key=lambda model: values[model].mean)
    figure = Figure(figsize=(7.2, 0.55 * len(ordered) + 1.3), layout="constrained")
    axes = figure.subplots()
    for row, model in enumerate(ordered):
        interval = values[model]
        colour = _BEST if row == len(ordered) - 1 else _OTHER
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=3)
        axes.plot([interval.mean], [row], "o", color=colour, markersize=7)
        axes.annotate(
            f"{interval.mean:.4f}",
            (interval.high, row),
            xytext=(6, -3),
            textcoords="offset points",
            color=_INK,
        )
    axes.set_yticks(range(len(ordered)), ordered)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel(f"{metric}, mean over customers with its 95 % interval")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def quality_and_cost(points: Mapping[str, tuple[float, float]], metric: str, path: Path) -> None:
    """Each model at (seconds to fit and score, metric): what more quality costs; as PNG."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for model, (seconds, value) in points.items():
        axes.plot([max(seconds, 1e-3)], [value], "o", color=_BEST, markersize=8)
        axes.annotate(
            model,
            (max(seconds, 1e-3), value),
            xytext=(7, 4),
            textcoords="offset points",
            color=_INK,
        )
    axes.set_xscale("log")
    axes.set_xlabel("seconds to fit and to score the test customers")
    axes.set_ylabel(metric)
    axes.margins(x=0.2, y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
