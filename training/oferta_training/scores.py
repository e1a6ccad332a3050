"""The scores folder: what batch scoring writes, and what releases, exports and audiences read.

    scores/<name>/
      part-00000.parquet ...   columns.SCORES, sorted by customer_id then rank; whole customers a
                               part, customers ascending over the parts
      customers.parquet        every customer that was scored, ascending, with or without a list
      base/part-00000.parquet  one wide row a customer, for the customers of the part of that name:
                               `whole_base`; where profiles were wanted
      live/...                 what lets a release follow what customers do: `live_part`
      products.parquet         columns.PRODUCTS as they were when scored, and `base_rate`: how
                               likely anybody chooses it
      popular.parquet          the most wanted products, of each segment and of everybody
      similar.parquet          the products nearest to each product
      manifest.json            what made it, and size and SHA-256 of every file; written last

A folder without a manifest was not finished, and is refused.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from oferta import columns
from oferta.durable import replaced
from oferta.errors import SourceRefused
from oferta_training.live_part import LivePart
from oferta_training.whole_base import Base

MANIFEST = "manifest.json"
DRAFT = ".draft-"
"""What the names of folders begin with that are not finished."""
SCHEMA_VERSION = 2

CUSTOMERS = pl.Schema(
    {
        "customer_id": pl.String(),
        "segment": pl.String(),  # null: none
        "held": pl.List(pl.String()),  # products the customer has that may not be offered again
        "cold": pl.Boolean(),  # nothing was known of the customer's past
    }
)
POPULAR = pl.Schema(
    {
        "segment": pl.String(),  # null: everybody
        "product_id": pl.String(),
        "score": pl.Float32(),
        "rank": pl.UInt32(),  # from 1
    }
)
SIMILAR = pl.Schema(
    {
        "product_id": pl.String(),
        "similar_id": pl.String(),
        "score": pl.Float32(),
        "rank": pl.UInt32(),  # from 1
    }
)

TABLES: Mapping[str, pl.Schema] = {
    "customers.parquet": CUSTOMERS,
    "products.parquet": columns.PRODUCTS.schema(),
    "popular.parquet": POPULAR,
    "similar.parquet": SIMILAR,
}
"""Every table but the parts, with the columns it has at least."""

_REMEDY = "Score again."


def finished(home: Path) -> list[Path]:
    """The finished scores of a state folder, the newest first."""
    ages = {}
    for manifest in (home / "scores").glob(f"*/{MANIFEST}"):
        if not manifest.parent.name.startswith(DRAFT):
            with suppress(FileNotFoundError):  # a scoring has just forgotten it
                ages[manifest.parent] = manifest.stat().st_mtime_ns
    return sorted(ages, key=lambda folder: ages[folder], reverse=True)


def part_name(number: int) -> str:
    """The name of a part by its number, from 0."""
    return f"part-{number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class ScoresFolder:
    """A finished scores folder whose files are the ones its manifest names.

    Attributes:
        path: the folder.
        model: name/version of the registered model.
        model_run: the tracked run that made it.
        trained_at: end of the data that the model has seen.
        created_at: when the scoring ended.
        dataset: fingerprint of the dataset that was scored.
        dataset_at: when that dataset was ingested: a release never replaces one of a newer dataset.
        top_n: the longest list.
        release_n: of every list, so many are published; the rest is for exports and analysis.
        customers, products, suggestions: how many rows of each kind.
        parts: names of the parts, in order.
        base: the wide rows; None where there are none.
        live: what follows events; None where there is nothing of it.
        covered: of each shard of events the position up to which the dataset held them, "" where
            that is not known; empty: of no shard.
    """

    path: Path
    model: str
    model_run: str
    trained_at: datetime
    created_at: datetime
    dataset: str
    dataset_at: datetime
    top_n: int
    release_n: int
    customers: int
    products: int
    suggestions: int
    parts: tuple[str, ...]
    base: Base | None = None
    live: LivePart | None = None
    covered: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> "ScoresFolder":
        """The folder at `path`, after every file was hashed: seconds for a million customers.

        Raises:
            SourceRefused: `scores.unfinished` (no manifest), `scores.manifest` (not ours), or
                `scores.altered` (a file is missing, or is another one than was written).
        """
        folder, files = _read(path)
        wide = () if folder.base is None else folder.base.parts
        live = () if folder.live is None else folder.live.files
        for name in sorted({*TABLES, *folder.parts, *wide, *live}):
            _check_file(path / name, files.get(name))
        return folder

    @classmethod
    def glance(cls, path: Path) -> "ScoresFolder":
        """The folder at `path` by its manifest alone; its files are not looked at.

        Raises:
            SourceRefused: `scores.unfinished` or `scores.manifest`.
        """
        return _read(path)[0]

    @property
    def published(self) -> int:
        """How many suggestions a release of these scores holds at most."""
        return min(self.suggestions, self.customers * self.release_n)

    def lists(self) -> pl.LazyFrame:
        """All lists: columns.SCORES, sorted by customer and rank."""
        if not self.parts:
            return pl.LazyFrame(schema=columns.SCORES)
        return pl.scan_parquet([self.path / name for name in self.parts])

    def part(self, name: str) -> pl.DataFrame:
        """One part: columns.SCORES."""
        return pl.read_parquet(self.path / name, columns=columns.SCORES.names())

    def wide(self) -> pl.LazyFrame:
        """One row a customer, ascending: facts, attributes, `evidence`, and by product.

        Raises:
            SourceRefused: `scores.base`: they were scored without profiles.
        """
        if self.base is None:
            raise SourceRefused(
                "scores.base", self.path, "has no profiles", remedy="Score again with --profiles."
            )
        return pl.scan_parquet([self.path / name for name in self.base.parts], glob=False)

    def customer_rows(self) -> pl.DataFrame:
        """Every customer that was scored: CUSTOMERS."""
        return pl.read_parquet(self.path / "customers.parquet")

    def product_rows(self) -> pl.DataFrame:
        """The catalogue as it was: columns.PRODUCTS and attributes."""
        return pl.read_parquet(self.path / "products.parquet")

    def popular_rows(self) -> pl.DataFrame:
        """The popular lists: POPULAR."""
        return pl.read_parquet(self.path / "popular.parquet")

    def similar_rows(self) -> pl.DataFrame:
        """The similar products: SIMILAR."""
        return pl.read_parquet(self.path / "similar.parquet")


def write_manifest(
    path: Path,
    *,
    model: str,
    model_run: str,
    trained_at: datetime,
    created_at: datetime,
    dataset: str,
    dataset_at: datetime,
    top_n: int,
    release_n: int | None = None,
    base: Base | None = None,
    live: LivePart | None = None,
    covered: Sequence[str] = (),
) -> ScoresFolder:
    """Finish the folder at `path`: check its tables, hash its files, write the manifest last.

    See `ScoresFolder` for what the values mean; `release_n` None: whole lists are published. The
    parts are all `part-*.parquet` of the folder; `base` tells what the wide rows are, if any.

    Raises:
        SourceRefused: `scores.columns` (a table lacks a column or has another type), or
            `scores.altered` (a table is missing).
    """
    parts = sorted(file.name for file in path.glob("part-*.parquet"))
    wanted = {**TABLES, **dict.fromkeys(parts, columns.SCORES)}
    for name, schema in wanted.items():
        _check_columns(path / name, schema)
    suggestions = sum(_rows(path / name) for name in parts)
    wide = () if base is None else base.parts
    following = () if live is None else live.files
    fields: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "model": model,
        "model_run": model_run,
        "trained_at": trained_at.astimezone(UTC).isoformat(),
        "created_at": created_at.astimezone(UTC).isoformat(),
        "dataset": dataset,
        "dataset_at": dataset_at.astimezone(UTC).isoformat(),
        "top_n": top_n,
        "release_n": top_n if release_n is None else release_n,
        "customers": _rows(path / "customers.parquet"),
        "products": _rows(path / "products.parquet"),
        "suggestions": suggestions,
        "parts": parts,
        "base": None if base is None else base.as_json(),
        "live": None if live is None else live.as_json(),
        "covered": list(covered),
        "files": {name: _facts(path / name) for name in (*wanted, *wide, *following)},
    }
    with replaced(path / MANIFEST) as file:
        file.write(json.dumps(fields, indent=1).encode())
    return _folder(path, fields)


def _read(path: Path) -> tuple[ScoresFolder, dict[str, dict[str, Any]]]:
    """What the manifest at `path` says of the folder, and of its files."""
    manifest = path / MANIFEST
    if not manifest.is_file():
        raise SourceRefused(
            "scores.unfinished", path, f"has no {MANIFEST}: never finished", remedy=_REMEDY
        )
    try:
        fields = json.loads(manifest.read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = fields["files"]
        return _folder(path, fields), files
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceRefused(
            "scores.manifest", manifest, "is not a manifest of scores", remedy=_REMEDY
        ) from None


def _folder(path: Path, fields: Mapping[str, Any]) -> ScoresFolder:
    if fields["schema"] != SCHEMA_VERSION:
        raise ValueError("another schema")
    parts = tuple(str(name) for name in fields["parts"])
    if any(Path(name).name != name for name in parts):
        raise ValueError("a part outside the folder")
    return ScoresFolder(
        path=path,
        model=str(fields["model"]),
        model_run=str(fields["model_run"]),
        trained_at=datetime.fromisoformat(fields["trained_at"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        dataset=str(fields["dataset"]),
        dataset_at=datetime.fromisoformat(fields["dataset_at"]),
        top_n=int(fields["top_n"]),
        release_n=int(fields["release_n"]),
        customers=int(fields["customers"]),
        products=int(fields["products"]),
        suggestions=int(fields["suggestions"]),
        parts=parts,
        base=None if fields.get("base") is None else Base.of_json(fields["base"]),
        live=None if fields.get("live") is None else LivePart.of_json(fields["live"]),
        covered=tuple(str(position) for position in fields.get("covered", ())),
    )


def _check_file(file: Path, facts: Mapping[str, Any] | None) -> None:
    if facts is None or not file.is_file():
        raise SourceRefused("scores.altered", file, "is missing", remedy=_REMEDY)
    if file.stat().st_size != facts.get("bytes") or _sha256(file) != facts.get("sha256"):
        raise SourceRefused(
            "scores.altered", file, "is not the file that the manifest names", remedy=_REMEDY
        )


def _check_columns(file: Path, schema: pl.Schema) -> None:
    if not file.is_file():
        raise SourceRefused("scores.altered", file, "is missing", remedy=_REMEDY)
    found = pl.read_parquet_schema(file)
    for name, dtype in schema.items():
        if found.get(name) != dtype:
            raise SourceRefused(
                "scores.columns",
                file,
                f"column {name} is {found.get(name)}, not {dtype}",
                remedy=_REMEDY,
            )


def _facts(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _rows(file: Path) -> int:
    return int(pl.scan_parquet(file).select(pl.len()).collect().item())
