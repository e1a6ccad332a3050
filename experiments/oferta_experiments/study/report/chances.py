"""The plot of stated chances: whether 5 % means 5 in a hundred."""

from matplotlib.axes import Axes
from scipy.stats import binomtest

from oferta_experiments.study.report.chart import Chart, NamedTable, colour, verdicts
from oferta_experiments.study.report.drawing import MUTED, SAME, Pen, drawn
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import counted, percent, plain, quoted, shortened, whole
from oferta_experiments.study.result import Bin, Calibration, StudyResult

_ABREAST = 4  # panels that stay in one line rather than leave a second with one


def chances_chart(result: StudyResult) -> Chart:
    """Observed shares by stated chances, a panel per variant that states any."""
    known = {one.name: one.calibration for one in result.variants if one.calibration}
    if not known:
        return Chart("chances", "No variant states chances: there is no reliability to show.")
    title = _title(known)
    return Chart(
        "chances",
        title,
        "Each dot is a group of test rows whose stated chance was alike: across, the chance "
        "stated; up, the share in which it came true, with its 95 % interval (Wilson). On the "
        "diagonal chances can be taken at their word; below it too much was promised. The bars "
        "count the rows of each group: where they are low, a dot says little. ECE is the mean "
        "distance from the diagonal over all rows.",
        drawn("chances", title, lambda pen: _paint(pen, result, known)),
        (NamedTable("These figures as a table", _table(known)),),
    )


def _title(known: dict[str, Calibration]) -> str:
    best = min(known, key=lambda name: known[name].ece)
    said = f"Chances that {quoted(best)} states are off by {_points(known[best].ece)} on average"
    if len(known) == 1:
        return said
    worst = max(known, key=lambda name: known[name].ece)
    return f"{said}, those of {quoted(worst)} by {_points(known[worst].ece)}"


def _points(ece: float) -> str:
    return f"{100 * ece:.1f} percentage points"


def _paint(pen: Pen, result: StudyResult, known: dict[str, Calibration]) -> None:
    columns = min(2 if pen.narrow else 3 if len(known) != _ABREAST else _ABREAST, len(known))
    deep = -(-len(known) // columns)
    pen.height(deep * ((250 if pen.narrow else 300) if columns > 1 else 400))
    grid = pen.figure.subplots(
        2 * deep, columns, squeeze=False, sharex=True, sharey="row", height_ratios=[4, 1] * deep
    )
    top = 1.06 * max(
        max(one.stated, _reach(one)[1]) for found in known.values() for one in found.bins
    )
    most = max(one.count for found in known.values() for one in found.bins)
    short = shortened(known, 18 if pen.narrow or columns == _ABREAST else 26)
    found = verdicts(result)
    for place, (name, calibration) in enumerate(known.items()):
        line, column = divmod(place, columns)
        curve, bars = grid[2 * line][column], grid[2 * line + 1][column]
        curve.set_title(f"{short[name]}\nECE {plain(calibration.ece)}", loc="left")
        curve.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        curve.set_xlim(0, top)
        curve.set_ylim(0, top)
        bars.set_ylim(0, most * 1.1)
        _panel(pen, curve, bars, name, calibration, shade=colour(found[name]), width=top / 40)
        for axes in (curve, bars):
            axes.xaxis.set_major_formatter(lambda value, _: percent(value))
            axes.locator_params(axis="x", nbins=3)
            axes.label_outer()
        curve.yaxis.set_major_formatter(lambda value, _: percent(value))
        curve.locator_params(axis="y", nbins=4)
        bars.yaxis.set_major_formatter(lambda value, _: whole(round(value)))
        bars.set_yticks([0, most])
        if not column:
            curve.set_ylabel("came true")
            bars.set_ylabel("rows")
        if place + columns >= len(known):
            bars.set_xlabel("stated chance")
            bars.tick_params(labelbottom=True)
    for place in range(len(known), deep * columns):
        line, column = divmod(place, columns)
        grid[2 * line][column].set_axis_off()
        grid[2 * line + 1][column].set_axis_off()


def _panel(
    pen: Pen,
    curve: Axes,
    bars: Axes,
    name: str,
    calibration: Calibration,
    *,
    shade: str,
    width: float,
) -> None:
    steady = [one for one in calibration.bins if one.count]
    curve.plot(
        [one.stated for one in steady],
        [one.observed for one in steady],
        color=shade,
        linewidth=1.2,
        alpha=0.5,
    )
    for one in steady:
        low, high = _reach(one)
        curve.plot([one.stated, one.stated], [low, high], color=shade, linewidth=1.5)
        dot = curve.plot([one.stated], [one.observed], "o", color=shade, markersize=6)
        said = f"{name}: {percent(one.stated, 1)} stated, {percent(one.observed, 1)} came true"
        pen.mark(dot, name, f"{said}, {counted(one.count, 'row')}")
        bars.bar([one.stated], [one.count], width=width, color=SAME)


def _reach(one: Bin) -> tuple[float, float]:
    """Wilson's 95 % interval of what was observed."""
    if not one.count:
        return one.observed, one.observed
    hits = min(max(round(one.observed * one.count), 0), one.count)
    found = binomtest(hits, one.count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _table(known: dict[str, Calibration]) -> Table:
    rows = tuple(
        (
            name,
            percent(one.stated, 2),
            percent(one.observed, 2),
            " to ".join(percent(end, 2) for end in _reach(one)),
            whole(one.count),
        )
        for name, found in known.items()
        for one in found.bins
    )
    return Table(("variant", "stated", "came true", "95 % interval", "rows"), rows, figures=4)
