"""What a batch wishes and can afford, as the terms room takes it: the columns of `pricing`."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from oferta.catalogue.ranges import CreditTerms, ServicingTerms
from oferta.decisions.base_batch import Batch, Floats, Rows
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.engine import Engine
from oferta.decisions.pricing import DAYS_A_MONTH, USED, WISH_DAYS
from oferta.terms.many_columns import Columns

_CONDITIONS: Final = ("new", USED)
_WISHES: Final = ("amount", "months", "deposit", "instalment")


class BaseMeans:
    """Wish and means of a batch; the columns of one offer's terms are made from them."""

    def __init__(self, engine: Engine, batch: Batch, values: list[Floats]) -> None:
        self._values = values
        affordability = engine.policy.affordability
        tiers = batch.facts["risk_tier"]
        self.tiers: tuple[str, ...] = tuple(sorted(set(tiers.drop_nulls())))
        place = {tier: at for at, tier in enumerate(self.tiers)}
        self.tier: Rows = np.array(
            [-1 if tier is None else place[tier] for tier in tiers], np.int64
        )
        self._means = Columns(
            size=len(batch),
            tier=self.tier,
            tiers=self.tiers,
            condition=_condition(batch),
            conditions=_CONDITIONS,
            income=batch.numbers("income"),
            spending=batch.numbers("spending"),
            instalments=batch.numbers("instalments"),
            relief=batch.arrears,
            share=Decimal(repr(affordability.share)),
            unknown_income=affordability.unknown_income,
        )
        self._ending = batch.numbers("contract_instalment")
        wished = batch.numbers("today") - batch.numbers("wished_at") <= WISH_DAYS
        self._wishes = {
            name: np.where(wished, batch.numbers(f"wished_{name}"), np.nan) for name in _WISHES
        }
        self._servicing = _servicing(batch)

    def columns(self, compiled: CompiledOffer, rows: Rows) -> Columns:
        """What the customers of `rows` ask of an offer."""
        found = self._means
        if compiled.answers_wish:
            wishes = self._wishes
            found = replace(
                found,
                amount=wishes["amount"],
                months=wishes["months"],
                deposit=wishes["deposit"],
                instalment=wishes["instalment"],
            )
        if compiled.ends_contract:
            found = replace(found, replaced=self._ending)
        if compiled.start is not None:
            found = replace(found, start_amount=self._values[compiled.start])
        if isinstance(compiled.offer.terms, ServicingTerms):
            payoff, arrears, remaining = self._servicing
            found = replace(found, payoff=payoff, arrears=arrears, remaining_months=remaining)
        elif isinstance(compiled.offer.terms, CreditTerms) and compiled.car_value is not None:
            used = np.full(found.size, _CONDITIONS.index(USED))
            found = replace(found, car_value=self._values[compiled.car_value], condition=used)
        return found.taken(rows)


def _condition(batch: Batch) -> Rows | None:
    """Of the car in the placement's context, where there is one."""
    name = "context_car_condition"
    if name not in batch.facts.columns or batch.facts[name].null_count() == len(batch):
        return None
    place = {condition: at for at, condition in enumerate(_CONDITIONS)}
    return np.array([place.get(one, -1) for one in batch.facts[name]], np.int64)


def _servicing(batch: Batch) -> tuple[Floats, Floats, Floats]:
    """Payoff, what is late, and remaining months, as `oferta.decisions.pricing` tells them."""
    late = batch.numbers("days_in_arrears")
    monthly = batch.numbers("contract_instalment")
    monthly = np.where(np.isnan(monthly), batch.numbers("instalments"), monthly)
    left = batch.numbers("months_to_maturity")
    arrears = np.ceil(late / DAYS_A_MONTH) * monthly
    return batch.numbers("payoff"), arrears, np.maximum(np.ceil(left), 1.0)
