"""A decision as callers read it: the answer, and the receipt with all that stands behind it.

Amounts are numbers in the currency's main unit, to the cent; rates are percent a year. Instants
are ISO 8601 in UTC. Every text is there in English and in Chinese.
"""

from decimal import Decimal
from typing import Final

import orjson

from oferta.catalogue.offers import Incentive
from oferta.catalogue.texts import Text
from oferta.clock import instant
from oferta.decisions.decision import Decision, OfferMade, Parts
from oferta.decisions.explain import change_text
from oferta.decisions.whys import STAFF, WHYS
from oferta.terms.quote import Terms
from oferta.terms.schedule import schedule

DISCLOSURE: Final = Text(
    en=(
        "These offers were chosen by automated processing of what we know about you. "
        "You can ask for offers that are not personalised, and object at any time."
    ),
    zh="这些方案由系统根据您的信息自动选出。您可以要求查看非个性化方案，也可随时拒绝。",
)
"""What a personalised answer says of itself (PIPL article 24; GDPR articles 21 and 22)."""

Plain = dict[str, object]


def answer_json(decision: Decision, *, explain: bool = False) -> bytes:
    """The answer; with `explain`, also the schedule of payments of every offer."""
    return orjson.dumps(answer(decision, explain=explain))


def receipt_json(decision: Decision) -> bytes:
    """The answer with its funnel, every rejected offer with its reason, and the caps."""
    return orjson.dumps(receipt(decision))


def answer(decision: Decision, *, explain: bool = False, scored: bool = True) -> Plain:
    """The answer as plain values.

    Where not `scored`, offers are without the factors of their value: margins are nobody's business
    who only shows offers.
    """
    return {
        "decision_id": decision.id,
        "decision_type": "marketing",
        "outcome": decision.outcome,
        "channel": decision.channel,
        "offers": [_offer(offer, explain=explain, scored=scored) for offer in decision.offers],
        "why": [{"code": code, "text": _text(text)} for code, text in decision.why],
        "later_on": None if decision.later_on is None else instant(decision.later_on),
        "personalised": decision.personalised,
        "disclosure": _text(DISCLOSURE) if decision.personalised else None,
        "control": decision.control,
        "decided_at": instant(decision.at),
        "age_s": max(0.0, round(decision.at - decision.release_at, 3)),
        "versions": {
            "policy": decision.versions.policy,
            "catalogue": decision.versions.catalogue,
            "rate_card": decision.versions.rate_card,
            "release": decision.versions.release,
            "model": decision.versions.model,
        },
    }


def receipt(decision: Decision) -> Plain:
    """The receipt as plain values."""
    return {
        **answer(decision, explain=True),
        "funnel": [{"stage": stage, "left": left} for stage, left in decision.funnel],
        "rejected": [
            {
                "offer_id": rejection.offer,
                "stage": rejection.stage,
                "code": rejection.code,
                "detail": rejection.detail,
                "text": _text(STAFF.get(rejection.code, WHYS[rejection.code])),
            }
            for rejection in decision.rejected
        ],
        "caps": [
            {"cap": name, "used": used, "limit": limit}
            for name, (used, limit) in decision.caps.items()
        ],
        "seed": decision.seed,
        "state_version": decision.state.version,
    }


def _offer(offer: OfferMade, *, explain: bool, scored: bool) -> Plain:
    return {
        "rank": offer.rank,
        "offer_id": offer.offer,
        "products": offer.products,
        "family": offer.family,
        "channel": offer.channel,
        "placement": offer.placement,
        "provider": offer.provider,
        "fulfilment": offer.fulfilment,
        "name": _text(offer.name),
        "summary": _text(offer.summary),
        "incentive": None if offer.incentive is None else _incentive(offer.incentive),
        "terms": None if offer.terms is None else _terms(offer.terms, explain=explain),
        "score": _score(offer.parts) if scored else None,
        "reasons": [
            {"code": reason.code, "factor": reason.factor, "text": _text(reason.text)}
            for reason in offer.reasons
        ],
        "selection": offer.selection,
        "probability": offer.probability,
    }


def _incentive(incentive: Incentive) -> Plain:
    return {
        "text": _text(incentive.text),
        "amount": incentive.amount,
        "funder": incentive.funder,
    }


def _score(parts: Parts) -> Plain:
    return {
        "value": parts.value,
        "accept": parts.accept,
        "accept_from": parts.accept_from,
        "approved": parts.approved,
        "margin": parts.margin,
        "expected_loss": parts.expected_loss,
        "context": parts.context,
        "weights": [{"name": name, "factor": factor} for name, factor in parts.weights],
        "lever": parts.lever,
        "levers": parts.levers,
        "neutral": parts.neutral,
    }


def _terms(terms: Terms, *, explain: bool) -> Plain:
    said: Plain = {
        "kind": terms.kind,
        "product": terms.product,
        "currency": terms.currency,
        "start": terms.start.isoformat(),
        "amount": _number(terms.amount),
        "deposit": _number(terms.deposit),
        "months": terms.months,
        "rate": _number(terms.rate),
        "annual_rate": _number(terms.annual_rate),
        "instalment": _number(terms.instalment),
        "final_payment": _number(terms.final_payment),
        "price": _number(terms.price),
        "residual": _number(terms.residual),
        "fees": [
            {"name": fee.name, "amount": _number(fee.amount), "paid": fee.paid}
            for fee in terms.fees
        ],
        "total_payable": _number(terms.total_payable),
        "total_cost": _number(terms.total_cost),
        "excess": _number(terms.excess),
        "mileage_km_year": terms.mileage_km_year,
        "holiday_months": terms.holiday_months,
        "guarantor": terms.guarantor,
        "cover": terms.cover,
        "changes": [
            {
                "what": change.what,
                "wished": _number(change.wished),
                "offered": _number(change.offered),
                "text": _text(change_text(change)),
            }
            for change in terms.changes
        ],
        "card": terms.card,
    }
    if explain:
        said["schedule"] = [
            {
                "number": line.number,
                "due": line.due.isoformat(),
                "payment": _number(line.payment),
                "interest": _number(line.interest),
                "principal": _number(line.principal),
                "fees": _number(line.fees),
                "balance": _number(line.balance),
            }
            for line in schedule(terms)
        ]
    return said


def _text(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
