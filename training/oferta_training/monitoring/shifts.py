"""How far a distribution has moved: PSI, whether so few customers can tell, and what is usual.

PSI = sum over bins of (now - was) x ln(now / was), of shares (Lewis, "An Introduction to Credit
Scoring", 1994; there, too, the custom to look from 0.1 and to act from 0.25). Of two samples of one
population it is not 0 but about (1/n + 1/m) x chi2(bins - 1) (Yurdakul and Naranjo, "Statistical
properties of the population stability index", Journal of Risk Model Validation 14(4), 2020): what
is below a quantile of that is chance, however large it looks. And weeks differ, by pay days, by the
ends of months: a week is held to twice the farthest that any week before was from the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import chi2

LOOK: Final = 0.1
ACT: Final = 0.25
CHANCE: Final = 1e-5
"""How often chance alone may look like a shift: with 50 facts a night, once in five years."""

USUAL: Final = 2.0
"""So many times what a usual week does is more than usual."""

BINS: Final = 10
NAMES: Final = 12
"""Words told apart: the commonest of then and of now; the rest together."""

ABSENT: Final = "(absent)"
OTHERS: Final = "(others)"

Level = Literal["steady", "look", "act"]


@dataclass(frozen=True, slots=True)
class Shift:
    """One fact, then and now.

    Attributes:
        name: of the fact, for people.
        about: what is counted: events, customers, lists.
        bins: names of the bins.
        was, now: shares of the bins.
        sizes: how many customers stand behind each.
        psi: how far it has moved.
        chance: what chance alone hardly exceeds.
        usual: the farthest that one of the windows before was from the others; 0: not known.
    """

    name: str
    about: str
    bins: tuple[str, ...]
    was: tuple[float, ...]
    now: tuple[float, ...]
    sizes: tuple[int, int]
    psi: float
    chance: float
    usual: float = 0.0

    @property
    def level(self) -> Level:
        """Whether anybody must look at it, or act."""
        if self.psi < LOOK or self.psi <= max(self.chance, USUAL * self.usual):
            return "steady"
        return "act" if self.psi >= ACT else "look"


def shift(
    name: str,
    about: str,
    bins: Sequence[str],
    was: Sequence[float] | NDArray[np.float64],
    now: Sequence[float] | NDArray[np.float64],
    *,
    sizes: tuple[int, int],
) -> Shift:
    """The shift between two counts of the same bins; `sizes`: independent ones behind each."""
    before, after = _shares(was), _shares(now)
    moved = _psi(before, after)
    spread = sum(1 / max(size, 1) for size in sizes)
    chance = float(chi2.ppf(1 - CHANCE, max(len(bins) - 1, 1))) * spread
    return Shift(
        name,
        about,
        tuple(bins),
        tuple(before.tolist()),
        tuple(after.tolist()),
        sizes,
        moved,
        chance,
    )


def windows_shift(
    name: str,
    about: str,
    bins: Sequence[str],
    counts: NDArray[np.float64],
    *,
    sizes: tuple[int, int],
) -> Shift:
    """The shift of the newest window, `counts[0]`, from those before: `(windows, bins)`."""
    before = counts[1:]
    found = shift(name, about, bins, before.sum(axis=0), counts[0], sizes=sizes)
    if len(before) < 3:  # noqa: PLR2004 - of two, each is as far from the other
        return found
    others = before.sum(axis=0) - before
    apart = [_psi(_shares(one), _shares(rest)) for one, rest in zip(before, others, strict=True)]
    return replace(found, usual=max(apart))


def _psi(was: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    return float(np.sum((now - was) * np.log(now / was)))


def _shares(counts: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a count more in every bin: an empty one has a logarithm, too."""
    counted = np.asarray(counts, dtype=np.float64) + 0.5
    return np.asarray(counted / counted.sum(), dtype=np.float64)


def numbers_shift(
    name: str, about: str, was: pl.Series, now: pl.Series, *, sizes: tuple[int, int] | None = None
) -> Shift | None:
    """The shift of a number, by tenths of what it was, and of where it is absent."""
    known = was.drop_nulls().drop_nans().to_numpy()
    if not len(known) or not len(now):
        return None
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    return shift(
        name,
        about,
        _ranges(edges),
        _binned(was, edges),
        _binned(now, edges),
        sizes=sizes or (len(was), len(now)),
    )


def numbers_windows(
    name: str, about: str, values: Sequence[pl.Series], *, sizes: tuple[int, int]
) -> Shift | None:
    """The same of windows, the newest first."""
    known = pl.concat(values[1:]).drop_nulls().drop_nans().to_numpy()
    if not len(known) or not values[0].count():
        return None
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    counts = np.stack([_binned(one, edges) for one in values])
    return windows_shift(name, about, _ranges(edges), counts, sizes=sizes)


def _binned(values: pl.Series, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values.drop_nulls().drop_nans().to_numpy()
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(np.float64)


def _ranges(edges: NDArray[np.float64]) -> list[str]:
    texts = [f"{edge:,.0f}" if abs(edge) >= 1000 else f"{edge:.4g}" for edge in edges]  # noqa: PLR2004
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"to {texts[0]}", *between, f"above {texts[-1]}", ABSENT]


def words_shift(
    name: str,
    about: str,
    was: pl.DataFrame,
    now: pl.DataFrame,
    *,
    sizes: tuple[int, int],
) -> Shift | None:
    """The shift of a word. Frames have `word` and `count`, each word once."""
    if was.is_empty() or now.is_empty():
        return None
    word = pl.col("word").fill_null(ABSENT)
    both = (
        was.select(word, was="count")
        .join(now.select(word, now="count"), on="word", how="full", coalesce=True)
        .with_columns(pl.col("was", "now").fill_null(0))
        .with_columns(weight=pl.col("was") / pl.sum("was") + pl.col("now") / pl.sum("now"))
        .sort("weight", "word", descending=[True, False])
    )
    kept, rest = both.head(NAMES), both.slice(NAMES)
    names, before, after = kept["word"].to_list(), kept["was"].to_list(), kept["now"].to_list()
    if len(rest):
        names.append(OTHERS)
        before.append(rest["was"].sum())
        after.append(rest["now"].sum())
    if len(names) == 1:
        return None
    return shift(name, about, names, before, after, sizes=sizes)


def words_windows(
    name: str,
    about: str,
    counts: pl.DataFrame,
    *,
    windows: int,
    sizes: tuple[int, int],
    first: Sequence[str] = (),
) -> Shift | None:
    """The same of windows: `word`, `window` (0 is the newest) and `count`, each pair once."""
    wide = counts.with_columns(pl.col("word").fill_null(ABSENT)).pivot(
        "window", index="word", values="count", aggregate_function="sum"
    )
    numbers = [str(number) for number in range(windows + 1)]
    absent = [pl.lit(0).alias(number) for number in numbers if number not in wide.columns]
    wide = wide.with_columns(absent).with_columns(pl.col(numbers).fill_null(0))
    before, now = pl.sum_horizontal(numbers[1:]), pl.col(numbers[0])
    wide = wide.with_columns(weight=before / before.sum() + now / now.sum()).sort(
        "weight", "word", descending=[True, False]
    )
    if len(wide) < 2 or not wide[numbers[0]].sum():  # noqa: PLR2004 - one word cannot shift
        return None
    names, table = wide["word"].to_list(), wide.select(numbers).to_numpy().astype(np.float64).T
    if len(names) > NAMES:
        rest = table[:, NAMES:].sum(axis=1, keepdims=True)
        names, table = [*names[:NAMES], OTHERS], np.hstack([table[:, :NAMES], rest])
    order = sorted(range(len(names)), key=lambda at: _place(names[at], first))
    return windows_shift(name, about, [names[at] for at in order], table[:, order], sizes=sizes)


def _place(word: str, first: Sequence[str]) -> int:
    return first.index(word) if word in first else len(first)
