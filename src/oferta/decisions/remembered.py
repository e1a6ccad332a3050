"""Terms that were worked out before: the same inputs of the card give the same terms.

An offer's starting terms are everybody's who has the same inputs. Where they can not be afforded,
the fit depends on the customer by one number more, the most that an instalment may be; and what is
fitted to `most` with an instalment of `due` is also what is fitted to anything in between:

- the search takes the first of its changes whose instalment is within the bound;
- what comes before it is above `most`, so it is above every lower bound;
- it is itself within every bound down to `due`.

A cache: it changes no answer, and a test says so.
"""

from decimal import Decimal
from typing import Final

from oferta.decisions.offered import Priced
from oferta.terms.quote import Unfit

_KEPT: Final = 4096  # a generation
_STEPS: Final = 8
_WIDE: Final = Decimal(2)  # currency units: a narrower range will hardly be asked for again


class Remembered:
    """What is known of one offer for the same inputs of the card.

    Attributes:
        known: the terms that it starts with; None: nothing is known yet.
        least: the lowest instalment that its ranges hold; 0: not told; None: not asked yet.
    """

    __slots__ = ("_steps", "known", "least")

    def __init__(self, known: Priced | Unfit | None = None) -> None:
        self.known = known
        self.least: Decimal | None = None
        self._steps: tuple[tuple[Decimal, Decimal, Priced], ...] = ()

    def within(self, most: Decimal) -> Priced | None:
        """The terms that fit a bound of `most` a month; None: that is not known."""
        for low, high, priced in self._steps:
            if low <= most <= high:
                return priced
        return None

    def learn(self, most: Decimal, fitted: Priced) -> None:
        """Notes what was fitted to a bound of `most`, without a guarantor."""
        low, high = fitted.quote.instalment, most
        others = tuple(step for step in self._steps if step[2] != fitted)
        if len(others) < len(self._steps):
            high = max(high, *(step[1] for step in self._steps if step[2] == fitted))
        if high - low >= _WIDE and len(others) < _STEPS:
            self._steps = (*others, (low, high, fitted))


class QuoteMemory:
    """What an engine remembers, by offer and inputs of the card.

    Two generations: what was not asked for while the younger one filled up is forgotten, so that
    inputs that no second customer has (the value of their car) do not drive out everybody's.
    """

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[tuple[object, ...], Remembered] = {}
        self._old: dict[tuple[object, ...], Remembered] = {}

    def of(self, key: tuple[object, ...]) -> Remembered:
        """What is remembered; nothing yet: an empty memory that is not kept."""
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key)
            if known is None:
                return Remembered()
            self.keep(key, known)
        return known

    def keep(self, key: tuple[object, ...], remembered: Remembered) -> None:
        """Remembers."""
        if len(self._young) >= _KEPT:
            self._old, self._young = self._young, {}
        self._young[key] = remembered
