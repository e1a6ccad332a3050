"""Typed needs, each with the figures that it rests on.

`product_gap`: what similar customers hold and this one does not. `financial`: instalments take much
of the income, or the rate is high. `convenience`: most of the contacts that the customer sought
were in the app or on the web, or with a person.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta.profile.json_text import json_object, json_plain, json_text
from oferta.profile.settings import Needs

ALIKE = ("stage", "vehicle_body", "vehicle_fuel")
"""Customers are similar who stand at the same stage and drive the same body and fuel."""


@dataclass(frozen=True, slots=True)
class Peers:
    """What similar customers hold: one row for each group of them and thing sold.

    `shares` has `ALIKE`, `sold_as`, `similar` (customers in the group), `holders` and `share`; only
    what is held by enough of enough is in it.
    """

    shares: pl.DataFrame


NO_PEERS: Final = Peers(
    pl.DataFrame(
        schema={
            **dict.fromkeys((*ALIKE, "sold_as"), pl.String()),
            "similar": pl.UInt32(),
            "holders": pl.UInt32(),
            "share": pl.Float64(),
        }
    )
)
"""Nobody to be compared with: no product gaps."""


def peers_of(holdings: pl.LazyFrame, *, settings: Needs) -> Peers:
    """The peers of a whole base.

    Args:
        holdings: one row a customer: `ALIKE` and `held`, the list of what is held now.
        settings: how many are enough.
    """
    alike = holdings.filter(pl.col("vehicle_body").is_not_null() & pl.col("held").is_not_null())
    sizes = alike.group_by(ALIKE).agg(pl.len().alias("similar"))
    holders = (
        alike.explode("held")
        .filter(pl.col("held").is_not_null())
        .group_by(*ALIKE, pl.col("held").alias("sold_as"))
        .agg(pl.len().alias("holders"))
    )
    shares = (
        holders.join(sizes, on=ALIKE, how="inner", nulls_equal=True)
        .with_columns((pl.col("holders") / pl.col("similar")).alias("share"))
        .filter(pl.col("similar") >= settings.gap_similar, pl.col("share") >= settings.gap_holders)
        .sort(*ALIKE, "share", "sold_as", descending=[*[False] * len(ALIKE), True, False])
        .collect(engine="streaming")
    )
    return Peers(shares)


def with_needs(profiles: pl.LazyFrame, peers: Peers, *, settings: Needs) -> pl.LazyFrame:
    """`profiles` with `needs_json`: a list of needs, the strongest gaps first.

    `profiles` has `ALIKE`, `held`, the facts of money and of the leading contract, and
    `oferta.profile.behaviour.CONTACTS`.
    """
    financial = [
        pl.when(_share() > settings.instalment_share).then(
            json_object(
                type=json_text(pl.lit("financial")),
                what=json_text(pl.lit("lower_instalment")),
                instalments=json_plain(pl.col("instalments").round(2)),
                income=json_plain(pl.col("income").round(2)),
                share=json_plain(_share().round(3)),
            )
        ),
        pl.when(pl.col("contract_rate") > settings.rate_above).then(
            json_object(
                type=json_text(pl.lit("financial")),
                what=json_text(pl.lit("better_rate")),
                rate=json_plain(pl.col("contract_rate")),
                above=json_plain(pl.lit(settings.rate_above)),
            )
        ),
    ]
    convenience = [
        _convenience("digital", "digital_contacts", settings.digital_share, settings),
        _convenience("adviser", "personal_contacts", settings.adviser_share, settings),
    ]
    joined, gaps = _gaps(profiles, peers, settings.gaps)
    pieces = pl.concat_list([*gaps, *financial, *convenience]).list.drop_nulls()
    text = pl.when(pieces.list.len() > 0).then(pl.format("[{}]", pieces.list.join(",")))
    return joined.with_columns(text.alias("needs_json")).drop(
        [name for name in joined.collect_schema().names() if name.startswith("gap:")]
    )


def _convenience(what: str, contacts: str, least: float, settings: Needs) -> pl.Expr:
    share = pl.col(contacts) / pl.col("contacts")
    enough = (pl.col("contacts") >= settings.contacts) & (share >= least)
    return pl.when(enough).then(
        json_object(
            type=json_text(pl.lit("convenience")),
            what=json_text(pl.lit(what)),
            contacts=json_plain(pl.col("contacts")),
            share=json_plain(share.round(3)),
        )
    )


def _share() -> pl.Expr:
    return pl.when(pl.col("income") > 0).then(pl.col("instalments") / pl.col("income"))


def _gaps(profiles: pl.LazyFrame, peers: Peers, most: int) -> tuple[pl.LazyFrame, list[pl.Expr]]:
    """The first `most` things that a customer's peers hold and they do not, as pieces of JSON.

    One column for each rank among the peers: of the handful that pass, all are looked at.
    """
    if peers.shares.is_empty():
        return profiles, []
    piece = json_object(
        type=json_text(pl.lit("product_gap")),
        what=json_text(pl.col("sold_as")),
        similar=json_plain(pl.col("similar")),
        holding=json_plain(pl.col("share").round(3)),
        stage=json_text(pl.col("stage")),
        body=json_text(pl.col("vehicle_body")),
        fuel=json_text(pl.col("vehicle_fuel")),
    )
    ranked = peers.shares.with_columns(
        piece.alias("json"), pl.int_range(pl.len()).over(ALIKE).alias("rank")
    )
    wide = ranked.select(*ALIKE).unique()
    names = []
    for rank in range(int(ranked["rank"].max()) + 1):  # type: ignore[arg-type]  # ranks are integers
        names.append(f"gap:{rank}")
        here = ranked.filter(pl.col("rank") == rank).select(
            *ALIKE,
            pl.col("sold_as").alias(f"gap:{rank}:what"),
            pl.col("json").alias(f"gap:{rank}"),
        )
        wide = wide.join(here, on=ALIKE, how="left", nulls_equal=True)
    joined = profiles.join(wide.lazy(), on=ALIKE, how="left", nulls_equal=True)
    held = pl.col("held").fill_null([])
    lacking = [
        pl.when(~held.list.contains(pl.col(f"{name}:what"))).then(pl.col(name)) for name in names
    ]
    return joined, [pl.concat_list(lacking).list.drop_nulls().list.head(most)]
