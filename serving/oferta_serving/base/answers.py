"""Audiences and triggers as the API answers them."""

from collections.abc import Sequence

from oferta.clock import instant
from oferta.decisions.decision import OfferMade
from oferta_serving.base.live import Asked, Fired, Member

Plain = dict[str, object]


def audience_answer(offer: str, asked: Asked, members: Sequence[Member]) -> Plain:
    """The members of an audience, the best first."""
    return {
        "offer_id": offer,
        **_about(asked),
        "members": [
            {"rank": one.rank, "customer_id": one.customer_id, **_made(one.made)} for one in members
        ],
    }


def triggers_answer(asked: Asked, fired: Sequence[Fired]) -> Plain:
    """Triggers that are due, the earliest first."""
    return {
        **_about(asked),
        "triggers": [
            {
                "trigger_id": one.due.id,
                "trigger": one.due.trigger,
                "customer_id": one.due.customer_id,
                "due": one.due.due.isoformat(),
                "once_per": one.due.once_per,
                "text": {"en": one.text.en, "zh": one.text.zh},
                "offer_id": one.made.offer,
                **_made(one.made),
            }
            for one in fired
        ],
    }


def _about(asked: Asked) -> Plain:
    table = asked.table
    return {
        "found": asked.found,
        "more": asked.more,
        "refused": [{"code": code, "count": n} for code, n in asked.refused.most_common()],
        "as_of": instant(table.as_of.timestamp()),
        "scored_at": instant(table.created_at.timestamp()),
        "model": table.model,
    }


def _made(made: OfferMade) -> Plain:
    terms = made.terms
    return {
        "channel": made.channel,
        "placement": made.placement,
        "accept": made.parts.accept,
        "value": made.parts.value,
        "amount": None if terms is None else float(terms.amount),
        "months": None if terms is None else terms.months,
        "instalment": None if terms is None else float(terms.instalment),
    }
