"""One line of the speed table, and how a figure is taken on a machine shared with others."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, ours against an anchor in the same run.

    Attributes:
        ratio: ours over the anchor's; None where there is no anchor, only a figure.
        bar: what BENCHMARKS asks of the ratio (or of the figure), as text with its direction.
        met: whether the bar is reached; None where the row has no bar.
    """

    what: str
    ours: str
    anchor: str
    ratio: float | None
    bar: str
    met: bool | None


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, by the wall."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(
    ours: Callable[[], object], anchor: Callable[[], object], *, rounds: int
) -> tuple[float, float, float]:
    """Median seconds of both and the median of the pairwise ratios, run A B A B.

    Pairs are compared, not sums: a machine that slows down in between slows both halves of a pair.
    """
    pairs = [(seconds(ours), seconds(anchor)) for _ in range(rounds)]
    return (
        median(a for a, _ in pairs),
        median(b for _, b in pairs),
        median(a / b for a, b in pairs),
    )
