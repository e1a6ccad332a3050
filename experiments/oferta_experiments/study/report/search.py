"""The plot of a search for settings: what was tried, and what mattered."""

import math
from collections.abc import Sequence
from typing import TypeGuard

from matplotlib.axes import Axes

from oferta_experiments.study.report.chart import Chart, NamedTable
from oferta_experiments.study.report.dots import tick
from oferta_experiments.study.report.drawing import (
    BETTER,
    MUTED,
    PAPER,
    SAME,
    WORSE,
    Pen,
    drawn,
)
from oferta_experiments.study.report.tables import Table, pairs
from oferta_experiments.study.report.words import (
    NOTHING,
    counted,
    gain,
    percent,
    plain,
    quoted,
    seconds,
    setting,
    shortened,
)
from oferta_experiments.study.result import StudyResult, Trial, Variant

_DRAWN = 4  # variants: more would make the page long and say nothing new; tables hold all
_PANELS = 8  # settings of one variant: those that moved the metric most
_UNSTATED = "default"  # what a trial does not state
_MANY = 8  # values that still stand side by side
_SHORTEST = 7  # characters of a value
_SPREAD = 30  # times: from here on a setting is tried by magnitudes
_CAPTION = (
    "First panel: each setting that was tried, in order, judged on the validation cut, never on "
    "the test; the line is the best so far. The others: the same trials by each setting that was "
    "varied. The best one is large. Hollow dots were stopped or saw only a part of the customers, "
    "so their values do not compare; crosses at the foot failed."
)


def search_charts(result: StudyResult) -> list[Chart]:
    """One for each of the best variants that were tuned."""
    tuned = [one for one in result.variants if one.trials]
    if not tuned:
        return [Chart("search", "No settings were searched: there is no landscape to show.")]
    charts = [_chart(one, number, result.metric) for number, one in enumerate(tuned[:_DRAWN], 1)]
    if tuned[_DRAWN:]:
        names = ", ".join(quoted(one.name) for one in tuned[_DRAWN:])
        charts.append(
            Chart("search", f"The searches of {names} are left out: the best {_DRAWN} are shown.")
        )
    return charts


def _chart(variant: Variant, number: int, metric: str) -> Chart:
    title = _title(variant)
    key = f"search-{number}"
    varied = _varied(variant.trials)
    return Chart(
        key,
        title,
        _CAPTION if number == 1 else "Read as the search above.",
        drawn(key, title, lambda pen: _paint(pen, variant, varied, metric)),
        (NamedTable("All trials as a table", _table(variant, metric)),),
    )


def _title(variant: Variant) -> str:
    best = best_trial(variant.trials)
    tried = counted(len(variant.trials), "setting")
    if best is None:
        return f"None of {tried} of {quoted(variant.name)} could be judged"
    first = next(one for one in variant.trials if one.value is not None)
    place = variant.trials.index(best) + 1
    if best is first or not first.value or best.value is None:
        return f"{quoted(variant.name)}: of {tried}, the first one tried was the best"
    more = gain(best.value / first.value - 1)
    return f"{quoted(variant.name)}: the best of {tried} was number {place}, {more} above the first"


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The highest among those that saw the most customers; the first of equals."""
    complete = [one for one in trials if one.state == "complete" and one.value is not None]
    complete = complete or [one for one in trials if one.value is not None]
    if not complete:
        return None
    share = max(one.share_of_customers for one in complete)
    return max(
        (one for one in complete if one.share_of_customers == share),
        key=lambda one: -math.inf if one.value is None else one.value,
    )


def _varied(trials: Sequence[Trial]) -> list[str]:
    """Settings with more than one value, in the order of the study."""
    names = dict.fromkeys(name for one in trials for name in one.settings)
    return [
        name
        for name in names
        if len({setting(one.settings.get(name, _UNSTATED)) for one in trials}) > 1
    ][:_PANELS]


def _paint(pen: Pen, variant: Variant, varied: Sequence[str], metric: str) -> None:
    panels_wanted = 1 + len(varied)
    columns = min(panels_wanted, 2 if pen.narrow else 4 if panels_wanted in {4, 7, 8} else 3)
    deep = -(-(1 + len(varied)) // columns)
    pen.height(deep * (190 if pen.narrow else 210))
    grid = pen.figure.subplots(deep, columns, squeeze=False, sharey=True)
    panels = list(grid.flat)
    values = [one.value for one in variant.trials if one.value is not None]
    room = (max(values) - min(values) or abs(max(values)) or 1.0) if values else 1.0
    floor = (min(values) if values else 0.0) - 0.12 * room
    for place, axes in enumerate(panels[: 1 + len(varied)]):
        axes.yaxis.set_major_formatter(lambda value, _: tick(value, plain))
        axes.locator_params(axis="y", nbins=4)
        if place:
            _by_setting(pen, axes, variant, varied[place - 1], floor)
        else:
            _by_number(pen, axes, variant, floor)
        if not place % columns:
            axes.set_ylabel(metric)
    panels[0].set_ylim(floor - 0.08 * room, (max(values) if values else 1.0) + 0.1 * room)
    for axes in panels[1 + len(varied) :]:
        axes.set_axis_off()


def _by_number(pen: Pen, axes: Axes, variant: Variant, floor: float) -> None:
    highest, steps = -math.inf, []
    share = max(one.share_of_customers for one in variant.trials)
    for number, one in enumerate(variant.trials, 1):
        if one.state == "complete" and one.value is not None and one.share_of_customers == share:
            highest = max(highest, one.value)
        if highest > -math.inf:
            steps.append((number, highest))
    if steps:
        axes.step(*zip(*steps, strict=True), where="post", color=MUTED, linewidth=1.2, zorder=0)
    _dots(
        pen, axes, variant, [float(number) for number in range(1, 1 + len(variant.trials))], floor
    )
    axes.set_xlabel("trial")
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.margins(x=0.08)


def _by_setting(pen: Pen, axes: Axes, variant: Variant, name: str, floor: float) -> None:
    """Few values stand side by side in their order; many numbers have a scale."""
    raw = [one.settings.get(name, _UNSTATED) for one in variant.trials]
    kinds = list(dict.fromkeys(setting(value) for value in sorted(raw, key=_order)))
    said = shortened([name], 16)[name]
    axes.set_xlabel(said)
    others = {setting(value) for value in raw if not _is_number(value)}
    if len(kinds) > _MANY and len(others) <= 1:
        _scale(pen, axes, variant, raw, floor)
        return
    _dots(pen, axes, variant, [float(kinds.index(setting(value))) for value in raw], floor)
    axes.set_xlim(-0.6, len(kinds) - 0.4)
    if len(kinds) > _MANY:
        axes.set_xticks([])
        axes.set_xlabel(f"{said}, {len(kinds)} values")
        return
    room = (30 if pen.narrow else 26) // len(kinds)
    shown = shortened(kinds, max(room, _SHORTEST))
    axes.set_xticks(range(len(kinds)), [shown[kind] for kind in kinds])
    if max(len(text) for text in shown.values()) > room:
        for label in axes.get_xticklabels():
            label.set(rotation=60, horizontalalignment="right", rotation_mode="anchor")


def _scale(pen: Pen, axes: Axes, variant: Variant, raw: Sequence[object], floor: float) -> None:
    """Numbers on a scale, by magnitudes where they are far apart; what is none, to the left."""
    numbers = [float(value) for value in raw if _is_number(value)]
    least, most = min(numbers), max(numbers)
    far = least > 0 and most / least >= _SPREAD
    aside = least * (least / most) ** 0.15 if far else least - 0.15 * (most - least)
    if far:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(lambda _, __: "")
        axes.set_xlabel(f"{axes.get_xlabel()}, log")
    else:
        axes.locator_params(axis="x", nbins=4)
    across = [float(value) if _is_number(value) else aside for value in raw]
    _dots(pen, axes, variant, across, floor)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= least else "")
    if len(numbers) < len(raw):
        other = next(setting(value) for value in raw if not _is_number(value))
        axes.set_xlabel(f"{axes.get_xlabel()}; left, {shortened([other], _SHORTEST)[other]}")
    axes.margins(x=0.1)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: object) -> tuple[int, float, str]:
    """The default first, then numbers by size, then words."""
    if value == _UNSTATED:
        return 0, 0.0, ""
    return (1, float(value), "") if _is_number(value) else (2, 0.0, setting(value))


def _dots(pen: Pen, axes: Axes, variant: Variant, across: Sequence[float], floor: float) -> None:
    best = best_trial(variant.trials)
    share = max(one.share_of_customers for one in variant.trials)
    for number, (x, one) in enumerate(zip(across, variant.trials, strict=True), 1):
        if one.value is None:
            dot = axes.plot([x], [floor], "x", color=WORSE, markersize=5)
        else:
            whole_trial = one.state == "complete" and one.share_of_customers == share
            dot = axes.plot(
                [x],
                [one.value],
                "o",
                markersize=8 if one is best else 5,
                color=BETTER if one is best else SAME,
                markerfacecolor=(BETTER if one is best else SAME) if whole_trial else PAPER,
                zorder=3 if one is best else 2,
            )
        value = NOTHING if one.value is None else plain(one.value)
        pen.mark(dot, variant.name, f"trial {number}: {value}, {one.state}. {pairs(one.settings)}")


def _table(variant: Variant, metric: str) -> Table:
    rows = tuple(
        (
            str(number),
            pairs(one.settings) or "its defaults",
            one.state + (f": {one.why}" if one.why else ""),
            NOTHING if one.value is None else plain(one.value),
            percent(one.share_of_customers),
            seconds(one.seconds),
        )
        for number, one in enumerate(variant.trials, 1)
    )
    return Table(
        ("trial", "settings", "state", f"{metric}, validation", "customers", "seconds"),
        rows,
        figures=3,
    )
