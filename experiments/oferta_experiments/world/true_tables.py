"""What no seller knows, as tables: for judging, never for training."""

from dataclasses import fields

import numpy as np
import polars as pl

from oferta_experiments.world import tables
from oferta_experiments.world.campaigns import Sent
from oferta_experiments.world.moments import moments
from oferta_experiments.world.people import AGE_BANDS, ARCHETYPES, CHANNELS, SEXES
from oferta_experiments.world.products import CLOCKS, Products
from oferta_experiments.world.response import OFFERED, UNASKED, product_logit
from oferta_experiments.world.sales import Chunk


def true_customers(chunk: Chunk, ids: tables.Numbering, *, end: int) -> pl.DataFrame:
    """One row a customer: what they are like, and `need_*`, what day `end` adds to their logits."""
    people = chunk.people
    needs = moments(chunk.state, chunk.products, end).boost
    plain = {
        field.name: getattr(people, field.name)
        for field in fields(people)
        if field.name not in {"preference", "channel"}
    }
    frame = pl.DataFrame({"customer_id": ids.customers(np.arange(len(people))), **plain})
    channels = [
        pl.Series(f"channel_{name}", people.channel[:, place])
        for place, name in enumerate(CHANNELS)
    ]
    return frame.with_columns(
        tables.named(list(ARCHETYPES), people.archetype).alias("archetype_name"),
        tables.named(AGE_BANDS, people.age_band).alias("age_band_name"),
        tables.named(SEXES, people.sex).alias("sex_name"),
        *channels,
        *(pl.Series(f"need_{name}", needs[:, at]) for at, name in enumerate(CLOCKS) if at),
    )


def preferences(chunk: Chunk, ids: tables.Numbering) -> pl.DataFrame:
    """True tastes: one array a customer, by position of `truth/products.parquet`."""
    preference = chunk.people.preference
    return pl.DataFrame(
        {"customer_id": ids.customers(np.arange(len(preference))), "preference": preference}
    )


def end_state(chunk: Chunk, ids: tables.Numbering) -> pl.DataFrame:
    """Where everybody stands at the end: `State`, a column a field."""
    who = ids.customers(np.arange(len(chunk.people))).alias("customer_id")
    return chunk.state.frame().insert_column(0, who)


def campaigns(chunk: Chunk, sent: Sent, ids: tables.Numbering) -> pl.DataFrame:
    """Every contact of the past: the chance of its choice, the true chance of a yes, the answer."""
    blocks = sent.blocks
    joined = {
        name: np.concatenate([block[name] for block in blocks] or [np.empty(0, np.int64)])
        for name in (
            "who",
            "product",
            "channel",
            "at",
            "probability",
            "clicked",
            "accepted",
            "true_accept",
        )
    }
    return pl.DataFrame(
        {
            "customer_id": ids.customers(joined["who"]),
            "product_id": tables.named(chunk.products.ids, joined["product"]),
            "channel": tables.named(CHANNELS, joined["channel"]),
            "timestamp": tables.instants(joined["at"]),
            "probability": joined["probability"],
            "clicked": joined["clicked"].astype(np.bool_),
            "accepted": joined["accepted"].astype(np.bool_),
            "true_accept": joined["true_accept"],
        }
    )


def true_products(products: Products) -> pl.DataFrame:
    """What only the simulator knows of products, and their logits before taste and moment."""
    return pl.DataFrame(
        {
            "product_id": products.ids,
            "family": [spec.family for spec in products.specs],
            "weight": products.weight,
            "clock": [spec.sim.clock for spec in products.specs],
            "needs": [spec.sim.needs for spec in products.specs],
            "audience": [list(spec.sim.audience) for spec in products.specs],
            "offered_logit": product_logit(products, OFFERED),
            "unasked_logit": product_logit(products, UNASKED),
        }
    )
