"""Dots in rows: a row per variant, a panel per scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from oferta_experiments.study.report.chart import colour, said_verdict, verdicts
from oferta_experiments.study.report.drawing import INK, MUTED, PAPER, Pen
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import MINUS, NOTHING, shortened
from oferta_experiments.study.result import Figure, StudyResult

_ROW, _NARROW_ROW, _AXIS = 34, 48, 52  # pixels


@dataclass(frozen=True, slots=True)
class Panel:
    """One scale that all variants are drawn on.

    Attributes:
        figures: by variant; a variant without one has an empty row.
        write, interval: a figure's mean and its ends as text.
        at: a value that is marked by a line, such as zero.
    """

    label: str
    figures: dict[str, Figure]
    write: Callable[[float], str]
    interval: Callable[[Figure], str]
    at: float | None = None


def paint_rows(pen: Pen, result: StudyResult, panels: Sequence[Panel]) -> None:
    """Panels beside each other; on narrow screens below each other, with names above the dots."""
    names = [one.name for one in result.variants]
    tall = (_NARROW_ROW if pen.narrow else _ROW) * len(names) + _AXIS
    pen.height(tall * len(panels) if pen.narrow else tall)
    shape = (len(panels), 1) if pen.narrow else (1, len(panels))
    grid = pen.figure.subplots(*shape, squeeze=False, sharey=not pen.narrow)
    for panel, axes in zip(panels, grid.flat, strict=True):
        axes.set_ylim(len(names) - 0.5, -0.75)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, pad=8, labelcolor=INK)
        axes.set_xlabel(panel.label)
        if panel.at is not None:
            axes.axvline(panel.at, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.xaxis.set_major_formatter(lambda value, _, write=panel.write: tick(value, write))
        axes.locator_params(axis="x", nbins=4)
        _write_names(pen, axes, names, panel)
        _paint_panel(pen, axes, result, panel)
        axes.margins(x=0.1)


def _write_names(pen: Pen, axes: Axes, names: Sequence[str], panel: Panel) -> None:
    if not pen.narrow:
        short = shortened(names, 26)
        axes.set_yticks(range(len(names)), [short[name] for name in names])
        return
    axes.set_yticks([])
    short = shortened(names, 34)
    for place, name in enumerate(names):
        figure = panel.figures.get(name)
        value = NOTHING if figure is None else panel.write(figure.mean)
        for text, at, side in ((short[name], 0, "left"), (value, 1, "right")):
            axes.annotate(
                text,
                (at, place - 0.36),
                xycoords=("axes fraction", "data"),
                ha=side,
                va="center",
                color=INK,
            )


def _paint_panel(pen: Pen, axes: Axes, result: StudyResult, panel: Panel) -> None:
    found = verdicts(result)
    for place, variant in enumerate(result.variants):
        name = variant.name
        figure = panel.figures.get(name)
        if figure is None:
            continue
        shade = colour(found[name])
        line = axes.plot(
            [figure.low, figure.high],
            [place, place],
            color=shade,
            linewidth=2.5,
            solid_capstyle="butt",
        )
        dot = paint_dot(axes, figure.mean, place, shade, hollow=name == result.baseline)
        said = f"{name}: {panel.write(figure.mean)}"
        said += f" ({panel.interval(figure)})" if panel.interval(figure) else ""
        pen.mark(dot, name, f"{said} {said_verdict(found[name], result.baseline)}".strip())
        pen.mark(line, f"{name} interval", said)
        if not pen.narrow:
            axes.annotate(
                panel.write(figure.mean),
                (figure.mean, place),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color=shade,
                fontsize=11,
            )


def paint_dot(axes: Axes, x: float, y: float, shade: str, *, hollow: bool) -> list[Line2D]:
    """A variant's dot; the baseline's is hollow."""
    return axes.plot(
        [x],
        [y],
        "o",
        markersize=8,
        color=shade,
        markerfacecolor=PAPER if hollow else shade,
        markeredgewidth=2,
    )


def tick(value: float, write: Callable[[float], str]) -> str:
    """A tick's figure without decimals that say nothing."""
    text = write(value).replace(".0\N{NO-BREAK SPACE}%", "\N{NO-BREAK SPACE}%")
    text = text.rstrip("0").rstrip(".") if "." in text and "%" not in text else text
    return "0" if text.strip(f"+{MINUS}") == "0" else text


def panel_table(result: StudyResult, panels: Sequence[Panel]) -> Table:
    """The same as a table."""
    heads = ["variant"]
    for panel in panels:
        heads += [panel.label, "95 % interval"]
    rows = []
    for variant in result.variants:
        cells = [variant.name]
        for panel in panels:
            figure = panel.figures.get(variant.name)
            if figure is None:
                cells += [NOTHING, NOTHING]
            else:
                cells += [panel.write(figure.mean), panel.interval(figure) or NOTHING]
        rows.append(tuple(cells))
    return Table(tuple(heads), tuple(rows), figures=2 * len(panels))
