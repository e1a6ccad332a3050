"""How far a distribution has moved: PSI, and whether so few customers can tell.

PSI = sum over bins of (now - was) x ln(now / was), of shares (Lewis, "An Introduction to Credit
Scoring", 1994; there, too, the custom to look from 0.1 and to act from 0.25). Of two samples of one
population it is not 0 but about (1/n + 1/m) x chi2(bins - 1) (Yurdakul and Naranjo, "Statistical
properties of the population stability index", Journal of Risk Model Validation 14(4), 2020): what
is below a quantile of that is chance, however large it looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    name: str
    about: str
    bins: tuple[str, ...]
    was: tuple[float, ...]
    now: tuple[float, ...]
    sizes: tuple[int, int]
    psi: float
    chance: float

    @property
    def level(self) -> Level:
        """Whether anybody must look at it, or act."""
        if self.psi < LOOK or self.psi <= self.chance:
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
    moved = float(np.sum((after - before) * np.log(after / before)))
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


def _binned(values: pl.Series, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values.drop_nulls().drop_nans().to_numpy()
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(np.float64)


def _ranges(edges: NDArray[np.float64]) -> list[str]:
    texts = [f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"to {texts[0]}", *between, f"above {texts[-1]}", ABSENT]


def words_shift(
    name: str,
    about: str,
    was: pl.DataFrame,
    now: pl.DataFrame,
    *,
    sizes: tuple[int, int],
    first: Sequence[str] | None = None,
) -> Shift | None:
    """The shift of a word. Frames have `word` and `count`, each word once; `first`: the order."""
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
    if first is not None:
        order = sorted(range(len(names)), key=lambda at: _place(names[at], first))
        names, before, after = ([part[at] for at in order] for part in (names, before, after))
    return shift(name, about, names, before, after, sizes=sizes)


def _place(word: str, first: Sequence[str]) -> int:
    return first.index(word) if word in first else len(first)
