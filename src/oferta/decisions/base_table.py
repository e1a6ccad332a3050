"""The whole base as batch scoring left it: one wide row a customer, and the products' base rates.

    <scores folder>/manifest.json              what it is, written last
                    products.parquet           products by position, with `base_rate`
                    base/part-00000.parquet    customer_id, facts, attributes, probability, score

Read for audiences, triggers and what-ifs; it sees customers as the last scoring did.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from oferta.errors import SourceRefused

_MANIFEST: Final = "manifest.json"
_PART = re.compile(r"base/[A-Za-z0-9_-]+\.parquet")
_REMEDY: Final = "Score again with --profiles."
_BESIDES: Final = frozenset({"evidence"})


@dataclass(frozen=True, slots=True)
class BaseTable:
    """One scores folder that has wide rows.

    Attributes:
        parts: files of the wide rows, customers ascending over them.
        customers: how many.
        as_of: the instant that the facts describe; created_at: when the scoring ended.
        model: name/version of what scored.
        products: ids by position in `probability` and `score`.
        base_rates: by product id, how likely anybody takes it; products without one are left out.
        said: `customer_id` and Booleans of facts of consent, null where nothing was said: what
            customers have said since; None: nothing.
    """

    folder: Path
    parts: tuple[Path, ...]
    customers: int
    as_of: datetime
    created_at: datetime
    model: str
    products: tuple[str, ...]
    base_rates: Mapping[str, float]
    said: pl.DataFrame | None = None

    @classmethod
    def open(cls, folder: Path) -> "BaseTable":
        """The table in `folder`; its files are not hashed.

        Raises:
            SourceRefused: `scores.unfinished`, `scores.manifest`, or `scores.base`: it has no wide
                rows, or not every product in them.
        """
        manifest = folder / _MANIFEST
        if not manifest.is_file():
            raise SourceRefused(
                "scores.unfinished", folder, f"has no {_MANIFEST}: never finished", remedy=_REMEDY
            )
        try:
            fields = json.loads(manifest.read_text(encoding="utf-8"))
            base = fields["base"]
            created_at = datetime.fromisoformat(fields["created_at"])
            model, customers = str(fields["model"]), int(fields["customers"])
            if base is None or not base["by_product"]:
                raise SourceRefused(
                    "scores.base", folder, "has no wide rows of every product", remedy=_REMEDY
                )
            parts = tuple(_part(folder, str(name)) for name in base["parts"])
            as_of = datetime.fromisoformat(base["as_of"])
        except (ValueError, KeyError, TypeError):
            raise SourceRefused(
                "scores.manifest", manifest, "is not a manifest of scores", remedy=_REMEDY
            ) from None
        products = pl.read_parquet(folder / "products.parquet", columns=["product_id", "base_rate"])
        rates = zip(products["product_id"], products["base_rate"], strict=True)
        return cls(
            folder=folder,
            parts=parts,
            customers=customers,
            as_of=as_of,
            created_at=created_at,
            model=model,
            products=tuple(products["product_id"]),
            base_rates={product: float(rate) for product, rate in rates if rate is not None},
        )

    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """The wide rows in order, so many at a time: memory stays bounded."""
        waiting: list[pl.DataFrame] = []
        count = 0
        for part in self.parts:
            wide = pl.scan_parquet(part, glob=False)
            names = [name for name in wide.collect_schema().names() if name not in _BESIDES]
            frame = self._heard(wide.select(names).collect())
            waiting.append(frame)
            count += len(frame)
            while count >= rows:
                whole = pl.concat(waiting, rechunk=True)
                yield whole[:rows]
                waiting, count = [whole[rows:]], count - rows
        if count:
            yield pl.concat(waiting, rechunk=True)

    def rows_of(self, customers: Sequence[str]) -> pl.DataFrame:
        """The wide rows of these customers, in the base's order; who is not in it is left out."""
        wide = pl.scan_parquet(list(self.parts), glob=False)
        names = [name for name in wide.collect_schema().names() if name not in _BESIDES]
        wanted = pl.Series(customers, dtype=pl.String)
        rows = wide.select(names).filter(pl.col("customer_id").is_in(wanted.implode())).collect()
        return self._heard(rows)

    def _heard(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the consent that was said since in place of what was known before."""
        if self.said is None:
            return rows
        names = [name for name in self.said.columns if name != "customer_id"]
        newer = {name: f"{name} since" for name in names}
        before = [pl.col(name) if name in rows.columns else pl.lit(None) for name in names]
        return (
            rows.join(self.said.rename(newer), on="customer_id", how="left", maintain_order="left")
            .with_columns(
                pl.coalesce(newer[name], was).cast(pl.Boolean).alias(name)
                for name, was in zip(names, before, strict=True)
            )
            .drop(newer.values())
        )


def newest_base(scores: Path) -> Path:
    """The folder under `scores` whose scoring ended last and that has wide rows.

    Raises:
        SourceRefused: `scores.none`: there is no such folder.
    """
    found: list[tuple[datetime, Path]] = []
    for manifest in scores.glob(f"*/{_MANIFEST}"):
        try:
            table = BaseTable.open(manifest.parent)
        except (SourceRefused, OSError, pl.exceptions.PolarsError):
            continue
        found.append((table.created_at, table.folder))
    if not found:
        raise SourceRefused(
            "scores.none",
            scores,
            "no scoring here has profiles",
            remedy="Run `oferta score JOB --profiles`, or name a folder of scores.",
        )
    return max(found)[1]


def _part(folder: Path, name: str) -> Path:
    """A file of wide rows; ValueError of any other."""
    if not _PART.fullmatch(name):
        raise ValueError("a part outside the folder")
    return folder / name
