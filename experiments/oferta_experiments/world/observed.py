"""What systems say of customers: not all of it, and not all the same."""

import numpy as np
import polars as pl
from numpy.random import Generator

from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.loans import TIERS
from oferta_experiments.world.people import CHANNELS, EMPLOYMENTS
from oferta_experiments.world.products import FUELS
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.tables import Numbering, days, named

_CHARGE_AT_HOME = 0.6


def attributes(chunk: Chunk, ids: Numbering, *, end: int, rng: Generator) -> pl.DataFrame:
    """What CRM, surveys, the bureau and partners say of customers: not all, not all the same."""
    people, state = chunk.people, chunk.state
    count = len(people)
    instalment = np.where(state.has_finance(), state.instalment, 0.0)

    def noisy(value: Reals, spread: float) -> pl.Series:
        return _money(value * rng.lognormal(0, spread, count))

    def ago(low: int, high: int) -> Ints:
        return np.maximum(end - rng.integers(low, high, count), people.joined)

    shifted = np.clip(people.tier + rng.integers(-1, 2, count), 0, len(TIERS) - 1)
    other = (people.employment + rng.integers(1, len(EMPLOYMENTS), count)) % len(EMPLOYMENTS)
    liked = np.argmax(people.channel, axis=1)
    told = np.argmax(people.channel + rng.normal(0, 0.4, people.channel.shape), axis=1)
    surveyed = ago(20, 700)
    electric = chunk.products.fuel[state.car] == FUELS.index("electric")
    electric &= state.has_car()
    shy = people.channel[:, CHANNELS.index("app")] < people.channel[:, CHANNELS.index("branch")]
    satisfied = np.clip(np.round(rng.normal(7.2, 2.0, count)), 0, 10).astype(np.int64)
    km_said = rng.lognormal(0, 0.15, count)
    rows: list[tuple[str, str, float, pl.Series, Ints]] = [
        ("income", "crm", 0.9, noisy(people.income * 0.96, 0.1), people.joined),
        ("income", "survey", 0.25, noisy(people.income, 0.18), ago(20, 700)),
        ("income", "partner", 0.1, noisy(people.income * 1.15, 0.25), ago(5, 300)),
        ("spending", "crm", 0.6, noisy(people.spending, 0.12), people.joined),
        ("spending", "survey", 0.3, noisy(people.spending, 0.15), ago(20, 700)),
        ("instalments", "bureau", 0.85, _money(people.others + instalment), ago(1, 35)),
        ("instalments", "survey", 0.12, noisy(people.others * 0.7, 0.1), ago(20, 700)),
        ("risk_tier", "bureau", 0.93, named(TIERS, people.tier), ago(5, 365)),
        ("risk_tier", "bureau", 0.5, named(TIERS, shifted), ago(366, 1000)),
        ("employment", "crm", 0.9, named(EMPLOYMENTS, people.employment), people.joined),
        ("employment", "survey", 0.06, named(EMPLOYMENTS, other), ago(20, 1200)),
        ("channel_preference", "survey", 0.35, named(CHANNELS, liked), ago(20, 700)),
        ("channel_preference", "crm", 0.3, named(CHANNELS, told), people.joined),
        (
            "charges_at_home",
            "survey",
            0.3,
            _said(electric & (rng.random(count) < _CHARGE_AT_HOME)),
            surveyed,
        ),
        ("wants_adviser", "survey", 0.3, _said(shy), surveyed),
        ("satisfaction", "survey", 0.3, pl.Series(satisfied).cast(pl.String), surveyed),
        ("yearly_km", "survey", 0.2, _money(np.round(people.km_year * km_said, -3)), surveyed),
        ("vulnerable", "crm", 0.007, pl.repeat("true", count, eager=True), ago(10, 500)),
    ]
    frames = []
    for name, source, share, value, day in rows:
        who = np.flatnonzero(rng.random(count) < share)
        frames.append(
            pl.DataFrame(
                {
                    "customer_id": ids.customers(who),
                    "name": pl.repeat(name, len(who), eager=True, dtype=pl.String),
                    "value": value.gather(who),
                    "source": pl.repeat(source, len(who), eager=True, dtype=pl.String),
                    "observed_at": days(np.minimum(day, end - 1)[who]),
                }
            )
        )
    key = ["customer_id", "name", "source", "observed_at"]
    # A customer who joined late may have been seen twice on one day: the newer word stands.
    return pl.concat(frames, how="vertical_relaxed").unique(key, keep="first").sort(key)


def _said(flags: Flags) -> pl.Series:
    return pl.Series(np.where(flags, "true", "false"))


def _money(value: Reals) -> pl.Series:
    return pl.Series(np.round(value, 2)).cast(pl.String)
