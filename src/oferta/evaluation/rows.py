"""Test rows: whose next products are asked, what they turned out to be, and what was known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import SplitRefused, UnknownName
from oferta.evaluation.pasts import Reading, knowing_too_much, latest, pasts, strictly_before
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.splits import ROW, Split
from oferta.interactions.histories import Histories
from oferta.interactions.holdings import held_pairs
from oferta.interactions.lists import Lists
from oferta.models.data import TrainingData


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a test, sorted by customer, then group.

    Attributes:
        customer_id: `(rows,)`, whose each row is; a customer has several where rows are groups.
        test: the products to foresee, one or more a row.
        histories: one past per row.
        removed: products that a row's list must not hold.
        candidates: what alone is ranked; None: every product.
        counts: `dropped_seen` pairs that the past already held, `cold` customers without a past,
            `without_candidates` rows left out because nothing was given to rank for them.
        ranked: `(products,) bool`, what alone is ranked for any row; None: every product.
    """

    customer_id: pl.Series
    test: Lists
    histories: Histories
    removed: Lists
    candidates: Lists | None
    counts: Mapping[str, int]
    ranked: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.customer_id)

    def digest(self) -> bytes:
        """A hash of whose rows these are, and of what is asked and what may be listed in each."""
        found = blake2b(digest_size=16)
        for customer in self.customer_id:
            found.update(f"{len(customer)}:{customer}".encode())
        asked = (self.test, self.removed, self.candidates)
        for lists in (one for one in asked if one is not None):
            found.update(lists.indptr.tobytes())
            found.update(lists.product.tobytes())
        if self.ranked is not None:
            found.update(self.ranked.tobytes())
        return found.digest()


def make_rows(
    split: Split,
    data: TrainingData,
    *,
    protocol: Protocol,
    target: frozenset[str],
    reading: Reading,
    candidates: pl.DataFrame | None = None,
) -> Rows:
    """The rows that `protocol` makes of `split.test`, for models fitted on `data`.

    `candidates` has `product_id` and either `customer_id` or the protocol's group.

    Raises:
        SplitRefused: no row is left, because the past already held all test products.
        UnknownName: `candidates` lacks a column.
    """
    test = _test_pairs(split.test, protocol.group, reading)
    units = test.select("customer_id", "group", "time").unique(["customer_id", "group"])
    units = units.sort("customer_id", "group")
    seen = _seen(split, units, target, reading)
    pairs = _numbered(units).join(test.drop("time"), on=["customer_id", "group"])
    pairs = pairs.select("row", "product").unique()
    dropped = 0
    if not protocol.keep_seen:
        left = pairs.join(seen.frame(), on=["row", "product"], how="anti")
        dropped, pairs = len(pairs) - len(left), left
    given = None if candidates is None else _given(candidates, units, protocol.group, reading)
    asked = pairs.select("row").unique()
    kept = asked if given is None else asked.join(given, on="row", how="semi")
    if not len(kept):
        raise SplitRefused(
            protocol.split,
            f"no test row is left ({dropped} were of products seen before)",
            possible=["the same with --keep-seen"] if dropped else [],
        )
    rows = kept["row"].sort().to_numpy()
    n = len(rows)
    renumber = pl.DataFrame({"row": rows, "new": np.arange(n, dtype=np.uint32)})
    own = _renumbered(pairs, renumber)
    units = units[rows]
    histories = _histories(split, data, units, protocol, reading)
    cold = units.filter(pl.Series(np.diff(histories.indptr) == 0))["customer_id"].n_unique()
    return Rows(
        customer_id=units["customer_id"],
        test=Lists.of(own, n),
        histories=histories,
        removed=Lists.of(
            own.clear() if protocol.keep_seen else _renumbered(seen.frame(), renumber), n
        ),
        # A row's own test products are always ranked; some given lists hold them already.
        candidates=None
        if given is None
        else Lists.of(pl.concat([_renumbered(given, renumber), own]), n),
        counts={
            "dropped_seen": dropped,
            "cold": cold,
            "without_candidates": len(asked) - n,
        },
        ranked=None if split.ranked is None else _members(split.ranked, reading),
    )


def _members(ids: pl.Series, reading: Reading) -> NDArray[np.bool_]:
    members = np.zeros(len(reading.products), np.bool_)
    members[reading.products.rows(ids)] = True
    return members


def _test_pairs(test: pl.DataFrame, group: str | None, reading: Reading) -> pl.DataFrame:
    by = pl.lit("").alias("group")
    time = pl.lit(None, test.schema["timestamp"])
    if group is not None:
        # An event without a group is a group of its own.
        by = pl.col(group).fill_null("row " + pl.col(ROW).cast(pl.String)).alias("group")
        time = pl.col("timestamp")
    return test.select(
        "customer_id",
        by,
        time.alias("time"),
        pl.Series("product", reading.products.rows(test["product_id"])),
    ).with_columns(pl.col("time").min().over("customer_id", "group"))


def _seen(split: Split, units: pl.DataFrame, target: frozenset[str], reading: Reading) -> Lists:
    """What each unit's customer had before, in train or valid; target events are what gives."""
    # Lazy: the events of these customers are never whole beside those of all.
    past = split.before("train+valid").lazy().join(units.lazy(), on="customer_id", how="semi")
    numbered = units.select("customer_id", "time").with_row_index("row")
    late = knowing_too_much(past, numbered)
    whole = held_pairs(past, reading.types, having=target)
    early = numbered.join(late, on="row", how="anti").lazy()
    pairs = pl.concat(
        [
            whole.join(early, on="customer_id").select("row", "product_id"),
            held_pairs(strictly_before(late, past), reading.types, owner="row", having=target),
        ]
    ).collect(engine="streaming")
    products = pl.Series("product", reading.products.rows(pairs["product_id"]))
    return Lists.of(pairs.select("row", products), len(units))


def _histories(
    split: Split,
    data: TrainingData,
    units: pl.DataFrame,
    protocol: Protocol,
    reading: Reading,
) -> Histories:
    events = split.before(protocol.history)
    histories = pasts(events, units, reading=reading, now=split.starts_at or latest(events))
    # A row whose past is exactly what the model was fitted on is known to it.
    changed = histories.known < 0
    if protocol.history != protocol.fit and split.valid is not None:
        changed |= units["customer_id"].is_in(split.valid["customer_id"].implode()).to_numpy()
    known = np.where(changed, -1, data.customers.rows(units["customer_id"]))
    return replace(histories, known=known.astype(np.int32))


def _given(
    candidates: pl.DataFrame, units: pl.DataFrame, group: str | None, reading: Reading
) -> pl.DataFrame:
    column = group if group is not None and group in candidates.columns else "customer_id"
    for name in (column, "product_id"):
        if name not in candidates.columns:
            raise UnknownName("column of the candidates", name, candidates.columns)
    key = "customer_id" if column == "customer_id" else "group"
    listed = candidates.select(
        pl.col(column).cast(pl.String).alias(key),
        pl.Series("product", reading.products.rows(candidates["product_id"].cast(pl.String))),
    ).filter(pl.col("product") >= 0)
    return _numbered(units).join(listed, on=key).select("row", "product")


def _numbered(units: pl.DataFrame) -> pl.DataFrame:
    return units.select("customer_id", "group").with_row_index("row")


def _renumbered(pairs: pl.DataFrame, renumber: pl.DataFrame) -> pl.DataFrame:
    return pairs.join(renumber, on="row").select(pl.col("new").alias("row"), "product")
