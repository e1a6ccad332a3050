"""Who the customers are: what they like, earn and risk. Drawn once, never seen by a model."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from oferta_experiments.world.arrays import Ints, Reals, Tastes
from oferta_experiments.world.cars import KM_YEAR
from oferta_experiments.world.products import AUDIENCES, FUELS, Products

CHANNELS: Final = (
    "app",
    "web",
    "email",
    "sms",
    "push",
    "call_centre",
    "branch",
    "dealer",
    "partner",
)
EMPLOYMENTS: Final = ("employed", "self_employed", "retired", "student", "unemployed")
REGIONS: Final = ("north", "south", "east", "west", "centre", "islands")
AGE_BANDS: Final = ("18-29", "30-44", "45-59", "60+")
SEXES: Final = ("f", "m")


@dataclass(frozen=True, slots=True)
class Archetype:
    """A kind of customer: how common, how rich, what they like, how they use a car."""

    share: float
    income: float
    likes: dict[str, float]
    use: tuple[float, float, float, float]
    employment: tuple[float, float, float, float, float]
    digital: float


ARCHETYPES: Final[dict[str, Archetype]] = {
    "suv_family": Archetype(
        0.19,
        3100,
        {"suv": 1.7, "family": 1.5, "new": 0.6, "commercial": -1.2, "ride_hailing": -1.2},
        (0.7, 0.28, 0.0, 0.02),
        (0.8, 0.12, 0.05, 0.0, 0.03),
        0.0,
    ),
    "commuter": Archetype(
        0.21,
        2500,
        {"commuter": 1.8, "budget": 0.5, "premium": -0.8, "commercial": -1.2, "ride_hailing": -1.2},
        (0.1, 0.9, 0.0, 0.0),
        (0.92, 0.05, 0.0, 0.0, 0.03),
        0.3,
    ),
    "electric": Archetype(
        0.11,
        3300,
        {"ev": 2.3, "digital": 1.1, "new": 0.6, "used": -0.6, "commercial": -1.0},
        (0.6, 0.38, 0.02, 0.0),
        (0.82, 0.15, 0.02, 0.0, 0.01),
        1.0,
    ),
    "driver": Archetype(
        0.07,
        1900,
        {"ride_hailing": 2.6, "used": 0.5, "budget": 0.6, "premium": -1.0, "family": -0.4},
        (0.02, 0.03, 0.95, 0.0),
        (0.25, 0.7, 0.0, 0.0, 0.05),
        0.7,
    ),
    "business": Archetype(
        0.08,
        3400,
        {"commercial": 2.6, "used": 0.2, "ride_hailing": -1.0, "family": -0.8},
        (0.1, 0.05, 0.0, 0.85),
        (0.15, 0.83, 0.02, 0.0, 0.0),
        -0.2,
    ),
    "premium": Archetype(
        0.08,
        5600,
        {"premium": 2.3, "new": 1.0, "budget": -1.5, "used": -0.8, "ride_hailing": -1.5},
        (0.75, 0.25, 0.0, 0.0),
        (0.6, 0.3, 0.1, 0.0, 0.0),
        0.1,
    ),
    "thrifty": Archetype(
        0.17,
        1900,
        {"budget": 1.5, "used": 1.7, "premium": -1.4, "new": -0.8, "ev": -0.8, "commercial": -0.9},
        (0.75, 0.25, 0.0, 0.0),
        (0.55, 0.08, 0.3, 0.0, 0.07),
        -0.7,
    ),
    "young": Archetype(
        0.09,
        1700,
        {"digital": 1.7, "used": 0.8, "budget": 0.8, "family": -1.0, "commercial": -0.9},
        (0.6, 0.4, 0.0, 0.0),
        (0.6, 0.08, 0.0, 0.27, 0.05),
        1.2,
    ),
}
_ELSEWHERE: Final = -0.35
"""How much an archetype cares for an audience that it does not name."""
_FACTORS: Final = 4
_OWES_OTHERS: Final = 0.27
_OLD_CUSTOMERS: Final = 0.72
_TASTE: Final = (1.0, 0.55, 0.3)
"""Of archetype and audience, of factors that archetypes do not explain, of nothing at all."""
_TIER_BOUNDS: Final = np.array([0.009, 0.02, 0.042, 0.085])
"""Chance to default within a year, as the bureau sees it, at which the next tier begins."""


@dataclass(frozen=True, slots=True)
class People:
    """The customers of a chunk, `n` rows; money is EUR a month.

    Attributes:
        archetype, employment, use, region, age_band, sex: positions in this module's tuples.
        income, spending, others: net income, spending, instalments owed to others.
        default_risk: true chance to default within a year; tier: what the bureau made of it.
        price_sensitivity, instalment_sensitivity: 1 is usual.
        tolerance: contacts within two months that they do not mind.
        activity: browsing, 1 is usual. channel: `(n, channels)` liking, added to a logit.
        deposit: the share of a car's price they like to pay down; months: the term they like.
        preference: `(n, products)` true taste, standard deviation about one, added to a logit.
        joined: first day as a customer.
    """

    archetype: Ints
    employment: Ints
    use: Ints
    region: Ints
    age_band: Ints
    sex: Ints
    income: Reals
    spending: Reals
    others: Reals
    default_risk: Reals
    tier: Ints
    price_sensitivity: Reals
    instalment_sensitivity: Reals
    tolerance: Reals
    activity: Reals
    channel: Reals
    deposit: Reals
    months: Ints
    km_year: Reals
    joined: Ints
    preference: Tastes

    def __len__(self) -> int:
        return len(self.joined)


def product_factors(products: Products, rng: Generator) -> Reals:
    """`(factors, P)`: what connects products beyond their audiences; the same for all chunks."""
    return rng.normal(size=(_FACTORS, len(products))) * _FACTORS**-0.5


def draw_people(
    count: int, products: Products, *, factors: Reals, days: tuple[int, int], rng: Generator
) -> People:
    """`count` customers, 72 % of whom joined before `days[0]`, the others within `days`."""
    kinds = list(ARCHETYPES.values())
    share = np.array([kind.share for kind in kinds])
    archetype = rng.choice(len(kinds), count, p=share / share.sum())
    income = np.array([kind.income for kind in kinds])[archetype] * rng.lognormal(0, 0.28, count)
    employment = _drawn(np.array([kind.employment for kind in kinds]), archetype, rng)
    use = _drawn(np.array([kind.use for kind in kinds]), archetype, rng)
    others = np.where(rng.random(count) < _OWES_OTHERS, income * rng.uniform(0.03, 0.2, count), 0.0)
    risk = _default_risk(income, employment, others, rng)
    seen = risk * rng.lognormal(0, 0.35, count)
    digital = np.array([kind.digital for kind in kinds])[archetype] + rng.normal(0, 0.6, count)
    old = rng.random(count) < _OLD_CUSTOMERS
    before = days[0] - 30 - rng.integers(0, 6 * 365, count)
    return People(
        archetype=archetype,
        employment=employment,
        use=use,
        region=rng.choice(len(REGIONS), count, p=[0.22, 0.18, 0.16, 0.2, 0.2, 0.04]),
        age_band=_age_band(archetype, rng),
        sex=rng.integers(0, len(SEXES), count),
        income=np.round(income, 2),
        spending=np.round(income * np.clip(rng.normal(0.5, 0.09, count), 0.25, 0.85), 2),
        others=np.asarray(np.round(others, 2), np.float64),
        default_risk=risk,
        tier=np.searchsorted(_TIER_BOUNDS, seen).astype(np.int64),
        price_sensitivity=rng.lognormal(-0.1, 0.45, count),
        instalment_sensitivity=rng.lognormal(-0.1, 0.45, count),
        tolerance=1.0 + rng.gamma(2.0, 0.6, count),
        activity=rng.gamma(1.6, 0.625, count),
        channel=_channels(digital, rng),
        deposit=np.asarray(np.clip(rng.normal(0.2, 0.1, count), 0.0, 0.5), np.float64),
        months=rng.choice(np.array([24, 36, 48, 60]), count, p=[0.12, 0.36, 0.36, 0.16]),
        km_year=np.round(KM_YEAR[use] * rng.lognormal(0, 0.22, count)),
        joined=np.where(old, before, rng.integers(days[0], days[1], count)).astype(np.int64),
        preference=_preference(archetype, products, factors=factors, rng=rng),
    )


def _drawn(chances: Reals, row: Ints, rng: Generator) -> Ints:
    """One draw a customer from the row of `chances` of their archetype."""
    cumulated = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)[row]
    return np.asarray((rng.random(len(row))[:, None] > cumulated[:, :-1]).sum(axis=1), np.int64)


def _default_risk(income: Reals, employment: Ints, others: Reals, rng: Generator) -> Reals:
    strain = np.array([0.0, 0.35, 0.1, 0.5, 1.3])[employment] + 2.5 * others / income
    logit = -3.9 + strain - 0.75 * np.log(income / 2500) + rng.normal(0, 0.75, len(income))
    return np.asarray(1 / (1 + np.exp(-logit)))


def _age_band(archetype: Ints, rng: Generator) -> Ints:
    usual = np.array([0.2, 0.35, 0.3, 0.15])
    table = np.tile(usual, (len(ARCHETYPES), 1))
    names = list(ARCHETYPES)
    table[names.index("young")] = [0.85, 0.13, 0.02, 0.0]
    table[names.index("thrifty")] = [0.12, 0.22, 0.3, 0.36]
    return _drawn(table, archetype, rng)


def _channels(digital: Reals, rng: Generator) -> Reals:
    """Logits by channel: a person who speaks persuades more than a message; tastes differ."""
    usual = np.array([0.2, 0.0, -0.5, -0.5, -0.2, 0.4, 0.6, 0.7, -0.3])
    by_digital = np.array([0.4, 0.3, 0.0, 0.0, 0.3, -0.3, -0.5, -0.2, 0.1])
    liking = rng.normal(0, 0.3, (len(digital), len(CHANNELS)))
    return np.asarray(usual + digital[:, None] * by_digital + liking)


def _preference(archetype: Ints, products: Products, *, factors: Reals, rng: Generator) -> Tastes:
    likes = np.array(
        [[kind.likes.get(name, _ELSEWHERE) for name in AUDIENCES] for kind in ARCHETYPES.values()]
    )
    mine = likes[archetype] + rng.normal(0, 0.45, (len(archetype), len(AUDIENCES)))
    # An electric car's product pleases nobody who does not like electric cars.
    electric = products.fuel == FUELS.index("electric")
    by_audience = mine @ products.audience + np.outer(
        mine[:, AUDIENCES.index("ev")], 0.4 * electric
    )
    known, hidden, noise = _TASTE
    beyond = rng.normal(size=(len(archetype), _FACTORS)) @ factors
    taste = known * by_audience + hidden * beyond
    taste += noise * rng.standard_normal(taste.shape, dtype=np.float32)
    return taste.astype(np.float32)
