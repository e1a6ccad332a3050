"""The products of the world as arrays: what they are, whom they please, when they are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Annotated, Final, Literal, get_args

import numpy as np
from pydantic import Field

from oferta.catalogue.families import FAMILIES, Family
from oferta.catalogue.texts import Text
from oferta.settings import Settings, load
from oferta_experiments.world.arrays import Flags, Ints, Reals

Audience = Literal[
    "suv",
    "commuter",
    "ev",
    "ride_hailing",
    "family",
    "budget",
    "premium",
    "new",
    "used",
    "commercial",
    "digital",
]
Clock = Literal[
    "none",
    "balloon_due",
    "insurance_renewal",
    "warranty_end",
    "equity_positive",
    "service_plan_end",
    "maturity",
    "purchase",
    "arrears",
]
Need = Literal["none", "vehicle", "finance", "balloon", "arrears", "purchase"]

AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)
BOUGHT: Final = "bought"
"""The moment of insurance and services whose clock is `purchase`: a car was just bought."""
CLOCKS: Final[tuple[str, ...]] = (*get_args(Clock), BOUGHT)
NEEDS: Final[tuple[Need, ...]] = get_args(Need)
BODIES: Final = ("", "saloon", "suv", "pickup", "luxury", "commercial", "electric")
FUELS: Final = ("", "petrol", "diesel", "hybrid", "electric")
CONDITIONS: Final = ("", "new", "used")
ONCE_PER: Final = ("any", "year", "vehicle", "customer")

MOTOR: Final = frozenset(
    {
        "motor-liability-insurance",
        "comprehensive-insurance",
        "comprehensive-plus-insurance",
        "electric-car-insurance",
        "ride-hailing-insurance",
        "commercial-vehicle-insurance",
    }
)
"""Covers of which a car has one, with us or with somebody else."""


class Sim(Settings):
    """What only the simulator may know of a product."""

    weight: Annotated[float, Field(gt=0, le=1)]
    audience: tuple[Audience, ...] = Field(min_length=1)
    clock: Clock
    needs: Need


class ProductSpec(Settings):
    """One product of `products.toml`."""

    id: str
    name: Text
    family: Family
    kind: str
    repeatable: bool
    once_per: Literal["any", "year", "vehicle", "customer"]
    price: Annotated[float, Field(ge=0)]
    months: Annotated[int, Field(ge=0)]
    make: str | None = None
    body: Literal["saloon", "suv", "pickup", "luxury", "commercial", "electric"] | None = None
    fuel: Literal["petrol", "diesel", "hybrid", "electric"] | None = None
    condition: Literal["new", "used"] | None = None
    sim: Sim


class _ProductsFile(Settings):
    products: tuple[ProductSpec, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Products:
    """All products by position, `P` of them.

    Attributes:
        family, body, fuel, condition, once_per, clock, needs: `(P,)` positions in the tuples of
            this module; 0 of body, fuel and condition means any.
        price: EUR as `products.toml` says; months: the typical term, 0 where there is none.
        weight: base popularity in its family. audience: `(audiences, P)`, each column's squares
            sum to 1.
        motor: which ones are covers of which a car has one.
    """

    specs: tuple[ProductSpec, ...]
    family: Ints
    body: Ints
    fuel: Ints
    condition: Ints
    once_per: Ints
    clock: Ints
    needs: Ints
    price: Reals
    months: Ints
    weight: Reals
    audience: Reals
    motor: Flags

    @property
    def ids(self) -> list[str]:
        """Product ids by position."""
        return [spec.id for spec in self.specs]

    def __len__(self) -> int:
        return len(self.specs)

    def at(self, product: str) -> int:
        """The position of a product id; KeyError where there is none."""
        for place, spec in enumerate(self.specs):
            if spec.id == product:
                return place
        raise KeyError(product)

    def of_family(self, *names: Family) -> Flags:
        """`(P,)`: which products are of these families."""
        return np.isin(self.family, [FAMILIES.index(name) for name in names])

    def of_kind(self, *kinds: str) -> Flags:
        """`(P,)`: which products are repaid or paid so."""
        return np.array([spec.kind in kinds for spec in self.specs])


def load_products() -> Products:
    """The products of the world's own file."""
    with as_file(files("oferta_experiments.world") / "products.toml") as path:
        return as_arrays(load(path, _ProductsFile).products)


def as_arrays(specs: Sequence[ProductSpec]) -> Products:
    """The same as arrays."""
    audience = np.zeros((len(AUDIENCES), len(specs)))
    for place, spec in enumerate(specs):
        for name in spec.sim.audience:
            audience[AUDIENCES.index(name), place] = len(spec.sim.audience) ** -0.5
    return Products(
        specs=tuple(specs),
        family=_positions([spec.family for spec in specs], FAMILIES),
        body=_positions([spec.body or "" for spec in specs], BODIES),
        fuel=_positions([spec.fuel or "" for spec in specs], FUELS),
        condition=_positions([spec.condition or "" for spec in specs], CONDITIONS),
        once_per=_positions([spec.once_per for spec in specs], ONCE_PER),
        clock=_positions([_clock(spec) for spec in specs], CLOCKS),
        needs=_positions([spec.sim.needs for spec in specs], NEEDS),
        price=np.array([spec.price for spec in specs]),
        months=np.array([spec.months for spec in specs], np.int64),
        weight=np.array([spec.sim.weight for spec in specs]),
        audience=audience,
        motor=np.array([spec.id in MOTOR for spec in specs]),
    )


def _clock(spec: ProductSpec) -> str:
    with_a_car = spec.sim.clock == "purchase" and spec.family in {"insurance", "service"}
    return BOUGHT if with_a_car else spec.sim.clock


def _positions(values: Sequence[str], names: Sequence[str]) -> Ints:
    return np.array([names.index(value) for value in values], np.int64)
