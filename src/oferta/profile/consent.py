"""Consent as facts: the newest word counts, and at one instant the no."""

from datetime import datetime

import polars as pl

from oferta.profile.moment import Moment

_CHANNELS = ("email", "sms", "push", "phone")
PURPOSES = ("personalisation", "marketing", *_CHANNELS)


def consent_facts(consent: pl.LazyFrame, *, moment: Moment, read_at: datetime) -> pl.LazyFrame:
    """One row a customer with any consent: `customer_id` and a Boolean `consent_PURPOSE` each.

    Marketing by a channel is the purpose `marketing` with that channel, or the channel as purpose.
    An opt-out dated after `read_at`, when the dataset was made, has a wrong clock and not a
    wrong mind: it counts from then.
    """
    purpose, channel = pl.col("purpose"), pl.col("channel")
    at = pl.min_horizontal("at", pl.lit(read_at))
    by_channel = (purpose == "marketing") & channel.is_in(_CHANNELS)
    general = (purpose == "personalisation") | ((purpose == "marketing") & channel.is_null())
    speaks_of = (
        pl.when(by_channel).then(channel).when(general | purpose.is_in(_CHANNELS)).then(purpose)
    )
    # The instant in microseconds twice over, and one more for a no: the greatest is what counts.
    word = at.dt.epoch("us") * 2 + (pl.col("state") == "out")
    return (
        consent.select(
            "customer_id", speaks_of.alias("purpose"), at.alias("at"), word.alias("word")
        )
        .filter(pl.col("purpose").is_not_null(), pl.col("at") <= moment.instant)
        .group_by("customer_id")
        .agg(
            pl.when(pl.col("purpose") == one).then(pl.col("word")).max().alias(one)
            for one in PURPOSES
        )
        .select(
            "customer_id",
            *((pl.col(one) % 2 == 0).alias(f"consent_{one}") for one in PURPOSES),
        )
    )
