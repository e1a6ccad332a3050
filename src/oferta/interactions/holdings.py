"""What customers have: pieces bought and not taken back, whatever a model makes of either."""

from collections.abc import Collection, Mapping

import polars as pl

from oferta.events.types import EventType


def held_pairs(
    events: pl.LazyFrame,
    types: Mapping[str, EventType],
    *,
    owner: str = "customer_id",
    product: str = "product_id",
    having: Collection[str] | None = None,
) -> pl.LazyFrame:
    """The distinct pairs of `owner` and `product` of which more was had than taken back.

    Counted in pieces, by what event types mean and never by their weights: one return takes one
    purchase back, also where a job says that a purchase is worth half. `quantity` is the number of
    pieces (absent or null: one); a negative one takes back, and so does a reversal, whichever sign
    its quantity has. Events of any other meaning neither give nor take.

    Args:
        events: `event_type`, the two columns, and `quantity` if there is one.
        types: every type by name; one that is not there is a conversion, as everywhere.
        owner: the column that says whose the pieces are.
        product: the column that says of what.
        having: the types whose events give pieces; None: all conversions.
    """
    back = [name for name, kind in types.items() if kind.meaning == "reversal"]
    neither = [
        name for name, kind in types.items() if kind.meaning not in {"conversion", "reversal"}
    ]
    kind = pl.col("event_type")
    gives = ~kind.is_in([*back, *neither]) if having is None else kind.is_in(list(having))
    known = events.collect_schema().names()
    quantity = pl.col("quantity").fill_null(1.0) if "quantity" in known else pl.lit(1.0)
    # A type that is foreseen gives, even where it means that something was taken back.
    pieces = pl.when(gives).then(quantity).otherwise(-quantity.abs())
    return (
        events.filter(gives | kind.is_in(back))
        .select(owner, product, pieces.alias("pieces"))
        .group_by(owner, product)
        .agg(pl.col("pieces").sum())
        .filter(pl.col("pieces") > _NOTHING)
        .select(owner, product)
    )


_NOTHING = 1e-6  # pieces that only rounding keeps from none
