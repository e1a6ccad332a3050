"""The plot of learning: what more customers would bring."""

from oferta_experiments.study.report.chart import Chart, NamedTable, colour, verdicts
from oferta_experiments.study.report.drawing import PAPER, Pen, drawn
from oferta_experiments.study.report.labels import Label, stack_labels
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import (
    ends,
    gain,
    percent,
    plain,
    quoted,
    shortened,
    whole,
)
from oferta_experiments.study.result import StudyResult, Variant

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")


def learning_chart(result: StudyResult) -> Chart:
    """The metric by the number of customers that were learnt from."""
    known = [one for one in result.variants if one.learning]
    if not known:
        return Chart("learning", "A learning curve was not asked for.")
    title = _title(known[0])
    rows = tuple(
        (
            one.name,
            percent(point.share),
            whole(point.customers),
            plain(point.figure.mean),
            ends(point.figure),
        )
        for one in known
        for point in one.learning
    )
    heads = ("variant", "share", "customers", result.metric, "95 % interval")
    return Chart(
        "learning",
        title,
        "Each variant was fitted again on a part of the customers and judged on the same test. "
        "A curve that still climbs at its right end would gain from more customers; a flat one "
        "would not. Upright lines are 95 % intervals over customers.",
        drawn("learning", title, lambda pen: _paint(pen, result, known)),
        (NamedTable("These figures as a table", Table(heads, rows, figures=4)),),
    )


def _title(lead: Variant) -> str:
    points = sorted(lead.learning, key=lambda point: point.customers)
    last = points[-1].figure
    if len(points) == 1:
        return f"{quoted(lead.name)} at {whole(points[0].customers)} customers"
    before = points[-2]
    step = f"from {percent(before.share)} to {percent(points[-1].share)} of the customers"
    change = last.mean / before.figure.mean - 1 if before.figure.mean > 0 else 0.0
    if last.low > before.figure.mean and last.mean > before.figure.high:
        return f"{quoted(lead.name)} still gains {gain(change)} {step}"
    return f"{quoted(lead.name)} gains {gain(change)} {step}: within its intervals"


def _paint(pen: Pen, result: StudyResult, known: list[Variant]) -> None:
    pen.height(380)
    axes = pen.figure.subplots()
    found = verdicts(result)
    short = shortened((one.name for one in known), 18 if pen.narrow else 28)
    most = max(point.customers for one in known for point in one.learning)
    labels = []
    for place, one in enumerate(known):
        points = sorted(one.learning, key=lambda point: point.customers)
        shade = colour(found[one.name])
        # Upright lines of curves at the same place would hide each other.
        aside = (place - (len(known) - 1) / 2) * most * 0.006
        across = [point.customers + aside for point in points]
        axes.plot(across, [point.figure.mean for point in points], color=shade, linewidth=1.8)
        for x, point in zip(across, points, strict=True):
            axes.plot(
                [x, x], [point.figure.low, point.figure.high], color=shade, linewidth=1.2, alpha=0.5
            )
            dot = axes.plot(
                [x],
                [point.figure.mean],
                _MARKERS[place % len(_MARKERS)],
                color=shade,
                markersize=6,
                markerfacecolor=PAPER if one.name == result.baseline else shade,
            )
            said = f"{one.name}, {whole(point.customers)} customers: {plain(point.figure.mean)}"
            pen.mark(dot, one.name, f"{said} ({ends(point.figure)})")
        labels.append(Label(across[-1], points[-1].figure.mean, short[one.name], shade))
    axes.set_xlim(0, most * (1.55 if pen.narrow else 1.42))
    ticks = sorted({point.customers for one in known for point in one.learning})
    axes.set_xticks(_apart(ticks, most / (5 if pen.narrow else 10)))
    axes.xaxis.set_major_formatter(lambda value, _: whole(round(value)))
    axes.set_xlabel("customers learnt from", x=0.35)
    axes.set_ylabel(result.metric)
    axes.spines["bottom"].set_bounds(0, most)
    stack_labels(pen, axes, labels)


def _apart(ticks: list[int], gap: float) -> list[int]:
    """The ticks that leave room for their labels, the last one always."""
    kept: list[int] = []
    for tick in reversed(ticks):
        if not kept or kept[-1] - tick >= gap:
            kept.append(tick)
    return kept
