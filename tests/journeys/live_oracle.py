"""What lists must show, by a model of lists, releases, deeds and consents that anybody can read.

Plain Python over names and numbers. It shares nothing with the product: where the two differ, one
of them is wrong.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PRODUCTS: Final = 10
ONCE_ONLY: Final = frozenset({3, 7})
POPULAR: Final = (4, 0, 8, 3, 1, 9, 7, 2, 6, 5)
"""Everybody's list, of all products: what nobody's own list is, but by an odd chance."""

LENGTH: Final = 4
"""Of a list that is made for somebody; everybody's follows it."""

WEIGHTS: Final[Mapping[str, float]] = {"purchase": 1.0, "view": 0.25, "return": -1.0}
"""What says something of a taste, and how much. A sum of these is exact."""


@dataclass(frozen=True, eq=False)
class Deed:
    """Something that somebody did; `old`: before there were events, so releases alone know it."""

    kind: str
    product: int
    old: bool = False


@dataclass
class Person:
    """A customer, or a session.

    Attributes:
        deeds: in their order; of a session until it turned out to be somebody.
        personal: what they said last of lists of their own; None: nothing.
        erased: whether they asked to be forgotten.
        customer: of a session that turned out to be a customer: who.
    """

    deeds: list[Deed] = field(default_factory=list)
    personal: bool | None = None
    erased: bool = False
    customer: str | None = None

    def pieces(self, product: int) -> int:
        """How many of it they have."""
        return pieces(self.deeds, product)


@dataclass(frozen=True)
class Known:
    """What a release holds of one customer: the deeds that it knows of, and their list."""

    deeds: tuple[Deed, ...]
    listed: tuple[int, ...]
    closed: bool


@dataclass(frozen=True)
class Release:
    """A release: what having `i` says for `j`, and what that makes of what it knows."""

    number: int
    base: Sequence[float]
    weights: Sequence[Sequence[float]]
    known: Mapping[str, Known]

    def best(self, deeds: Iterable[Deed], without: frozenset[int]) -> tuple[int, ...]:
        """The list of who did this, but for some products."""
        had = past(deeds)
        sold = [to for to in range(PRODUCTS) if to not in without]

        def score(to: int) -> float:
            return self.base[to] + sum(self.weights[one][to] for one in had)

        return tuple(sorted(sold, key=score, reverse=True)[:LENGTH])


@dataclass(frozen=True)
class Expected:
    """What an answer must say. `own`: how many of `products` are listed for them alone."""

    release: int
    products: tuple[int, ...]
    own: int
    events: int
    by: str | None
    nobody: bool
    """Whether they must get everybody's list, the same bytes but for their id."""


@dataclass
class Oracle:
    """All that happened, and what follows."""

    people: dict[str, Person] = field(default_factory=dict)
    sessions: dict[str, Person] = field(default_factory=dict)
    live: Release | None = None
    previous: Release | None = None

    def next_release(self, number: int, *, covers: bool, seed: int) -> Release:
        """A release that knows all that happened so far, or only what is older than any event."""
        chance = random.Random(seed)  # noqa: S311 - a model's weights, no secret
        base = [chance.random() / 10 for _ in range(PRODUCTS)]
        weights = [[chance.gauss(0, 1) for _ in range(PRODUCTS)] for _ in range(PRODUCTS)]
        bare = Release(number, base, weights, {})
        known: dict[str, Known] = {}
        for name, person in self.people.items():
            deeds = tuple(one for one in person.deeds if covers or one.old)
            if person.erased:
                continue
            if person.personal is False:
                known[name] = Known((), (), closed=True)
            elif deeds:
                listed = bare.best(deeds, held(deeds)) if past(deeds) else ()
                known[name] = Known(deeds, listed, closed=False)
        return Release(number, base, weights, known)

    def expected(self, name: str) -> Expected:
        """What a customer's answer says now."""
        person = self.people[name]
        if person.erased or person.personal is False:
            return self._everybodys()
        assert self.live is not None
        row = self.live.known.get(name)
        if row is not None and row.closed and person.personal is not True:
            return self._everybodys()
        open_row = row if row is not None and not row.closed else None
        return self._of(person.deeds, open_row)

    def expected_of_session(self, name: str) -> Expected:
        """What a session's answer says now: nothing of its own once it is somebody's."""
        session = self.sessions[name]
        return self._of([] if session.customer else session.deeds, None)

    def _everybodys(self) -> Expected:
        assert self.live is not None
        return Expected(self.live.number, POPULAR, 0, 0, None, nobody=True)

    def _of(self, deeds: Sequence[Deed], row: Known | None) -> Expected:
        assert self.live is not None
        known = () if row is None else row.deeds
        new = [one for one in deeds if one not in known and not one.old]
        seen = [one for one in deeds if one in known or not one.old]
        without = held(seen) | declined(deeds)
        by = None
        own: Sequence[int] = () if row is None else row.listed
        if new:
            by = "events"
        if any(one.kind in WEIGHTS for one in new):
            by = "neighbours"
            own = self.live.best(seen, without)
        own = [one for one in own if one not in without]
        rest = [one for one in POPULAR if one not in without and one not in own]
        listed = (*own, *rest)
        return Expected(self.live.number, listed, len(own), len(new), by, nobody=False)


def past(deeds: Iterable[Deed]) -> list[int]:
    """The products of which something was had, or wished, and is not all taken back."""
    sums = dict.fromkeys(range(PRODUCTS), 0.0)
    had = set()
    for one in deeds:
        weight = WEIGHTS.get(one.kind, 0.0)
        sums[one.product] += weight
        if weight > 0:
            had.add(one.product)
    return [product for product, left in sums.items() if product in had and left > 0]


def held(deeds: Iterable[Deed]) -> frozenset[int]:
    """What may be had once, and is."""
    each = list(deeds)
    return frozenset(product for product in ONCE_ONLY if pieces(each, product) > 0)


def pieces(deeds: Iterable[Deed], product: int) -> int:
    """Bought, less what went back."""
    kinds = [one.kind for one in deeds if one.product == product]
    return kinds.count("purchase") - kinds.count("return")


def declined(deeds: Iterable[Deed]) -> frozenset[int]:
    """What they said no to, and did not buy since."""
    last = {one.product: one.kind for one in deeds if one.kind in {"purchase", "decline"}}
    return frozenset(product for product, kind in last.items() if kind == "decline")
