"""Terms for offers: what is wished and what can be afforded, handed to the terms room.

Only wishes and means pass; whatever else is known of the customer stays outside.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from math import ceil, isfinite
from typing import Final

from oferta.catalogue.ranges import CreditTerms, ServicingTerms
from oferta.decisions.arbitration import margin
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.engine import Engine
from oferta.decisions.offered import Priced
from oferta.decisions.remembered import Remembered
from oferta.decisions.request import FactValue, Request, Wish
from oferta.decisions.view import View
from oferta.terms.fit import quote
from oferta.terms.quote import Quote, Unfit
from oferta.terms.wanted import Means, Wanted, money

WISH_DAYS: Final = 90.0
"""A wish told to a calculator counts for so long."""

DAYS_A_MONTH: Final = 30.4375
USED: Final = "used"  # the customer's own car is, whatever it was when bought
_MOST: Final = 1e12
_NO_WISH: Final = Wish()
_NOTHING: Final = Decimal(0)
_ONE: Final = Decimal(1)
_CENT: Final = Decimal("0.01")
_SURELY: Final = Decimal("0.8")
"""An instalment a fifth above the bound is above it for every amount and term: a larger amount may
have a lower rate, but none so much lower."""


class Pricer:
    """Fits offers for one decision.

    Attributes:
        asked: the wish of the request; None: there is none.
        remembered: the latest that the customer told a calculator, a search or a form.
    """

    __slots__ = (
        "_bounds",
        "_day",
        "_ending",
        "_engine",
        "_means",
        "_memo",
        "_row",
        "asked",
        "remembered",
    )

    def __init__(
        self, engine: Engine, request: Request, view: View, row: dict[str, FactValue]
    ) -> None:
        """`row`: all columns of rules, by name."""
        self._engine = engine
        self._day = view.day
        self._row = row
        self.asked = request.wish
        self.remembered = None if request.wish is not None else _wish_of(row)
        self._bounds = None if request.wish is None else _bounds(request.wish)
        means = _means_of(engine, row, relief=view.servicing_only)
        ending = replace(means, replaced=_money(row.get("contract_instalment")))
        self._means, self._ending = (means, means.affordable), (ending, ending.affordable)
        self._memo = engine.quotes

    def wish_for(self, compiled: CompiledOffer) -> Wish | None:
        """What is wished of an offer; None: nothing that it could answer.

        An offer answers a wished amount, term and deposit if it says so (its starting amount reads
        `wished_amount`), or if the request asks for its product or family. A budget a month, an
        excess and a mileage that a request names hold for whatever has them.
        """
        asked = self.asked
        if asked is None:
            return self.remembered if compiled.answers_wish else None
        if asked.product is not None or compiled.answers_wish:
            return asked
        return self._bounds

    def priced(
        self, compiled: CompiledOffer, values: Sequence[FactValue], *, wish: Wish | None
    ) -> Priced | Unfit:
        """The terms of an offer and what its sale is worth.

        `values`: of the engine's program, after its conditions. Where nothing is wished, what an
        offer starts with is the same for whoever has the same inputs of the card, and it holds
        wherever it can be afforded: it is remembered.
        """
        means, most = self._ending if compiled.ends_contract else self._means
        if wish is not None or compiled.servicing:
            return self._priced(compiled, self._fit(compiled, values, wish, means))
        if compiled.credit and most is None and means.unknown_income == "refuse":
            return Unfit("affordability.unknown")
        start = None if compiled.start is None else values[compiled.start]
        car = None if compiled.car_value is None else values[compiled.car_value]
        key = (compiled.index, start, car, means.tier, means.condition, self._day)
        quotes = self._memo.of(key)
        known = quotes.known
        if known is None:
            known = self._priced(compiled, self._fit(compiled, values, None, _open(means)))
            if compiled.margin_of_terms:
                self._memo.keep(key, Remembered(known))
        if isinstance(known, Unfit) or not compiled.credit or most is None:
            return known
        if known.quote.instalment <= most:
            return known
        return quotes.within(most) or self._within(compiled, values, means, most, quotes)

    def _within(
        self,
        compiled: CompiledOffer,
        values: Sequence[FactValue],
        means: Means,
        most: Decimal,
        quotes: Remembered,
    ) -> Priced | Unfit:
        """What the customer can afford of an offer that is too much for them as it starts."""
        if quotes.known is not None:
            if quotes.least is None:
                nothing = replace(means, income=_NOTHING, spending=None, instalments=None)
                quotes.least = _least(self._fit(compiled, values, None, nothing))
            if quotes.least * _SURELY > most * _helped(compiled):
                return _exceeded(most, quotes.least)
        fitted = self._priced(compiled, self._fit(compiled, values, None, means))
        if isinstance(fitted, Priced):
            quotes.learn(most, fitted)
        return fitted

    def _priced(self, compiled: CompiledOffer, fitted: Quote | Unfit) -> Priced | Unfit:
        if isinstance(fitted, Unfit):
            return fitted
        return Priced(fitted, margin(compiled, self._row, fitted), float(fitted.amount))

    def _fit(
        self,
        compiled: CompiledOffer,
        values: Sequence[FactValue],
        wish: Wish | None,
        means: Means,
    ) -> Quote | Unfit:
        ranges = compiled.offer.terms
        if isinstance(ranges, CreditTerms) and compiled.car_value is not None:
            means = replace(means, car_value=_money(values[compiled.car_value]), condition=USED)
        return quote(
            ranges,
            product=compiled.offer.products[0],
            cards=self._engine.cards,
            currency=self._engine.policy.currency,
            on=self._day,
            wanted=self._wanted(compiled, values, wish),
            means=means,
        )

    def _wanted(
        self, compiled: CompiledOffer, values: Sequence[FactValue], wish: Wish | None
    ) -> Wanted:
        start = None if compiled.start is None else _money(values[compiled.start])
        if isinstance(compiled.offer.terms, ServicingTerms):
            return self._servicing(wish or _NO_WISH)
        if wish is None:
            return Wanted(start_amount=start)
        return Wanted(
            amount=money(wish.amount),
            months=wish.months,
            deposit=money(wish.deposit),
            instalment=money(wish.instalment),
            excess=money(wish.excess),
            mileage_km_year=wish.mileage_km_year,
            start_amount=start,
        )

    def _servicing(self, wish: Wish) -> Wanted:
        row = self._row
        late = _number(row, "days_in_arrears")
        monthly = _number(row, "contract_instalment")
        if monthly is None:
            monthly = _number(row, "instalments")
        arrears = None
        if late is not None and monthly is not None:
            arrears = money(ceil(late / DAYS_A_MONTH) * monthly)
        left = _number(row, "months_to_maturity")
        return Wanted(
            months=wish.months,
            instalment=money(wish.instalment),
            payoff=_money(row.get("payoff")),
            arrears=arrears,
            remaining_months=None if left is None else max(1, ceil(left)),
        )


def _open(means: Means) -> Means:
    """The same inputs of the card, and nothing that limits an instalment."""
    return replace(means, income=None, unknown_income="allow")


def _helped(compiled: CompiledOffer) -> Decimal:
    """How many times what a customer can afford a guarantor makes possible."""
    terms = compiled.offer.terms
    share = terms.guarantor_from if isinstance(terms, CreditTerms) else None
    return _ONE if share is None else 1 / Decimal(str(min(share, 1.0)))


def _least(refused: Quote | Unfit) -> Decimal:
    """The lowest instalment that the offer's ranges hold; 0: that is not told."""
    told = dict(refused.facts).get("least_instalment") if isinstance(refused, Unfit) else None
    return _NOTHING if told is None else Decimal(told)


def _exceeded(most: Decimal, least: Decimal) -> Unfit:
    """As the terms room says it."""
    limit = most.quantize(_CENT, ROUND_FLOOR)
    facts = (("limit", str(limit)), ("least_instalment", str(least)))
    return Unfit("affordability.exceeded", facts)


def _wish_of(row: dict[str, FactValue]) -> Wish | None:
    at, today = _number(row, "wished_at"), _number(row, "today")
    if at is None or today is None or today - at > WISH_DAYS:
        return None
    months = _number(row, "wished_months")
    wish = Wish(
        amount=_number(row, "wished_amount"),
        months=None if months is None else int(months),
        deposit=_number(row, "wished_deposit"),
        instalment=_number(row, "wished_instalment"),
    )
    return None if wish == _NO_WISH else wish


def _bounds(wish: Wish) -> Wish | None:
    """What a wish says to offers that are not what was wished for."""
    rest = replace(wish, amount=None, months=None, deposit=None, product=None)
    return None if rest == _NO_WISH else rest


def _means_of(engine: Engine, row: dict[str, FactValue], *, relief: bool) -> Means:
    affordability = engine.policy.affordability
    tier, condition = row.get("risk_tier"), row.get("context_car_condition")
    return Means(
        tier=tier if isinstance(tier, str) else None,
        income=_money(row.get("income")),
        spending=_money(row.get("spending")),
        instalments=_money(row.get("instalments")),
        share=Decimal(repr(affordability.share)),
        unknown_income=affordability.unknown_income,
        condition=condition if isinstance(condition, str) else None,
        relief=relief,
    )


def _number(row: dict[str, FactValue], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _money(value: FactValue) -> Decimal | None:
    """An amount to the cent; None: it is not known, or no amount that anybody has."""
    if isinstance(value, int | float) and abs(value) < _MOST:
        return money(value)
    return None
