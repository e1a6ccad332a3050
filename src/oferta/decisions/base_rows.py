"""One customer of the base as a decision knows them."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from oferta.decisions.base_batch import CUSTOMER
from oferta.decisions.request import Customer, FactValue, Propensity
from oferta.profile.facts import FACTS

_REASON: Final = "popular"
"""Why a product was scored is not in the base; nothing but a reason's words hangs on it."""


def customers_of(wide: pl.DataFrame, products: Sequence[str]) -> Iterator[tuple[str, Customer]]:
    """Ids and customers of wide rows; `products`: ids by position in `probability` and `score`."""
    dates = [
        name
        for name, dtype in wide.schema.items()
        if dtype == pl.Date or (name in FACTS and FACTS[name].kind == "date")
    ]
    frame = wide.with_columns(pl.col(dates).cast(pl.Int32).cast(pl.Float64))
    for row in frame.iter_rows(named=True):
        chances, scores = row.pop("probability"), row.pop("score")
        customer = row.pop(CUSTOMER)
        facts: dict[str, FactValue] = {
            name: value for name, value in row.items() if value is not None
        }
        propensities = {
            product: Propensity(chance, score, _REASON, None)
            for product, chance, score in zip(products, chances, scores, strict=True)
            if score is not None
        }
        yield customer, Customer(facts, propensities)
