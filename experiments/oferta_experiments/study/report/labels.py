"""Names written beside what they name, where no name covers another."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.text import Annotation

from oferta_experiments.study.report.drawing import RULE, Pen

_SIZE = 11
_FAR = 20  # pixels from which a name is tied to its point by a thin line
_PLACES = tuple(
    (across, up, side)
    for up in (0, 14, -14, 28, -28, 42, -42, 56, -56)
    for across, side in ((9, "left"), (-9, "right"), (0, "center"))
    if up or side != "center"
)

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """A name of the point at `(x, y)`, in data's units."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(pen: Pen, axes: Axes, labels: Sequence[Label], *, lines: Sequence[_Box]) -> None:
    """Write each label at the first free place of some around its point, nearest first.

    `lines` (`x, y` of both ends, upright or level) are kept clear as points are; names stay inside
    the axes where they can. Greedy: those that come first sit closest. Call it when everything else
    is drawn.
    """
    pen.lay_out()
    taken = [_around(axes, label.x, label.y, label.x, label.y, by=5) for label in labels]
    taken += [_around(axes, *line, by=1) for line in lines]
    extent = axes.get_window_extent()
    frame = (extent.x0, extent.y0, extent.x1, extent.y1)
    for label in labels:
        costs: list[tuple[float, int]] = []
        for place in range(len(_PLACES)):
            written = _written(axes, label, place)
            box = _box(written)
            written.remove()
            cost = _outside(box, frame) + sum(_shared(box, other) for other in taken)
            costs.append((cost, place))
            if not cost:
                break
        best = min(costs)[1]
        taken.append(_box(_written(axes, label, best)))
        across, up, _ = _PLACES[best]
        if abs(up) > _FAR:
            _tie(axes, label, (across * 0.9, up * 0.75))


def stack_labels(pen: Pen, axes: Axes, labels: Sequence[Label], *, gap: float = 14) -> None:
    """Write labels to the right of their points, in the points' order, `gap` pixels apart or more.

    Call it when everything else is drawn.
    """
    pen.lay_out()
    ordered = sorted(labels, key=lambda label: label.y)
    at = [float(axes.transData.transform((label.x, label.y))[1]) for label in ordered]
    for label, y, moved in zip(ordered, at, _spread(at, gap), strict=True):
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(14, moved - y),
            textcoords="offset points",
            color=label.colour,
            fontsize=_SIZE,
            va="center",
            annotation_clip=False,
        )
        if abs(moved - y) > 1:
            _tie(axes, label, (12, moved - y))


def _spread(at: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved until neighbours are `gap` apart, each group around its middle."""
    groups: list[list[float]] = []
    for place in at:
        groups.append([place])
        while len(groups) > 1 and _start(groups[-1], gap) - _start(groups[-2], gap) < gap * len(
            groups[-2]
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_start(group, gap) + gap * order for group in groups for order in range(len(group))]


def _start(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _written(axes: Axes, label: Label, place: int) -> Annotation:
    across, up, side = _PLACES[place]
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=(across, up),
        textcoords="offset points",
        color=label.colour,
        fontsize=_SIZE,
        ha=side,
        va="center",
        annotation_clip=False,
    )


def _tie(axes: Axes, label: Label, end: tuple[float, float]) -> None:
    line = {"arrowstyle": "-", "color": RULE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 5}
    axes.annotate("", (label.x, label.y), xytext=end, textcoords="offset points", arrowprops=line)


def _box(written: Annotation) -> _Box:
    extent = written.get_window_extent()
    return extent.x0, extent.y0 + 2, extent.x1, extent.y1 - 2


def _around(axes: Axes, x0: float, y0: float, x1: float, y1: float, *, by: float) -> _Box:
    (left, low), (right, high) = axes.transData.transform([(x0, y0), (x1, y1)])
    left, right, low, high = min(left, right), max(left, right), min(low, high), max(low, high)
    return left - by, low - by, right + by, high + by


def _outside(box: _Box, frame: _Box) -> float:
    across = max(frame[0] - box[0], 0.0) + max(box[2] - frame[2], 0.0)
    return across + max(frame[1] - box[1], 0.0) + max(box[3] - frame[3], 0.0)


def _shared(one: _Box, other: _Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return across * up if across > 0 and up > 0 else 0.0
