"""The plots of a simulation's page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from oferta.evaluation.intervals import Interval
from oferta_experiments.study.report.chart import Chart, NamedTable
from oferta_experiments.study.report.drawing import BETTER, INK, MUTED, PAPER, SAME, Pen, drawn
from oferta_experiments.study.report.words import percent
from oferta_experiments.world.simulate.result import Simulation
from oferta_experiments.world.simulate.said import (
    ahead,
    answer,
    families_table,
    gained,
    gaps_table,
    money,
    money_ends,
    months_table,
    named,
    uplift_sentence,
)

_ROW, _NARROW_ROW, _AXIS = 36, 50, 52  # pixels
_BAR = 22


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    interval: Interval
    colour: str
    hollow: bool = False


def charts(result: Simulation) -> list[Chart]:
    """All plots, in the page's order."""
    return [_earned(result), _gaps(result), _uplift(result), _families(result)]


def _earned(result: Simulation) -> Chart:
    rows = [
        _Row(one.name, one.earned, BETTER if one.name == "engine" else INK, one.name == "nothing")
        for one in result.arms
    ]
    title = "What the seller earns from a customer, by who decides"
    caption = (
        "Euros over all months, whoever brought the sales about: margins less expected losses. A "
        "dot is the mean, its line the 95 % bootstrap interval over customers. Most of it they "
        "buy by themselves (nothing), so intervals of different policies overlap although the same "
        "customers are compared; read the next plot for differences."
    )
    paint = _painter(rows, "€ a customer", money, money_ends)
    table = NamedTable("By month", months_table(result))
    return Chart("earned", title, caption, drawn("earned", title, paint), (table,))


def _gaps(result: Simulation) -> Chart:
    rows = [
        _Row(f"than {named(one)}", one.earned.interval, BETTER if ahead(one) else SAME)
        for one in result.gaps
    ]
    title = answer(result)
    caption = (
        "Paired differences, customer by customer: everybody lives the same months once with each "
        "policy, with the same luck. Blue is more and not by chance, grey not shown."
    )
    paint = _painter(rows, "€ a customer more", gained, _gained_ends, at=0.0)
    table = NamedTable("These figures as a table", gaps_table(result))
    return Chart("gaps", title, caption, drawn("gaps", title, paint), (table,))


def _uplift(result: Simulation) -> Chart:
    found = result.uplift
    rows = [
        _Row("by the control group", found.measured, INK),
        _Row("in truth", found.true, BETTER, hollow=True),
    ]
    caption = (
        "What offers add. A seller sees the first: customers with offers less those of the control "
        f"group ({found.treated} and {found.control} here). Only a simulation can see the second: "
        "the same customers with and without."
    )
    title = uplift_sentence(result)
    paint = _painter(rows, "€ a customer", gained, _gained_ends, at=0.0)
    return Chart("uplift", title, caption, drawn("uplift", title, paint))


def _families(result: Simulation) -> Chart:
    title = "What is offered, by family"
    caption = "Share of each policy's offers; the table has what was accepted."
    table = NamedTable("Offers and answers by family", families_table(result))
    paint = _bars(result)
    return Chart("families", title, caption, drawn("families", title, paint), (table,))


def _gained_ends(interval: Interval) -> str:
    return f"{gained(interval.low)} to {gained(interval.high)}"


def _painter(
    rows: Sequence[_Row],
    label: str,
    write: Callable[[float], str],
    ends: Callable[[Interval], str],
    *,
    at: float | None = None,
) -> Callable[[Pen], None]:
    def paint(pen: Pen) -> None:
        pen.height((_NARROW_ROW if pen.narrow else _ROW) * len(rows) + _AXIS)
        axes = pen.figure.subplots()
        axes.set_ylim(len(rows) - 0.5, -0.75)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, pad=8, labelcolor=INK)
        axes.set_xlabel(label)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.locator_params(axis="x", nbins=5)
        if at is not None:
            axes.axvline(at, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        _name(axes, [(row.name, write(row.interval.mean)) for row in rows], narrow=pen.narrow)
        for place, row in enumerate(rows):
            _dot(pen, axes, place, row, write=write, ends=ends)
        axes.margins(x=0.1)

    return paint


def _dot(
    pen: Pen,
    axes: Axes,
    place: int,
    row: _Row,
    *,
    write: Callable[[float], str],
    ends: Callable[[Interval], str],
) -> None:
    shade, interval = row.colour, row.interval
    line = axes.plot(
        [interval.low, interval.high],
        [place, place],
        color=shade,
        linewidth=2.5,
        solid_capstyle="butt",
    )
    dot = axes.plot(
        [interval.mean],
        [place],
        "o",
        markersize=8,
        color=shade,
        markerfacecolor=PAPER if row.hollow else shade,
        markeredgewidth=2,
    )
    said = f"{row.name}: {write(interval.mean)} ({ends(interval)})"
    pen.mark(dot, row.name, said)
    pen.mark(line, f"{row.name} interval", said)
    if pen.narrow:
        return
    axes.annotate(
        write(interval.mean),
        (interval.mean, place),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=shade,
        fontsize=11,
    )


def _name(axes: Axes, names: Sequence[tuple[str, str]], *, narrow: bool) -> None:
    if not narrow:
        axes.set_yticks(range(len(names)), [name for name, _ in names])
        return
    # Above the dots: a name on the left, its figure on the right.
    axes.set_yticks([])
    for place, texts in enumerate(names):
        for text, at, side in zip(texts, (0, 1), ("left", "right"), strict=True):
            axes.annotate(
                text,
                (at, place - 0.4),
                xycoords=("axes fraction", "data"),
                ha=side,
                va="center",
                color=INK,
            )


def _bars(result: Simulation) -> Callable[[Pen], None]:
    arms = [one for one in result.arms if one.offered]
    families = sorted({name for one in arms for name in one.by_family})

    def paint(pen: Pen) -> None:
        tall = _BAR * len(families) + _AXIS + 18
        pen.height(tall * len(arms) if pen.narrow else tall)
        shape = (len(arms), 1) if pen.narrow else (1, len(arms))
        grid = pen.figure.subplots(*shape, squeeze=False, sharex=True, sharey=not pen.narrow)
        for one, axes in zip(arms, grid.flat, strict=True):
            axes.set_title(one.name, loc="left")
            axes.set_ylim(len(families) - 0.5, -0.5)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0, labelcolor=INK)
            axes.set_yticks(range(len(families)), families)
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.locator_params(axis="x", nbins=3)
            for place, family in enumerate(families):
                made, yes = one.by_family.get(family, (0, 0))
                share = made / one.offered
                shade = BETTER if one.name == "engine" else SAME
                bar = axes.barh([place], [share], height=0.62, color=shade)
                said = f"{one.name}, {family}: {percent(share, 1)} of offers, {yes} accepted"
                pen.mark(bar, f"{one.name} {family}", said)

    return paint
