"""Which products are on sale at an instant: `[starts_at, ends_at)` and active."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from oferta.catalogue.products import offerable, repeatable, status
from oferta.columns import PRODUCTS

START = datetime(2024, 5, 1, tzinfo=UTC)
END = datetime(2024, 6, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "sold"),
    [(START - TICK, False), (START, True), (END - TICK, True), (END, False)],
)
def test_the_first_instant_is_in_and_the_last_is_out(at: datetime, sold: bool):
    rows = [
        {"product_id": "dated", "starts_at": START, "ends_at": END},
        {"product_id": "open"},
        {"product_id": "hidden", "status": "hidden"},
    ]
    products = pl.DataFrame(rows, schema=PRODUCTS.schema())
    assert products.select(offerable(at)).to_series().to_list() == [sold, True, False]


def test_what_is_not_stated_is_active_and_repeatable():
    rows = [{"product_id": "p"}, {"product_id": "q", "status": "paused", "repeatable": False}]
    products = pl.DataFrame(rows, schema=PRODUCTS.schema())
    found = products.select(status(), repeatable()).rows()
    assert found == [("active", True), ("paused", False)]
