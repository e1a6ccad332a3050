"""How sure a mean is: bootstrap over customers, because a customer's rows belong together."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.evaluation.significance import paired_test

_DRAWS = 1000  # the ends of a 95 % interval then move by about 3 % of its width between seeds
_BLOCK = 50  # draws held at once: 8 MB at the most units
_MOST_UNITS = 20_000
_ENDS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: NDArray[np.float64], *, rng: Generator, customer: NDArray[np.integer] | None = None
) -> list[Interval]:
    """The mean of each column of `values` `(rows, metrics)`, with its 95 % interval.

    Percentile bootstrap: customers are drawn with replacement, all rows of one together, and the
    mean is over the rows drawn. `customer` `(rows,)` says whose row each is; None: a customer a
    row. Above 20,000 customers they are first thrown together at random into 20,000 groups, which
    leaves the interval as it is and bounds the work. Memory: the values once, and 8 MB.
    """
    if not len(values):
        return [Interval(0.0, 0.0, 0.0) for _ in range(values.shape[1])]
    return _intervals(values, _means_drawn(values, rng=rng, customer=customer))


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference: its mean and interval, and how likely one as large is by chance."""

    interval: Interval
    p_value: float


def paired_difference(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    *,
    rng: Generator,
    customer: NDArray[np.integer] | None = None,
) -> Interval:
    """How much `a` is above `b` on the mean, both `(rows,)` values of the same test rows in order.

    Raises:
        ValueError: the two do not have the same rows.
    """
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} rows: a pair needs the same test rows")
    return bootstrap((a - b)[:, None], rng=rng, customer=customer)[0]


def paired_differences(
    values: NDArray[np.float64],
    *,
    rng: Generator,
    customer: NDArray[np.integer] | None = None,
) -> list[Difference]:
    """Each column of `values` `(rows, pairs)`, differences row by row, with interval and p-value.

    The p-value is two-sided and of a t test over customers (`paired_test`): in small groups the
    draws are narrower than chance. At its edge one of the two may hold 0 where the other does not.
    """
    if not len(values):
        return [Difference(Interval(0.0, 0.0, 0.0), 1.0) for _ in range(values.shape[1])]
    return [
        Difference(interval, paired_test(column, customer=customer))
        for interval, column in zip(
            bootstrap(values, rng=rng, customer=customer), values.T, strict=True
        )
    ]


def _intervals(values: NDArray[np.float64], drawn: NDArray[np.float64]) -> list[Interval]:
    low, high = np.percentile(drawn, _ENDS, axis=0)
    return [
        Interval(float(mean), float(least), float(most))
        for mean, least, most in zip(values.mean(axis=0), low, high, strict=True)
    ]


def _means_drawn(
    values: NDArray[np.float64], *, rng: Generator, customer: NDArray[np.integer] | None
) -> NDArray[np.float64]:
    # `(draws, columns)`: the mean of each column over the rows of customers drawn.
    unit = _units(len(values), customer, rng)
    n_units = int(unit.max()) + 1
    size = np.bincount(unit, minlength=n_units).astype(np.float64)
    total = np.stack([np.bincount(unit, column, n_units) for column in values.T], axis=1)
    drawn = np.empty((_DRAWS, values.shape[1]))
    for start in range(0, _DRAWS, _BLOCK):
        times = np.stack(
            [
                np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
                for _ in range(_BLOCK)
            ]
        ).astype(np.float64)
        drawn[start : start + _BLOCK] = (times @ total) / (times @ size)[:, None]
    return drawn


def _units(rows: int, customer: NDArray[np.integer] | None, rng: Generator) -> NDArray[np.integer]:
    unit: NDArray[np.integer] = (
        np.arange(rows) if customer is None else np.unique(customer, return_inverse=True)[1]
    )
    n_units = int(unit.max()) + 1
    if n_units <= _MOST_UNITS:
        return unit
    return np.asarray((rng.permutation(n_units) % _MOST_UNITS)[unit])
