"""Parquet tables without a customer: rewritten beside and put in place by one rename."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import polars as pl

from oferta.durable import sync

CUSTOMER: Final = "customer_id"


def holds_customer(path: Path, customer_id: str) -> bool:
    """Whether a table has a row of the customer; one without such a column has none."""
    return _count(_theirs(path, customer_id)) > 0


def rows_of(path: Path, customer_id: str) -> list[dict[str, object]]:
    """The customer's rows as plain values."""
    rows = _theirs(path, customer_id)
    return [] if rows is None else rows.collect(engine="streaming").to_dicts()


def take_out(path: Path, customer_id: str) -> int:
    """Rewrite a table without the customer's rows, in their order; how many went."""
    went = _count(_theirs(path, customer_id))
    if went:
        kept = pl.scan_parquet(path, glob=False).filter(pl.col(CUSTOMER).ne_missing(customer_id))
        replace_table(path, kept)
    return went


def replace_table(path: Path, rows: pl.LazyFrame) -> None:
    """Put `rows` in place of the table at `path`: whole or not at all, and on disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.erasing")
    try:
        rows.sink_parquet(draft, compression="zstd", compression_level=1, maintain_order=True)
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def customers_in(paths: Iterable[Path]) -> set[str]:
    """Every customer who has a row in any of these tables."""
    found: set[str] = set()
    for path in paths:
        rows = pl.scan_parquet(path, glob=False)
        if CUSTOMER in rows.collect_schema().names():
            ids = rows.select(pl.col(CUSTOMER).cast(pl.String).unique().drop_nulls())
            found |= set(ids.collect(engine="streaming")[CUSTOMER])
    return found


def _theirs(path: Path, customer_id: str) -> pl.LazyFrame | None:
    rows = pl.scan_parquet(path, glob=False)
    if CUSTOMER not in rows.collect_schema().names():
        return None
    return rows.filter(pl.col(CUSTOMER) == customer_id)


def _count(rows: pl.LazyFrame | None) -> int:
    return 0 if rows is None else int(rows.select(pl.len()).collect(engine="streaming").item())
