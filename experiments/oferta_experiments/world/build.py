"""The whole world: chunks of customers, each lived month by month and written as it is done."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from numpy.random import Generator, default_rng

from oferta.errors import SettingsInvalid
from oferta.progress import Advance, Progress
from oferta_experiments.world import tables
from oferta_experiments.world.campaigns import Sent
from oferta_experiments.world.contacts import draw_consents
from oferta_experiments.world.folder import TRUTH, new_folder, write_notes, write_table
from oferta_experiments.world.log import DECLARED_TYPES
from oferta_experiments.world.luck import Luck
from oferta_experiments.world.month import live_month
from oferta_experiments.world.observed import attributes
from oferta_experiments.world.opening import open_world
from oferta_experiments.world.people import draw_people, product_factors
from oferta_experiments.world.products import Products, load_products
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.times import first_day, month_of
from oferta_experiments.world.true_tables import (
    campaigns,
    end_state,
    preferences,
    true_customers,
    true_products,
)

CHUNK: Final = 10_000
"""Customers lived at a time. Part of what a seed means: another size would be another world."""
MOST_CUSTOMERS: Final = 9_999_999


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """How many customers, how many months before `end` (the first day of a month), which seed."""

    customers: int
    months: int
    seed: int
    end: date

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.customers <= MOST_CUSTOMERS:
            problems.append(f"customers: {self.customers} is not within 1..{MOST_CUSTOMERS}")
        if not 1 <= self.months <= 240:  # noqa: PLR2004 - twenty years
            problems.append(f"months: {self.months} is not within 1..240")
        if self.end.day != 1:
            problems.append(f"end: {self.end} is not the first day of a month")
        if problems:
            raise SettingsInvalid("world", problems)


@dataclass(slots=True)
class Lived:
    """A chunk after its last month."""

    chunk: Chunk
    sent: Sent
    ids: tables.Numbering
    end: int


def write_world(spec: WorldSpec, out: Path, *, replace: bool, progress: Progress) -> None:
    """Simulate and write everything into `out`.

    Raises:
        SettingsInvalid: `out` holds something else.
    """
    products = load_products()
    parts = -(-spec.customers // CHUNK)
    with (
        new_folder(out, replace=replace) as folder,
        progress.task("customer months", total=spec.customers * spec.months) as advance,
    ):
        write_table(tables.products(products), folder, "products")
        (folder / TRUTH).mkdir()
        write_table(true_products(products), folder / TRUTH, "products")
        for part in range(parts):
            lived = live(spec, part, products=products, advance=advance)
            _write(lived, folder, rng=default_rng([spec.seed, 4, part]))
        write_notes(
            folder,
            source=source_toml(),
            facts={
                "customers": spec.customers,
                "months": spec.months,
                "seed": spec.seed,
                "end": spec.end.isoformat(),
                "chunk": CHUNK,
                "products": len(products),
            },
        )


def live(spec: WorldSpec, part: int, *, products: Products, advance: Advance) -> Lived:
    """Chunk number `part` from its first day to its last."""
    first = part * CHUNK
    count = min(CHUNK, spec.customers - first)
    end = month_of(spec.end)
    days = (int(first_day(end - spec.months)), int(first_day(end)))
    factors = product_factors(products, default_rng([spec.seed, 0]))
    people = draw_people(
        count, products, factors=factors, days=days, rng=default_rng([spec.seed, 1, part])
    )
    consents = draw_consents(people, days=days, rng=default_rng([spec.seed, 2, part]))
    chunk, sent = Chunk.begin(products, people, Luck((spec.seed, 3, part), count)), Sent(consents)
    open_world(chunk, end - spec.months)
    for month in range(end - spec.months, end):
        live_month(chunk, month=month, contact=sent)
        advance(count)
    return Lived(chunk, sent, tables.Numbering(part, first), days[1])


def _write(lived: Lived, folder: Path, *, rng: Generator) -> None:
    chunk, ids, end = lived.chunk, lived.ids, lived.end
    part = ids.part
    write_table(tables.events(chunk, ids, end=end), folder, "events", part)
    write_table(tables.customers(chunk, ids), folder, "customers", part)
    write_table(tables.consent(chunk, ids, lived.sent.consents), folder, "consent", part)
    write_table(tables.contracts(chunk, ids, end=end), folder, "contracts", part)
    write_table(tables.vehicles(chunk, ids, end=end), folder, "vehicles", part)
    write_table(attributes(chunk, ids, end=end, rng=rng), folder, "attributes", part)
    truth = folder / TRUTH
    write_table(true_customers(chunk, ids, end=end), truth, "customers", part)
    write_table(preferences(chunk, ids), truth, "preferences", part)
    write_table(end_state(chunk, ids), truth, "state", part)
    write_table(campaigns(chunk, lived.sent, ids), truth, "campaigns", part)


def source_toml() -> str:
    """The file that declares the event types which are not built in."""
    types = "\n".join(f"{name} = {weight}" for name, weight in DECLARED_TYPES.items())
    return f"# SIMULATED data: see README.md.\n\n[event_types]\n{types}\n"
