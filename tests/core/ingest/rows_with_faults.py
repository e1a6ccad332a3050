"""What the tests of faulty rows share: a good row, and what became of bad ones."""

from collections.abc import Mapping

import pytest
from core.ingest.shops import Shop

from oferta.errors import SourceRefused

HEADER = "customer_id,product_id,event_type,timestamp\n"
GOOD = "c1,p1,purchase,2024-05-01 10:00:00\n"


def reasons(
    shop: Shop,
    rows: str,
    *,
    header: str = HEADER,
    toml: str = "",
    table: str = "events",
    **files: str,
):
    """The reasons of the rejected rows of `rows`, with their row numbers."""
    contents = {"events.csv": HEADER + GOOD, **files}
    contents[f"{table}.csv"] = header + rows
    if toml:
        contents["source.toml"] = toml
    shop.ingest(contents, max_rejected=1.0)
    rejected = shop.dataset().rejected(table)
    if rejected is None:
        return {}
    found = rejected.select("rejected_row", "rejected_reason").collect().sort("rejected_row")
    return dict(found.iter_rows())


def refusal(shop: Shop, files: Mapping[str, str | bytes], **options: object):
    with pytest.raises(SourceRefused) as error:
        shop.ingest(files, **options)
    return error.value.code, str(error.value)
