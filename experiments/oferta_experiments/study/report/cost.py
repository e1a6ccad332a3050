"""The plot of quality and cost."""

from collections.abc import Sequence
from itertools import pairwise

from oferta_experiments.study.report.chart import Chart, NamedTable, colour, said_verdict, verdicts
from oferta_experiments.study.report.dots import paint_dot, tick
from oferta_experiments.study.report.drawing import RULE, Pen, drawn
from oferta_experiments.study.report.labels import Label, place_labels
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import gain, percent, plain, quoted, seconds, shortened
from oferta_experiments.study.result import StudyResult, Variant

_NEARLY = 0.9  # of the best metric: what a title calls close to it
_LEAST_S = 0.01  # of a clock; a logarithm needs more than nothing


def cost_chart(result: StudyResult) -> Chart:
    """The metric against seconds, with the line of those that nothing cheaper reaches."""
    front = frontier(result.variants, result.metric)
    title = _title(result, front)
    return Chart(
        "cost",
        title,
        "Up is better, left is cheaper; seconds are on a logarithmic scale, to fit once and to "
        "score all test customers once on the machine named below. The stepped line joins the "
        "variants that no other one beats on both: those below it cost more than they give.",
        drawn("cost", title, lambda pen: _paint(pen, result, front)),
        (NamedTable("These figures as a table", _table(result, front)),),
    )


def frontier(variants: Sequence[Variant], metric: str) -> list[str]:
    """Variants that no other one beats on both metric and seconds, cheapest first."""
    kept: list[str] = []
    highest = float("-inf")
    for one in sorted(variants, key=lambda one: (_cost(one), -one.metrics[metric].mean)):
        if one.metrics[metric].mean > highest:
            highest = one.metrics[metric].mean
            kept.append(one.name)
    return kept


def _cost(variant: Variant) -> float:
    return max(variant.fit_s + variant.recommend_s, _LEAST_S)


def _title(result: StudyResult, front: Sequence[str]) -> str:
    metric = result.metric
    known = {one.name: one for one in result.variants}
    best = known[front[-1]]
    top, name = best.metrics[metric].mean, quoted(best.name)
    if len(result.variants) == 1:
        return f"{name} takes {seconds(_cost(best))} s"
    if len(front) == 1:
        return f"{name} is the best and the cheapest"
    near = [known[name] for name in front if known[name].metrics[metric].mean >= _NEARLY * top]
    cheap = near[0]
    if cheap is best:
        own, least = seconds(_cost(best)), percent(_NEARLY)
        return f"Nothing cheaper than {name}, {own} s, reaches {least} of its {metric}"
    share, time = percent(cheap.metrics[metric].mean / top), gain(_cost(cheap) / _cost(best))
    return f"{quoted(cheap.name)} reaches {share} of the best {metric} in {time} of the time"


def _paint(pen: Pen, result: StudyResult, front: Sequence[str]) -> None:
    pen.height(400 if pen.narrow else 380)
    axes = pen.figure.subplots()
    axes.set_xscale("log")
    axes.set_xlabel("seconds to fit and to score, logarithmic")
    axes.set_ylabel(result.metric)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda _, __: "")
    axes.yaxis.set_major_formatter(lambda value, _: tick(value, plain))
    found = verdicts(result)
    short = shortened(found, 20 if pen.narrow else 30)
    known = {one.name: one for one in result.variants}
    corners = [(_cost(known[name]), known[name].metrics[result.metric].mean) for name in front]
    axes.step(*zip(*corners, strict=True), where="post", color=RULE, linewidth=1.5, zorder=0)
    lines = [(x0, y0, x1, y0) for (x0, y0), (x1, _) in pairwise(corners)]
    lines += [(x1, y0, x1, y1) for (_, y0), (x1, y1) in pairwise(corners)]
    labels = []
    for name, one in known.items():
        figure, at, shade = one.metrics[result.metric], _cost(one), colour(found[name])
        axes.plot([at, at], [figure.low, figure.high], color=shade, linewidth=1.5, alpha=0.5)
        dot = paint_dot(axes, at, figure.mean, shade, hollow=name == result.baseline)
        said = f"{name}: {plain(figure.mean)} in {seconds(at)} s"
        pen.mark(dot, name, f"{said} {said_verdict(found[name], result.baseline)}".strip())
        lines.append((at, figure.low, at, figure.high))
        labels.append(Label(at, figure.mean, short[name], shade))
    axes.margins(x=0.12, y=0.08)
    place_labels(pen, axes, labels, lines=lines)


def _table(result: StudyResult, front: Sequence[str]) -> Table:
    rows = tuple(
        (
            one.name,
            "yes" if one.name in front else "no",
            plain(one.metrics[result.metric].mean),
            seconds(_cost(one)),
            seconds(one.fit_s),
            seconds(one.recommend_s),
        )
        for one in result.variants
    )
    heads = ("variant", "on the line", result.metric, "seconds", "fit", "scoring")
    return Table(heads, rows, figures=4)
