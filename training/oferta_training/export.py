"""Reading scores: all of them as one file, or one customer's list."""

import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from oferta.errors import SettingsInvalid
from oferta.events.csv_safety import safe_csv_cell
from oferta.ids import CustomerId
from oferta.scoring.reasons import sentence
from oferta_training.scores import ScoresFolder

_TEXT = ("customer_id", "product_id", "model", "reason", "because")
_FORMATS = (".parquet", ".csv", ".csv.gz", ".ndjson")


@dataclass(frozen=True, slots=True)
class CustomerList:
    """One customer's list as the scores hold it.

    Attributes:
        customer: the id asked for.
        known: whether the customer was scored; if not, `items` is the popular list.
        segment: the customer's segment, if any.
        model: name/version.
        scored_at: ISO instant.
        items: rank, product_id, name, category, score, reason, because, text.
    """

    customer: CustomerId
    known: bool
    segment: str | None
    model: str
    scored_at: str
    items: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "customer_id": self.customer,
            "known": self.known,
            "segment": self.segment,
            "model": self.model,
            "scored_at": self.scored_at,
            "items": list(self.items),
        }


def export_scores(folder: ScoresFolder, out: Path, *, top: int | None) -> int:
    """Write the lists to `out`, streaming; how many rows were written.

    In CSV, text that a spreadsheet would run as a formula is prefixed with `'`. The file appears
    whole or not at all.

    Raises:
        SettingsInvalid: a file name whose ending names no known format, or whose folder is missing.
    """
    ending = next((one for one in reversed(_FORMATS) if out.name.endswith(one)), None)
    if ending is None:
        raise SettingsInvalid(out, [f"the ending must be one of {', '.join(_FORMATS)}"])
    rows = folder.lists()
    if top is not None:
        rows = rows.filter(pl.col("rank") <= top)
    if not out.parent.is_dir():
        raise SettingsInvalid(out, [f"{out.parent} is no folder: make it, or write elsewhere"])
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        _sink(rows, draft, ending)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return int(rows.select(pl.len()).collect().item())


def _sink(rows: pl.LazyFrame, draft: Path, ending: str) -> None:
    if ending == ".parquet":
        rows.sink_parquet(draft)
    elif ending == ".ndjson":
        rows.sink_ndjson(draft)
    else:
        rows.with_columns(safe_csv_cell(name) for name in _TEXT).sink_csv(draft)
    if ending == ".csv.gz":
        plain = draft.with_suffix(".plain")
        draft.rename(plain)
        with plain.open("rb") as read, gzip.open(draft, "wb", compresslevel=6) as write:
            shutil.copyfileobj(read, write, 1 << 20)
        plain.unlink()


def customer_list(folder: ScoresFolder, customer: CustomerId, *, n: int) -> CustomerList:
    """The customer's best `n`; for somebody who was not scored, the popular list."""
    who = folder.customer_rows().filter(pl.col("customer_id") == customer)
    if len(who):
        rows = folder.lists().filter(pl.col("customer_id") == customer, pl.col("rank") <= n)
        found = rows.select("rank", "product_id", "score", "reason", "because").collect()
    else:
        popular = folder.popular_rows().filter(pl.col("segment").is_null(), pl.col("rank") <= n)
        found = popular.select(
            "rank",
            "product_id",
            "score",
            pl.lit("popular").alias("reason"),
            pl.lit(None, pl.String).alias("because"),
        )
    catalogue = folder.product_rows().select("product_id", "name", "category")
    names = dict(catalogue.select("product_id", pl.coalesce("name", "product_id")).iter_rows())
    items = found.join(catalogue, on="product_id", how="left").sort("rank").to_dicts()
    return CustomerList(
        customer=customer,
        known=bool(len(who)),
        segment=who["segment"][0] if len(who) else None,
        model=folder.model,
        scored_at=folder.created_at.isoformat(),
        items=tuple(
            {**item, "text": sentence(item["reason"], names.get(item["because"]))} for item in items
        ),
    )
