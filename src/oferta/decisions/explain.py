"""Reasons a customer can read: each is a factor of the offer's value that is not neutral.

A reason is true in this sense: without the factor it cites, the value is another. What has no
share in the value is no reason, however well it would read.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from oferta.catalogue.texts import Text
from oferta.decisions.case import Case
from oferta.decisions.decision import Reason
from oferta.decisions.made import Made
from oferta.decisions.offered import Pick, Valued
from oferta.decisions.valuing import risks_of
from oferta.scoring import reasons as scored
from oferta.terms.quote import Change, Unfit

WISH_MET: Final = Text(en="As you wished", zh="符合您的要求")

CHANGES: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "months": Text(
            en="Over {offered} months, so that it can be paid",
            zh="期限调整为{offered}个月，便于偿还",
        ),
        "deposit": Text(en="With a deposit of {offered}", zh="首付调整为{offered}"),
        "amount": Text(en="For an amount of {offered}", zh="金额调整为{offered}"),
        "instalment": Text(en="At {offered} a month", zh="每月{offered}"),
        "guarantor": Text(en="Possible with a guarantor", zh="提供担保人即可办理"),
        "cover": Text(en="Possible with the cover it requires", zh="投保所需险种即可办理"),
        "excess": Text(en="With an excess of {offered}", zh="免赔额为{offered}"),
        "mileage": Text(en="With {offered} km a year", zh="每年{offered}公里"),
    }
)
"""How a counter-offer differs from the wish, by what was changed."""


def reasons_of(case: Case, made: Made, pick: Pick) -> tuple[Reason, ...]:
    """The reasons of an offer, the context's first: it is what is special today."""
    valued = pick.valued
    if valued.value == 0.0:
        return ()  # no factor changes a zero
    found = [*_weights(case, made, valued), *_terms(case, made, valued)]
    if valued.accept > 0.0 and not valued.compiled.servicing:
        found.append(_accept(case, valued))
    return tuple(found)


def change_text(change: Change) -> Text:
    """How a counter-offer differs, in words."""
    text = CHANGES[change.what]
    offered = "" if change.offered is None else _amount(change.offered)
    return Text(en=text.en.format(offered=offered), zh=text.zh.format(offered=offered))


def _weights(case: Case, made: Made, valued: Valued) -> list[Reason]:
    found = []
    for weight in valued.compiled.weights:
        text = case.engine.weight_texts[weight.name]
        if text is not None and weight.factor != 1.0 and not made.inputs.failed >> weight.bit & 1:
            found.append(Reason(f"weight.{weight.name}", "context", text))
    return found


def _terms(case: Case, made: Made, valued: Valued) -> list[Reason]:
    """The wish, met or countered, where the value would be another without it."""
    quote, wish = valued.quote, made.inputs.pricer.wish_for(valued.compiled)
    if not case.view.personal or quote is None or wish is None:
        return []
    if not _wish_matters(case, made, valued):
        return []
    if not quote.changes:
        return [Reason("wish.met", "terms", WISH_MET)]
    return [
        Reason(f"counter.{change.what}", "terms", change_text(change)) for change in quote.changes
    ]


def _wish_matters(case: Case, made: Made, valued: Valued) -> bool:
    compiled = valued.compiled
    without = made.inputs.pricer.priced(compiled, made.inputs.values, wish=None)
    if isinstance(without, Unfit):
        return True  # without the wish there is no offer at all
    loss = risks_of(case, made.inputs)[compiled.offer.family][1] * without.amount
    return without.worth is None or without.worth - loss != valued.margin - valued.loss


def _accept(case: Case, valued: Valued) -> Reason:
    """Why the customer is likely to accept, as the model says; else that many do."""
    product = valued.compiled.offer.products[0]
    propensity = case.known.customer.propensities.get(product)
    if valued.accept_from != "calibrated" or propensity is None:
        return Reason("popular", "accept", _sentence("popular"))
    because = None if propensity.because is None else case.engine.names.get(propensity.because)
    code = _KNOWN.get(propensity.reason, "popular")
    # The heaviest product of a taste may be one they only looked at: no reason to tell a person.
    if because is None or code == "similar_taste":
        return Reason(code, "accept", _sentence(code))
    return Reason(code, "accept", _sentence(code, because.en, because.zh))


@lru_cache(maxsize=4096)
def _sentence(code: scored.Reason, en: str | None = None, zh: str | None = None) -> Text:
    """A model's reason in both languages; `en`, `zh`: name of the product that it names."""
    return Text(en=scored.sentence(code, en), zh=scored.sentence(code, zh, language="zh"))


def _amount(value: Decimal) -> str:
    whole = value == value.to_integral_value()
    return f"{value:,.0f}" if whole else f"{value:,.2f}"


_KNOWN: Final[Mapping[str, scored.Reason]] = {code: code for code in scored.REASONS}
