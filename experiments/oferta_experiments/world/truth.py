"""The truth of a simulated world: what would come of an offer, whoever decides to make it.

    truth = Truth.open(folder)
    response = truth.response("c0000001", "extended-warranty", channel="email", at=instant)
    response.accept, response.value
    response.draw(rng).sold

It knows nothing of the engine: a policy that earns more by this truth has not been helped by it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.random import Generator

from oferta.errors import SettingsInvalid, UnknownName
from oferta_experiments.world.answers import Responses, Shown, respond
from oferta_experiments.world.arrays import Flags, Ints
from oferta_experiments.world.folder import TRUTH, WORLD_FILE
from oferta_experiments.world.moments import Moments, moments, possible
from oferta_experiments.world.people import CHANNELS, People
from oferta_experiments.world.products import CLOCKS, Products, load_products
from oferta_experiments.world.response import chance, unasked_logit
from oferta_experiments.world.state import State
from oferta_experiments.world.times import DAY_S


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an offer, EUR; None: the usual ones. `price` is a year's, or paid once."""

    amount: float | None = None
    months: int | None = None
    rate: float | None = None
    instalment: float | None = None
    price: float | None = None
    excess: float | None = None


USUAL = Terms()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one offer: EUR `earned`, which is negative where the credit defaulted."""

    accepted: bool
    sold: bool
    defaulted: bool
    earned: float


@dataclass(frozen=True, slots=True)
class Response:
    """The chances behind one offer, as `Responses` has them of many."""

    accept: float
    approved: float
    default: float
    margin: float
    loss: float

    @property
    def value(self) -> float:
        """Expected EUR of making the offer."""
        return self.accept * self.approved * (self.margin - self.default * self.loss)

    def draw(self, rng: Generator) -> Answer:
        """One answer. Three draws are taken, whatever comes of them."""
        yes, granted, fails = rng.random(3)
        accepted = bool(yes < self.accept)
        sold = accepted and bool(granted < self.approved)
        defaulted = sold and bool(fails < self.default)
        earned = (-self.loss if defaulted else self.margin) if sold else 0.0
        return Answer(accepted, sold, defaulted, earned)


@dataclass(frozen=True)
class Truth:
    """Customers as they truly are, standing where the world ended."""

    products: Products
    people: People
    state: State
    customers: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path, *, customers: Sequence[str] | None = None) -> Self:
        """The truth of the world in `folder`: of all its customers, or of some.

        Raises:
            SettingsInvalid: `folder` holds no world, or one of other products.
            UnknownName: a customer that the world does not have.
        """
        place = folder / TRUTH
        if not (place / WORLD_FILE).is_file():
            raise SettingsInvalid(folder, ["holds no truth: `oferta world --out DIR` makes one"])
        products = load_products()
        known = pl.read_parquet(place / "products.parquet")["product_id"].to_list()
        if known != products.ids:
            raise SettingsInvalid(folder, ["was made with other products: make it again"])

        def table(name: str) -> pl.DataFrame:
            frame = pl.scan_parquet(place / name / "*.parquet")
            if customers is not None:
                frame = frame.filter(pl.col("customer_id").is_in(list(customers)))
            return frame.collect()

        people, state = table("customers"), table("state")
        ids = tuple(people["customer_id"].to_list())
        for missing in set(customers or ()) - set(ids):
            raise UnknownName("customer", missing, ids)
        return cls(products, _people(people, table("preferences")), State.of_frame(state), ids)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Customer id -> row."""
        return {customer: row for row, customer in enumerate(self.customers)}

    def row(self, customer_id: str) -> int:
        """The row of a customer.

        Raises:
            UnknownName: there is no such customer.
        """
        try:
            return self.rows[customer_id]
        except KeyError:
            raise UnknownName("customer", customer_id, self.customers[:50]) from None

    def preference(self, customer_id: str) -> dict[str, float]:
        """True taste by product id: logits, standard deviation about one."""
        tastes = self.people.preference[self.row(customer_id)]
        return {name: float(taste) for name, taste in zip(self.products.ids, tastes, strict=True)}

    def response(
        self,
        customer_id: str,
        product: str,
        *,
        channel: str,
        at: datetime,
        terms: Terms = USUAL,
        contacts: float | None = None,
    ) -> Response:
        """What would come of offering `product` at the aware instant `at`, from the end on.

        `contacts`: how many contacts there were of late (each counts half a month later); None:
        those of the world's last months.

        Raises:
            UnknownName: of the customer, the product or the channel.
        """
        if product not in self.products.ids:
            raise UnknownName("product", product, self.products.ids)
        if channel not in CHANNELS:
            raise UnknownName("channel", channel, CHANNELS)
        row = np.array([self.row(customer_id)])
        state = self.state.taken(row)
        if contacts is not None:
            state.contacts[:] = contacts
        day = _day(at)
        at_day = moments(state, self.products, day)
        shown = Shown(
            **{
                field.name: np.array(
                    [np.nan if (value := getattr(terms, field.name)) is None else value], np.float64
                )
                for field in fields(Shown)
            }
        )
        found = respond(
            self.products,
            _some(self.people, row),
            state,
            at=at_day,
            can=possible(state, self.products, at_day, day),
            day=day,
            who=np.array([0]),
            product=np.array([self.products.at(product)]),
            channel=np.array([CHANNELS.index(channel)]),
            shown=shown,
        )
        return Response(**{f.name: float(getattr(found, f.name)[0]) for f in fields(Responses)})

    def on(self, at: datetime) -> tuple[Moments, Flags]:
        """Moments and possibilities of every customer on the day of `at`, for `respond`."""
        day = _day(at)
        found = moments(self.state, self.products, day)
        return found, possible(self.state, self.products, found, day)

    def unasked(self, customer_id: str, *, at: datetime) -> dict[str, float]:
        """Product id -> chance that they take it within a month without being offered it.

        Cars and their finance are not among them: those come of looking for a car.
        """
        row = np.array([self.row(customer_id)])
        state, day = self.state.taken(row), _day(at)
        found = moments(state, self.products, day)
        logit = unasked_logit(self.products, _some(self.people, row), at=found)[0]
        takes = np.where(possible(state, self.products, found, day)[0], chance(logit), 0.0)
        asked = ~self.products.of_family("car") & (self.products.clock != CLOCKS.index("purchase"))
        return {
            name: float(one)
            for name, one, listed in zip(self.products.ids, takes, asked, strict=True)
            if listed
        }


def world_facts(folder: Path) -> dict[str, object]:
    """What `truth/world.json` says: customers, months, seed, end.

    Raises:
        SettingsInvalid: `folder` holds no world.
    """
    path = folder / TRUTH / WORLD_FILE
    if not path.is_file():
        raise SettingsInvalid(folder, ["holds no simulated world: `oferta world` makes one"])
    facts: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _day(at: datetime) -> int:
    return int(at.timestamp() // DAY_S)


def _people(frame: pl.DataFrame, preferences: pl.DataFrame) -> People:
    columns = {
        field.name: frame[field.name].to_numpy()
        for field in fields(People)
        if field.name not in {"channel", "preference"}
    }
    channel = frame.select(f"channel_{name}" for name in CHANNELS).to_numpy()
    return People(**columns, channel=channel, preference=preferences["preference"].to_numpy())


def _some(people: People, rows: Ints) -> People:
    return People(**{field.name: getattr(people, field.name)[rows] for field in fields(People)})
