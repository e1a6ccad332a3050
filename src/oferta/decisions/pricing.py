"""Terms for offers: what is wished and what can be afforded, handed to the terms room.

Only wishes and means pass; whatever else is known of the customer stays outside.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Final

from oferta.catalogue.ranges import CreditTerms, ServicingTerms
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Request, Wish
from oferta.decisions.view import View
from oferta.terms.fit import quote
from oferta.terms.quote import Quote, Unfit
from oferta.terms.wanted import Means, Wanted, money

WISH_DAYS: Final = 90.0
"""A wish told to a calculator counts for so long."""

_DAYS_A_MONTH: Final = 30.4375


class Pricer:
    """Fits offers for one decision. `row`: all columns of rules, by name."""

    __slots__ = ("_engine", "_facts", "_means", "_row", "_view", "wish")

    def __init__(
        self, engine: Engine, request: Request, view: View, row: dict[str, FactValue]
    ) -> None:
        self._engine = engine
        self._view = view
        self._row = row
        self.wish = request.wish or _wish_of(row)
        self._means = _means_of(engine, row)

    def quote(
        self, compiled: CompiledOffer, values: Sequence[FactValue], *, wish: Wish | None
    ) -> Quote | Unfit:
        """The terms of an offer; `values`: of the engine's program, after its conditions.

        `wish`: what to fit to; None: nothing is wished.
        """
        ranges = compiled.offer.terms
        own_car = isinstance(ranges, CreditTerms) and ranges.car_value is not None
        return quote(
            ranges,
            product=compiled.offer.products[0],
            cards=self._engine.cards,
            currency=self._engine.policy.currency,
            on=self._view.day,
            wanted=self._wanted(compiled, values, wish),
            means=self._means_for(compiled, values, own_car=own_car),
        )

    def _wanted(
        self, compiled: CompiledOffer, values: Sequence[FactValue], wish: Wish | None
    ) -> Wanted:
        start = None if compiled.start is None else _money(values[compiled.start])
        if isinstance(compiled.offer.terms, ServicingTerms):
            return self._servicing(start)
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

    def _servicing(self, start: Decimal | None) -> Wanted:
        row = self._row
        late, monthly = row.get("days_in_arrears"), row.get("instalments")
        arrears = None
        if isinstance(late, float) and isinstance(monthly, float):
            arrears = money(ceil(late / _DAYS_A_MONTH) * monthly)
        left = row.get("months_to_maturity")
        return Wanted(
            start_amount=start,
            payoff=_money(row.get("payoff")),
            arrears=arrears,
            remaining_months=max(1, ceil(left)) if isinstance(left, float) else None,
        )

    def _means_for(
        self, compiled: CompiledOffer, values: Sequence[FactValue], *, own_car: bool
    ) -> Means:
        means = self._means
        if not own_car or compiled.car_value is None:
            return means
        # The customer's own car is a used one, whatever it was when bought.
        return replace(means, car_value=_money(values[compiled.car_value]), condition="used")


def _wish_of(row: dict[str, FactValue]) -> Wish | None:
    """The latest wish that the customer told a calculator, a search or a form."""
    at, today = row.get("wished_at"), row.get("today")
    if not (isinstance(at, float) and isinstance(today, float) and today - at <= WISH_DAYS):
        return None
    months = _number(row, "wished_months")
    return Wish(
        amount=_number(row, "wished_amount"),
        months=None if months is None else int(months),
        deposit=_number(row, "wished_deposit"),
        instalment=_number(row, "wished_instalment"),
    )


def _means_of(engine: Engine, row: dict[str, FactValue]) -> Means:
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
    )


def _number(row: dict[str, FactValue], name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, float) else None


def _money(value: FactValue) -> Decimal | None:
    return money(value) if isinstance(value, float) else None
