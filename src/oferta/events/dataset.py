"""A dataset on disk, opened: its tables as lazy frames and what is known of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import polars as pl

from oferta.clock import Clock
from oferta.columns import (
    ATTRIBUTES,
    CONSENT,
    CONTRACTS,
    CUSTOMERS,
    EVENTS,
    PRODUCTS,
    TABLES,
    VEHICLES,
)
from oferta.errors import SourceRefused
from oferta.events.erasing import scrub_dataset
from oferta.events.forgotten import Forgotten
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest_inspected
from oferta.events.inspected import inspect_source
from oferta.events.manifest import FORMAT, DatasetManifest, Order, read_manifest
from oferta.events.types import EventType, event_types
from oferta.privacy.folders import note_folder
from oferta.progress import Progress

_FROM_TEXT: Final[Mapping[str, pl.DataType]] = MappingProxyType(
    {"Int64": pl.Int64(), "Float64": pl.Float64(), "Boolean": pl.Boolean(), "Date": pl.Date()}
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Validated events, products and customers. Cheap to hold: nothing is read until collected.

    Attributes:
        left_out: customers of whom no table has a row, whatever is stored of them.
    """

    path: Path
    manifest: DatasetManifest
    left_out: frozenset[str] = field(default=frozenset(), kw_only=True)

    def without(self, customer_ids: Collection[str]) -> Self:
        """The same dataset as if these customers did not exist."""
        return replace(self, left_out=self.left_out | frozenset(customer_ids))

    def events(self) -> pl.LazyFrame:
        """The columns of `EVENTS` in their order, then attributes; rows in the source's order."""
        return self._table(EVENTS.name)

    def products(self) -> pl.LazyFrame:
        """The columns of `PRODUCTS`, then attributes. From the events where there was no table."""
        return self._table(PRODUCTS.name)

    def customers(self) -> pl.LazyFrame:
        """The columns of `CUSTOMERS`, then attributes. From the events where there was no table."""
        return self._table(CUSTOMERS.name)

    def consent(self) -> pl.LazyFrame | None:
        """The columns of `CONSENT`, then attributes; None when the source keeps no consent."""
        return self._optional(CONSENT.name)

    def contracts(self) -> pl.LazyFrame | None:
        """The columns of `CONTRACTS`, then attributes; None where the source has no such table."""
        return self._optional(CONTRACTS.name)

    def vehicles(self) -> pl.LazyFrame | None:
        """The columns of `VEHICLES`, then attributes; None where the source has no such table."""
        return self._optional(VEHICLES.name)

    def attributes(self) -> pl.LazyFrame | None:
        """The columns of `ATTRIBUTES`, then further columns; None where there is no such table."""
        return self._optional(ATTRIBUTES.name)

    def rejected(self, table: str) -> pl.LazyFrame | None:
        """The rejected rows of `table` with file, row, reason and cells as text; None when none."""
        entry = self.manifest.tables.get(table)
        if entry is None or entry.rejected_file is None:
            return None
        return pl.scan_parquet(self._data / entry.rejected_file, glob=False)

    @property
    def fingerprint(self) -> str:
        """Hash over the accepted tables: equal means equal input to training."""
        return self.manifest.fingerprint

    @property
    def order(self) -> Order:
        """What the events can be ordered by."""
        return self.manifest.order

    @property
    def event_types(self) -> dict[str, EventType]:
        """Every type by name: built in, declared, or only seen."""
        return {
            **event_types(),
            **{entry.name: entry.event_type() for entry in self.manifest.event_types},
        }

    @property
    def _data(self) -> Path:
        return self.path / self.manifest.data

    def _optional(self, name: str) -> pl.LazyFrame | None:
        return self._table(name) if name in self.manifest.tables else None

    def _table(self, name: str) -> pl.LazyFrame:
        entry = self.manifest.tables[name]
        rows = pl.scan_parquet([self._data / file.name for file in entry.files], glob=False)
        attributes = [
            _from_text(attribute, entry.from_text.get(attribute)) for attribute in entry.attributes
        ]
        names = TABLES[name].names
        if self.left_out and "customer_id" in names:
            gone = pl.Series(sorted(self.left_out), dtype=pl.String).implode()
            rows = rows.filter(~pl.col("customer_id").is_in(gone))
        return rows.select(*names, *attributes)


def _from_text(name: str, dtype: str | None) -> pl.Expr:
    if dtype is None:
        return pl.col(name)
    if dtype == "Boolean":
        return pl.col(name) == "true"
    if dtype == "Date":
        return pl.col(name).str.to_date("%Y-%m-%d")
    return pl.col(name).cast(_FROM_TEXT[dtype])


def open_dataset(
    path: Path,
    *,
    home: Path,
    clock: Clock,
    progress: Progress,
    forgotten: Forgotten | None = None,
) -> Dataset:
    """The dataset at `path`; an ordinary source is ingested first, once for the same content.

    `home` is the state folder; ingested sources are kept under `home/datasets/`. Of some ids,
    `forgotten` gives those of customers who were forgotten: they are taken out of the dataset.

    Raises:
        SourceRefused: `path` is neither a dataset nor a source that can be taken.
        SettingsInvalid: its `source.toml` is wrong.
    """
    if read_manifest(path) is not None:
        if forgotten is not None:
            scrub_dataset(path, forgotten)
        manifest = read_manifest(path)
        if manifest is not None:
            note_folder(home, "dataset", path)
            return _opened(path, manifest)
    options = IngestOptions(forgotten=forgotten)
    source = inspect_source(path, options, progress=progress)
    kept = home / "datasets" / source.fingerprint[:16]
    report = ingest_inspected(source, kept, options=options, clock=clock, progress=progress)
    return _opened(kept, report.manifest)


def _opened(path: Path, manifest: DatasetManifest) -> Dataset:
    if manifest.format != FORMAT:
        raise SourceRefused(
            "dataset.format",
            path,
            f"has format {manifest.format} and this version reads {FORMAT}",
            remedy="Ingest the source again with --replace.",
        )
    for entry in manifest.tables.values():
        for file in entry.files:
            stored = path / manifest.data / file.name
            if not stored.is_file() or stored.stat().st_size != file.bytes:
                raise SourceRefused(
                    "dataset.format",
                    stored,
                    "is missing or has another size than the manifest says",
                    remedy="Ingest the source again with --replace.",
                )
    return Dataset(path, manifest)
