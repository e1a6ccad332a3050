"""What goes out: the newest scores against those before, and what is known of the customers then.

The same customers stand on both sides, so chance moves these less than it is allowed to: fewer
alarms than told, never more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta_training.monitoring.shifts import Shift, numbers_shift, words_shift
from oferta_training.scores import ScoresFolder

_FACTS: Final = 60
"""Facts looked at, at most: as many as a seller's policy may declare attributes."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What the lists of a scoring are like.

    Attributes:
        model: name/version.
        created_at, trained_at: epoch seconds.
        customers: how many were scored.
        personalised: share whose list is their own: neither empty nor of somebody unknown.
        empty, cold: shares.
        coverage: share of the offerable products that are in any published list.
        top_share: share of the lists that begin with the commonest first product.
        top_product: that product.
    """

    model: str
    created_at: float
    trained_at: float
    customers: int
    personalised: float
    empty: float
    cold: float
    coverage: float
    top_share: float
    top_product: str


def look_at_lists(scores: ScoresFolder) -> Lists:
    """The figures of one scoring."""
    published = scores.lists().filter(pl.col("rank") <= scores.release_n)
    customers = scores.customer_rows().lazy().select("customer_id", "cold")
    listed = published.filter(pl.col("rank") == 1).select("customer_id", "product_id")
    each = (
        customers.join(listed, on="customer_id", how="left")
        .group_by("product_id", "cold")
        .len()
        .collect(engine="streaming")
    )
    whole = max(int(each["len"].sum()), 1)
    empty = int(each.filter(pl.col("product_id").is_null())["len"].sum())
    own = each.filter(pl.col("product_id").is_not_null() & ~pl.col("cold"))
    firsts = each.drop_nulls("product_id").group_by("product_id").agg(pl.sum("len"))
    firsts = firsts.sort("len", "product_id", descending=[True, False])
    products = scores.product_rows()
    offerable = products.filter(pl.col("status").fill_null("active") == "active").height
    shown = published.select(pl.n_unique("product_id")).collect(engine="streaming").item()
    return Lists(
        model=scores.model,
        created_at=scores.created_at.timestamp(),
        trained_at=scores.trained_at.timestamp(),
        customers=scores.customers,
        personalised=int(own["len"].sum()) / whole,
        empty=empty / whole,
        cold=int(each.filter("cold")["len"].sum()) / whole,
        coverage=int(shown) / max(offerable, 1),
        top_share=int(firsts["len"][0]) / max(whole - empty, 1) if len(firsts) else 0.0,
        top_product=str(firsts["product_id"][0]) if len(firsts) else "",
    )


def lists_shifts(was: ScoresFolder, now: ScoresFolder) -> list[Shift]:
    """How lists, chances and the facts of profiles have moved from one scoring to the next."""
    sizes = (was.customers, now.customers)
    found = [
        words_shift("first product", "lists", _firsts(was), _firsts(now), sizes=sizes),
        _chances(was, now),
        *_facts(was, now),
    ]
    return [one for one in found if one is not None]


def _firsts(scores: ScoresFolder) -> pl.DataFrame:
    first = scores.lists().filter(pl.col("rank") == 1)
    counts = first.group_by(word="product_id").agg(pl.len().alias("count"))
    return counts.collect(engine="streaming")


def _chances(was: ScoresFolder, now: ScoresFolder) -> Shift | None:
    """Of the first product; where nothing has chances its score, of one and the same model."""
    told = [
        scores.lists()
        .filter(pl.col("rank") == 1)
        .select("probability", "score")
        .collect(engine="streaming")
        for scores in (was, now)
    ]
    if all(one["probability"].count() for one in told):
        return numbers_shift(
            "chance of the first product", "lists", *(one["probability"] for one in told)
        )
    if was.model != now.model:
        return None
    return numbers_shift("score of the first product", "lists", *(one["score"] for one in told))


def _facts(was: ScoresFolder, now: ScoresFolder) -> list[Shift | None]:
    """Facts of profiles, number by number and word by word."""
    if was.base is None or now.base is None:
        return []
    frames = [scores.wide() for scores in (was, now)]
    before, after = (frame.collect_schema() for frame in frames)
    names = [name for name in now.base.facts if name in before and before[name] == after[name]]
    found: list[Shift | None] = []
    for name in names[:_FACTS]:
        columns = [frame.select(name).collect()[name] for frame in frames]
        if after[name].is_numeric():
            found.append(numbers_shift(name, "customers", *columns))
        elif after[name] in {pl.String(), pl.Boolean()}:
            sizes = (len(columns[0]), len(columns[1]))
            counts = [_words(column) for column in columns]
            found.append(words_shift(name, "customers", *counts, sizes=sizes))
    return found


def _words(column: pl.Series) -> pl.DataFrame:
    counted: Mapping[str, int] = dict(column.cast(pl.String).value_counts(name="count").iter_rows())
    return pl.DataFrame(
        {"word": list(counted), "count": list(counted.values())},
        schema={"word": pl.String(), "count": pl.Int64()},
    )
