"""The plot of segments: where a variant helps, where it harms, where nothing can be said."""

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from oferta_experiments.study.report.chart import Chart, NamedTable, colour
from oferta_experiments.study.report.drawing import INK, MUTED, RULE, SAME, Pen, drawn
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import (
    NOTHING,
    SIGNS,
    counted,
    plain,
    quoted,
    shortened,
    signed,
    signed_ends,
    whole,
)
from oferta_experiments.study.result import Slice, StudyResult

_Key = tuple[str, str]
_Grid = dict[_Key, dict[str, Slice]]
_ROW = 26
_WRAPPED = 8  # characters of a column from which on wrapped names can be read
_ROOMY, _TIGHT = 72, 32  # pixels of a column: for four decimals and a sign, for a usual size
_MUTED = 0.06
_LEAST, _MOST = 0.12, 0.62  # of a cell's colour: seen on paper, and its text still read


def segments_chart(result: StudyResult) -> Chart:
    """A row per segment, a column per variant."""
    grid = by_segment(result)
    if not grid:
        return Chart("segments", "Segments were not asked for: figures are over all customers.")
    title = _title(result, grid)
    compared = any(one.difference for cells in grid.values() for one in cells.values())
    return Chart(
        "segments",
        title,
        (
            "Each cell is the difference from the baseline among the customers of that segment "
            "(their number beside its name); the baseline's column shows its own value. Cells are "
            "coloured, the stronger the larger, only where the difference stands after Holm's "
            "correction over all slices: ▲ better, ▼ worse. The others are muted; a small segment "
            "that shows no difference may still hide one."
            if compared
            else f"Each cell is {result.metric} among the customers of that segment, darker where "
            "it is higher; their number is beside its name."
        ),
        drawn("segments", title, lambda pen: _paint(pen, result, grid)),
        (NamedTable("These figures as a table", _table(result, grid)),),
    )


def by_segment(result: StudyResult) -> _Grid:
    """Segment -> variant -> slice, in the order of the study."""
    found: _Grid = {}
    for variant in result.variants:
        for one in variant.segments:
            found.setdefault((one.by, one.label), {})[variant.name] = one
    # Slices of one attribute stay together, whichever variant brought them first.
    kinds = list(dict.fromkeys(by for by, _ in found))
    return {key: found[key] for key in sorted(found, key=lambda key: kinds.index(key[0]))}


def _title(result: StudyResult, grid: _Grid) -> str:
    names = [one.name for one in result.variants if one.name != result.baseline]
    judged = {
        name: [cells[name].verdict for cells in grid.values() if name in cells] for name in names
    }
    number = counted(len(grid), "segment")
    said = {name: [v for v in found if v in {"better", "worse"}] for name, found in judged.items()}
    if not any(verdict for found in judged.values() for verdict in found):
        return f"{result.metric} in {number}"
    if not any(said.values()):
        return f"No variant differs from {quoted(result.baseline)} in any of {number}"
    lead = next(name for name in names if said[name])
    better, worse = said[lead].count("better"), said[lead].count("worse")
    parts = [
        text
        for text, count in ((f"better in {better}", better), (f"worse in {worse}", worse))
        if count
    ]
    return f"{quoted(lead)} is {' and '.join(parts)} of {number}"


def _paint(pen: Pen, result: StudyResult, grid: _Grid) -> None:
    variants = [one.name for one in result.variants]
    axes = pen.figure.subplots()
    room = 18 if pen.narrow else 30
    tops, rows = _tops(axes, list(grid), room)
    figures = [one for cells in grid.values() for one in cells.values()]
    most = max((abs(one.difference.mean) for one in figures if one.difference), default=0.0)
    highest = max(one.figure.mean for one in figures)
    column = (200 if pen.narrow else 560) / len(variants)
    for key, top in tops.items():
        for place, name in enumerate(variants):
            one = grid[key].get(name)
            if one is None:
                continue
            shade, strength = _shade(one, most, highest)
            cell = Rectangle(
                (place + 0.02, top + 0.04),
                0.96,
                0.92,
                facecolor=shade,
                alpha=strength,
                linewidth=0,
            )
            axes.add_patch(cell)
            pen.mark([cell], f"{name} · {key[0]}: {key[1]}", _said(one, name, result))
            axes.annotate(
                _written(one, short=column < _ROOMY),
                (place + 0.5, top + 0.52),
                ha="center",
                va="center",
                color=MUTED if one.verdict == "no difference" else INK,
                fontsize=11 if column > _TIGHT else 8,
            )
    short = shortened((label for _, label in grid), room)
    sizes = {key: max(one.customers for one in grid[key].values()) for key in tops}
    axes.set_yticks(
        [top + 0.5 for top in tops.values()],
        [f"{short[key[1]]} ({whole(sizes[key])})" for key in tops],
    )
    axes.set_xlim(0, len(variants))
    axes.set_ylim(rows, 0)
    above = _heads(axes, variants, int(column / 7))
    axes.tick_params(length=0, labelcolor=INK, pad=5)
    axes.axhline(0, color=RULE, linewidth=1)
    for spine in axes.spines.values():
        spine.set_visible(False)
    pen.height(rows * _ROW + above)


def _tops(axes: Axes, keys: list[_Key], room: int) -> tuple[dict[_Key, int], int]:
    """Where each segment's row begins, and how many rows there are: an attribute has one, too."""
    tops: dict[_Key, int] = {}
    row = 0
    for kind, said in shortened((by for by, _ in keys), room).items():
        axes.annotate(
            said,
            (0, row + 0.62),
            xycoords=("axes fraction", "data"),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=MUTED,
            fontsize=11,
        )
        for key in keys:
            if key[0] == kind:
                row += 1
                tops[key] = row
        row += 1
    return tops, row


def _heads(axes: Axes, variants: list[str], room: int) -> float:
    """Write the columns' names, `room` characters wide; returns the pixels they take."""
    slanted = room < _WRAPPED
    short = shortened(variants, 15 if slanted else 4 * room)
    said = [short[name] if slanted else fill(short[name], room) for name in variants]
    axes.set_xticks([place + 0.5 for place in range(len(variants))], said)
    axes.xaxis.tick_top()
    if not slanted:
        return 22 + 14 * (1 + max(text.count("\n") for text in said))
    for label in axes.get_xticklabels():
        label.set(rotation=50, horizontalalignment="left", rotation_mode="anchor")
    return 100


def _shade(one: Slice, most: float, highest: float) -> tuple[str, float]:
    """A cell's colour and its strength from 0 to 1, `most` and `highest` being the strongest."""
    if one.difference is not None and one.verdict in {"better", "worse"}:
        share = abs(one.difference.mean) / most if most else 0.0
        return colour(one.verdict), _LEAST + (_MOST - _LEAST) * share
    if one.difference is not None or most:
        return SAME, _MUTED
    share = max(one.figure.mean, 0.0) / highest if highest > 0 else 0.0
    return SAME, _LEAST + (_MOST - _LEAST) * share


def _written(one: Slice, *, short: bool) -> str:
    """`+0.0121 ▲`; short, without the zero before the point: `+.012`."""
    text = (
        plain(one.figure.mean, 3 if short else 4)
        if one.difference is None
        else signed(one.difference.mean, 3 if short else 4)
    )
    if short:
        return text.replace("0.", ".", 1)
    sign = SIGNS.get(one.verdict or "", "") if one.verdict != "no difference" else ""
    return f"{text} {sign}".rstrip()


def _said(one: Slice, name: str, result: StudyResult) -> str:
    said = f"{name}, {one.by} {one.label}, {counted(one.customers, 'customer')}: "
    said += f"{result.metric} {plain(one.figure.mean)}"
    if one.difference is not None:
        away = f"{signed(one.difference.mean)} ({signed_ends(one.difference)})"
        said += f", {away} from {result.baseline}"
    return f"{said}, {one.verdict}" if one.verdict else said


def _table(result: StudyResult, grid: _Grid) -> Table:
    rows = [
        (
            f"{by}: {label}",
            name,
            one.verdict or NOTHING,
            whole(one.customers),
            plain(one.figure.mean),
            signed(one.difference.mean) if one.difference else NOTHING,
            signed_ends(one.difference) if one.difference else NOTHING,
        )
        for (by, label), cells in grid.items()
        for name, one in cells.items()
    ]
    heads = (
        "segment",
        "variant",
        "verdict",
        "customers",
        result.metric,
        "difference",
        "95 % interval",
    )
    return Table(heads, tuple(rows), figures=4)
