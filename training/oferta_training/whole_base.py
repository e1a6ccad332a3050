"""One wide row a customer: facts, evidence, and a chance and a score of every product.

    <scores folder>/base/part-00000.parquet ...   the customers of the part of lists of that number

What is asked of a whole base (audiences, what-ifs) then reads a million rows and not their hundred
million scores. Customers are ascending over the parts; all who were scored are there.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.events.dataset import Dataset
from oferta.interactions.idmap import IdMap
from oferta.policy.file import ValueTiers
from oferta.profile.derive import with_derived
from oferta.profile.facts import FACTS, STORED, FactKind
from oferta.profile.settings import ProfileSettings

FOLDER = "base"
ATTRIBUTE = "attr_"
"""What the names of declared attributes begin with."""

_DTYPES = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean(), "date": pl.Date()}
_SPOOL = ".profiles"
_ROW = "__row"
_RANGE = 1 << 15  # customers that wait in one folder: a hundred MB of text
_RANGES = 4  # folders whose profiles are made together: each time all tables are read once more

Profiles = Callable[[pl.LazyFrame | None], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Scope:
    """What profiles are made of.

    Attributes:
        as_of: the instant that they describe.
        zone: the time zone of their days.
        attributes: the seller's own, name -> kind.
        settings: how they are made.
        tiers: the value tiers of the policy that decides on them; None: it is not known.
    """

    as_of: datetime
    zone: ZoneInfo
    attributes: Mapping[str, FactKind] = field(default_factory=dict)
    settings: ProfileSettings = field(default_factory=ProfileSettings)
    tiers: ValueTiers | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """What the wide rows of a scores folder are.

    Attributes:
        parts: their files, relative to the folder, in order.
        facts: names of facts and attributes, in the order of the columns.
        as_of: the instant that they describe; `zone`: the time zone of their days.
        by_product: whether they have `probability` and `score`, arrays by position in the
            catalogue: where every product was scored.
    """

    parts: tuple[str, ...]
    facts: tuple[str, ...]
    as_of: datetime
    zone: str
    by_product: bool

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "as_of": self.as_of.astimezone(UTC).isoformat()}

    @staticmethod
    def of_json(fields: Mapping[str, Any]) -> "Base":
        """What `as_json` gave; ValueError, KeyError or TypeError of anything else."""
        parts = tuple(str(name) for name in fields["parts"])
        if any(name != f"{FOLDER}/{Path(name).name}" for name in parts):
            raise ValueError("a part outside the folder")
        as_of = datetime.fromisoformat(fields["as_of"])
        facts = tuple(str(name) for name in fields["facts"])
        return Base(parts, facts, as_of, str(fields["zone"]), bool(fields["by_product"]))


def tiers_of(wide: pl.LazyFrame, base: Base, scope: Scope) -> pl.LazyFrame | None:
    """`customer_id`, `value_tier` as they were in the wide rows of an earlier scoring.

    From them a tier is left only when the value falls well below its bound: tiers do not flap from
    one release to the next. None where no policy says what tiers there are.
    """
    if scope.tiers is None:
        return None
    columns = wide.collect_schema().names()
    known: dict[str, FactKind] = {
        f"{ATTRIBUTE}{name}": kind
        for name, kind in scope.attributes.items()
        if f"{ATTRIBUTE}{name}" in columns
    }
    derived = with_derived(
        wide.drop("evidence", "probability", "score", strict=False),
        today=base.as_of.astimezone(ZoneInfo(base.zone)).date(),
        policy_value=scope.tiers,
        attributes=known,
    )
    return derived.select("customer_id", "value_tier")


def told_by(dataset: Dataset) -> bool:
    """Whether the dataset tells more of its customers than their events."""
    more = (dataset.contracts(), dataset.vehicles(), dataset.attributes(), dataset.consent())
    return any(table is not None for table in more)


def end_of(dataset: Dataset) -> datetime | None:
    """The instant at which the data ends: of its last event, or of what books say later.

    Over a quiet weekend the books go on: as of Friday's last event nobody would know that an
    instalment was not paid on Saturday. None where nothing has a time.
    """
    stated = (
        (dataset.events(), "timestamp"),
        (dataset.contracts(), "as_of"),
        (dataset.vehicles(), "valued_at"),
        (dataset.vehicles(), "mileage_at"),
        (dataset.attributes(), "observed_at"),
        (dataset.consent(), "at"),
    )
    ends = [
        rows.select(pl.col(column).max()).collect().item()
        for rows, column in stated
        if rows is not None
    ]
    known = [end.astimezone(UTC) for end in ends if isinstance(end, datetime)]
    return max(known, default=None)


class WholeBase:
    """Writes the parts. Of the profiles there are few customers at a time in memory."""

    def __init__(
        self, folder: Path, profiles: Profiles, *, customers: IdMap, products: int
    ) -> None:
        """Take the profiles, one row a customer at most, and keep them beside the parts.

        Args:
            folder: the scores folder.
            profiles: gives `customer_id`, facts, attributes and `evidence`, in any order of rows,
                of the customers it is given; of None: of all.
            customers: whom to write, by their rows.
            products: columns of the arrays: products of the catalogue; 0: none are written.
        """
        self.parts: list[str] = []
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True)
        self._spool = self._folder / _SPOOL
        self._customers = customers
        self._products = products
        self._schema = _columns(profiles(None)).collect_schema()
        rows, together = customers.frame("customer_id", _ROW), _RANGES * _RANGE
        for start in range(0, len(customers), together):
            some = rows.slice(start, together).lazy()
            asked = None if len(customers) <= together else some.select("customer_id")
            # Profiles come in no order, parts are in that of customers: a folder for every range.
            made = _columns(profiles(asked)).join(some, on="customer_id").drop("customer_id")
            made.with_columns((pl.col(_ROW) // _RANGE).alias("range")).sink_parquet(
                pl.PartitionBy(self._spool, key="range", include_key=False),
                compression="lz4",
                mkdir=True,
            )

    def described(self, scope: Scope) -> Base:
        """What the parts written so far are."""
        names = self._schema.names()
        return Base(
            tuple(self.parts),
            tuple(name for name in names if name not in {"customer_id", "evidence"}),
            scope.as_of,
            scope.zone.key,
            by_product=self._products > 0,
        )

    def write(
        self,
        name: str,
        start: int,
        chances: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> None:
        """Write the customers from `start` on as the part `name`.

        `chances`, `scores`: `(customers, products) float32` by position in the catalogue, NaN where
        there is none; without columns where no products are written.
        """
        stop = start + len(scores)
        rows = self._rows(start, stop).with_columns(pl.col("evidence").fill_null("{}"))
        if self._products:
            rows = rows.with_columns(
                _by_product("probability", chances), _by_product("score", scores)
            )
        rows.write_parquet(self._folder / name, compression_level=1)
        self.parts.append(f"{FOLDER}/{name}")

    def close(self) -> None:
        """Remove what was kept beside the parts."""
        shutil.rmtree(self._spool, ignore_errors=True)

    def _rows(self, start: int, stop: int) -> pl.DataFrame:
        """The profiles of the customers `[start, stop)` in their order; null: none."""
        ranges = range(start // _RANGE, (stop - 1) // _RANGE + 1)
        files = [file for each in ranges for file in (self._spool / f"range={each}").glob("*")]
        own = pl.DataFrame(
            {
                _ROW: pl.arange(start, stop, dtype=pl.Int32, eager=True),
                "customer_id": self._customers.ids.slice(start, stop - start),
            }
        )
        if not files:
            absent = [
                pl.lit(None, dtype).alias(name)
                for name, dtype in self._schema.items()
                if name != "customer_id"
            ]
            return own.drop(_ROW).with_columns(absent)
        known = pl.scan_parquet(files, glob=False).filter(
            pl.col(_ROW) >= start, pl.col(_ROW) < stop
        )
        joined = own.lazy().join(known, on=_ROW, how="left", maintain_order="left")
        return joined.select(self._schema.names()).collect()


def spread(
    products: NDArray[np.int32], values: NDArray[np.float32], positions: NDArray[np.int32], n: int
) -> NDArray[np.float32]:
    """`(customers, n) float32`: the values of lists by the positions of their products, else NaN.

    Args:
        products: `(customers, k)`: rows of products, -1 where a list has ended.
        values: `(customers, k)`.
        positions: `(rows,)`: each row's position in the catalogue, -1 for none.
        n: products of the catalogue; 0: no columns are wanted.
    """
    wide = np.full((len(products), n), np.nan, np.float32)
    if not n:
        return wide
    owner, rank = np.nonzero(products >= 0)
    at = positions[products[owner, rank]]
    there = at >= 0
    wide[owner[there], at[there]] = values[owner, rank][there]
    return wide


def _columns(profiles: pl.LazyFrame) -> pl.LazyFrame:
    """`customer_id`, all stored facts in their types, attributes by name, `evidence`."""
    there = profiles.collect_schema().names()
    attributes = sorted(name for name in there if name.startswith(ATTRIBUTE))
    return profiles.select(
        pl.col("customer_id").cast(pl.String),
        *_stored(there),
        *attributes,
        pl.col("evidence").cast(pl.String)
        if "evidence" in there
        else pl.lit("{}").alias("evidence"),
    )


def _stored(there: list[str]) -> Iterator[pl.Expr]:
    for name in STORED:
        dtype = _DTYPES[FACTS[name].kind]
        yield pl.col(name).cast(dtype) if name in there else pl.lit(None, dtype).alias(name)


def _by_product(name: str, values: NDArray[np.float32]) -> pl.Series:
    flat = pl.Series(name, values.ravel()).fill_nan(None)
    return flat.reshape((len(values), values.shape[1]))
