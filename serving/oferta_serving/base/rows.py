"""Members and triggers as rows of a file."""

from collections.abc import Sequence

import polars as pl

from oferta.decisions.audience import Member
from oferta.decisions.decision import OfferMade
from oferta.decisions.triggers import Fired

_OFFER = pl.Schema(
    {
        "offer_id": pl.String(),
        "channel": pl.String(),
        "placement": pl.String(),
        "propensity": pl.Float64(),
        "expected_value": pl.Float64(),
        "amount": pl.Float64(),
        "months": pl.Int64(),
        "rate": pl.Float64(),
        "instalment": pl.Float64(),
    }
)
MEMBERS = pl.Schema({"rank": pl.Int64(), "customer_id": pl.String(), **_OFFER})
TRIGGERS = pl.Schema(
    {
        "trigger_id": pl.String(),
        "trigger": pl.String(),
        "customer_id": pl.String(),
        "due": pl.Date(),
        "once_per": pl.String(),
        **_OFFER,
        "text_en": pl.String(),
        "text_zh": pl.String(),
    }
)


def member_rows(members: Sequence[Member]) -> pl.DataFrame:
    """One row a member, in their order; amounts in the currency's main unit."""
    rows = [{"rank": one.rank, "customer_id": one.customer_id, **_row(one.made)} for one in members]
    return pl.DataFrame(rows, schema=MEMBERS)


def trigger_rows(fired: Sequence[Fired]) -> pl.DataFrame:
    """One row a trigger, in their order."""
    rows = [
        {
            "trigger_id": one.due.id,
            "trigger": one.due.trigger,
            "customer_id": one.due.customer_id,
            "due": one.due.due,
            "once_per": one.due.once_per,
            **_row(one.made),
            "text_en": one.text.en,
            "text_zh": one.text.zh,
        }
        for one in fired
    ]
    return pl.DataFrame(rows, schema=TRIGGERS)


def _row(made: OfferMade) -> dict[str, object]:
    terms = made.terms
    return {
        "offer_id": made.offer,
        "channel": made.channel,
        "placement": made.placement,
        "propensity": made.parts.accept,
        "expected_value": made.parts.value,
        "amount": None if terms is None else float(terms.amount),
        "months": None if terms is None else terms.months,
        "rate": None if terms is None else float(terms.rate),
        "instalment": None if terms is None else float(terms.instalment),
    }
