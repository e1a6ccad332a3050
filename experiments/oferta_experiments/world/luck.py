"""Chance: draws that belong to a customer, a month and a name, whoever else draws what.

Two worlds that differ in what one customer is sent draw the same for everybody else, and for that
customer too wherever both draw: common random numbers, by which policies are compared closely.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.random import Generator, default_rng

from oferta_experiments.world.arrays import Ints, Reals


@dataclass(slots=True)
class Luck:
    """The draws of a chunk of `customers` rows; `month` moves on, by whoever lives the months."""

    seed: tuple[int, ...]
    customers: int
    month: int = 0

    def stream(self, name: str) -> Generator:
        """This month's generator of a name, from its beginning."""
        return default_rng([*self.seed, self.month, crc32(name.encode())])

    def share(self, name: str, who: Ints) -> Reals:
        """Uniform in [0, 1), `(rows,)`."""
        return np.asarray(self.stream(name).random(self.customers)[who])

    def whole(self, name: str, who: Ints, low: int, high: int) -> Ints:
        """Whole numbers from `low` up to, and without, `high`, `(rows,)`."""
        return np.asarray(self.stream(name).integers(low, high, self.customers)[who])

    def factor(self, name: str, who: Ints, spread: float) -> Reals:
        """Lognormal factors around one, `(rows,)`."""
        return np.asarray(self.stream(name).lognormal(0, spread, self.customers)[who])

    def best(self, name: str, who: Ints, logit: Reals) -> Ints:
        """One choice a row of `logit` `(rows, choices)`, with the chances of its softmax.

        The largest of logit + Gumbel noise is distributed so (Gumbel-max).
        """
        shape = (self.customers, logit.shape[1])
        waits = self.stream(name).standard_exponential(shape, dtype=np.float32)
        noise = -np.log(np.maximum(waits, np.finfo(np.float32).tiny))
        return np.asarray(np.argmax(logit + noise[who], axis=1))
