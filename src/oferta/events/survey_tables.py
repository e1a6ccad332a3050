"""What a person should look at in contracts, vehicles and wishes: kept, and likely not as meant."""

from collections.abc import Mapping
from difflib import get_close_matches

import polars as pl

from oferta.columns import CONTRACTS, EVENTS, VEHICLES, WISHES, Column
from oferta.events.across import scan
from oferta.events.stage import Staged

_MOST_NAMED = 5


def survey_words(staged: Mapping[str, Staged]) -> list[str]:
    """Values of columns that have known words, and are none of them: each with the nearest."""
    return [
        warning
        for name, one in staged.items()
        for column in one.plan.table.columns
        if column.words
        for warning in _unknown_words(name, column, scan(one))
    ]


def _unknown_words(table: str, column: Column, rows: pl.LazyFrame) -> list[str]:
    counts = (
        rows.filter(pl.col(column.name).is_not_null() & ~pl.col(column.name).is_in(column.words))
        .group_by(column.name)
        .len()
        .sort("len", column.name, descending=[True, False])
        .collect(engine="streaming")
    )
    found = []
    for word, count in counts.head(_MOST_NAMED).iter_rows():
        near = get_close_matches(word.lower(), column.words, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(column.words)}"
        found.append(
            f"{table}: {count:,} rows have the {column.name} {word[:40]!r}, which has no meaning; "
            f"{hint} Say so under [{table}.words.{column.name}] in source.toml"
        )
    if counts.height > _MOST_NAMED:
        found.append(f"{table}: {counts.height - _MOST_NAMED:,} more words of {column.name}")
    return found


def survey_vehicle_ids(staged: Mapping[str, Staged]) -> list[str]:
    """Contracts of vehicles that are not in the vehicles table, or are another customer's."""
    if CONTRACTS.name not in staged or VEHICLES.name not in staged:
        return []
    owned = scan(staged[VEHICLES.name]).select("vehicle_id", owner=pl.col("customer_id"))
    row = (
        scan(staged[CONTRACTS.name])
        .select("vehicle_id", "customer_id")
        .filter(pl.col("vehicle_id").is_not_null())
        .join(owned, on="vehicle_id", how="left")
        .select(
            pl.col("owner").is_null().sum().alias("is not in the vehicles table"),
            (pl.col("owner") != pl.col("customer_id")).sum().alias("is another customer's"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    return [
        f"{count:,} contracts have a vehicle that {what}" for what, count in row.items() if count
    ]


def survey_wishes(staged: Mapping[str, Staged]) -> list[str]:
    """Attributes of events called as a wish, whose values are not of its kind."""
    one = staged[EVENTS.name]
    dtypes = {**one.plan.attributes, **one.guesses.dtypes()}
    return [
        f"the attribute '{name}' of events is {dtypes[name]}, so its cells that are no number are "
        f'no wishes; state [events.attributes.{name}] type = "number" in source.toml'
        for name, wanted in WISHES.items()
        if name in dtypes and wanted.is_numeric() and not dtypes[name].is_numeric()
    ]
