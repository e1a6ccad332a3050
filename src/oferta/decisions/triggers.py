"""The engine speaks first: moments of the contract clock and patterns of behaviour, with an offer.

A policy's trigger is due for a customer where its `when` is true. It has the day of `due`, and it
fires once for each value of `once_per`: its id follows from trigger, customer and that value, so
whoever has seen the id has seen the trigger. A trigger without an offer that may be made now does
not fire, and may do so later.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import blake2b
from typing import Final

import numpy as np
import polars as pl

from oferta.catalogue.offers import ANY_CHANNEL
from oferta.catalogue.texts import Text
from oferta.decisions.ask_again import AskAgain
from oferta.decisions.base_batch import CUSTOMER, Batch, Rows
from oferta.decisions.base_rows import customers_of
from oferta.decisions.base_table import BaseTable
from oferta.decisions.decision import OfferMade
from oferta.decisions.engine import Engine, Trigger
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Customer, Request
from oferta.decisions.row import day_number
from oferta.decisions.whole_base import WholeBase
from oferta.policy.contact import CustomerState
from oferta.rules.frames import to_polars

_BATCH: Final = 1 << 15
_EPOCH: Final = date(1970, 1, 1)
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Due:
    """A trigger that is due for a customer. `once_per` is the value it fires once for, as text."""

    id: str
    trigger: str
    customer_id: str
    due: date
    once_per: str


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger with the offer to make, and why now."""

    due: Due
    made: OfferMade
    text: Text


@dataclass(frozen=True, slots=True)
class DueBlock:
    """Triggers that are due for some customers, and who these are."""

    due: tuple[Due, ...]
    customers: Mapping[str, Customer]

    def without(self, customers: Container[str]) -> "DueBlock":
        """As if nothing were due for these."""
        due = tuple(one for one in self.due if one.customer_id not in customers)
        return DueBlock(due, self.customers)


class Triggers:
    """The triggers of a policy over a base, on one occasion.

    Attributes:
        offers: by trigger, the ids of the offers that it may make.
        refused: of those asked again, how many got no offer, by reason code.
    """

    def __init__(
        self,
        engine: Engine,
        table: BaseTable,
        *,
        at: float,
        totals: Mapping[str, int] | None = None,
        channel: str = ANY_CHANNEL,
    ) -> None:
        """`totals`: places taken under caps over everybody, by counter.

        `channel`: through which the offers are to be made; by default each customer's best.

        Raises:
            RequestInvalid: there is no such channel, or it has no placement to fill unasked.
        """
        self._engine = engine
        self._whole = occasion(engine, channel=channel)
        self._table = table
        self._at = at
        self._again = AskAgain(engine, table, at=at, totals=totals or {})
        self.offers: Mapping[str, tuple[str, ...]] = {
            trigger.rule.name: _offers_of(trigger, engine) for trigger in engine.triggers
        }

    @property
    def refused(self) -> Mapping[str, int]:
        """See the class."""
        return self._again.refused

    def due(self, *, before: date | None = None, seen: Container[str] = ()) -> Iterator[DueBlock]:
        """What is due and was not seen, batch by batch of the base, empty blocks included.

        `before`: whose day is before this one; None: whatever the day. Only where an offer of the
        trigger could be made, as far as the base knows.
        """
        among = tuple(dict.fromkeys(offer for each in self.offers.values() for offer in each))
        if not among:
            return
        base = WholeBase(
            self._engine,
            replace(self._whole, offers=among),
            popular=self._table.base_rates,
            products=self._table.products,
            at=self._at,
        )
        for wide in self._table.batches(_BATCH):
            batch = base.batch(wide)
            able = {one.compiled.offer.id: one.rows for one in base.offers(batch)}
            found = [
                one
                for trigger in self._engine.triggers
                for one in self._due(trigger, batch, able, before)
                if one.id not in seen
            ]
            ids = pl.Series([one.customer_id for one in found], dtype=pl.String)
            rows = wide.filter(pl.col(CUSTOMER).is_in(ids.implode()))
            yield DueBlock(tuple(found), dict(customers_of(rows, self._table.products)))

    def fired(self, block: DueBlock, states: Mapping[str, CustomerState]) -> Iterator[Fired]:
        """Those of a block whose offer a decision makes, with the customers' states."""
        texts = {trigger.rule.name: trigger.rule.text for trigger in self._engine.triggers}
        for due in block.due:
            customer = due.customer_id
            decision = self._again.decide(
                self.request(due), customer, block.customers[customer], states.get(customer)
            )
            if decision is not None:
                yield Fired(due, decision.offers[0], texts[due.trigger])

    def request(self, due: Due) -> Request:
        """The dry run that finds the offer of what is due."""
        return replace(self._whole, customer_id=due.customer_id, offers=self.offers[due.trigger])

    def _due(
        self, trigger: Trigger, batch: Batch, able: Mapping[str, Rows], before: date | None
    ) -> Iterator[Due]:
        """`able`: by offer, the rows to which it could be made."""
        facts = batch.facts.with_columns(
            to_polars(trigger.when).fill_null(value=False).alias(".when"),
            to_polars(trigger.due).floor().alias(".due"),
            to_polars(trigger.once_per).alias(".once_per"),
        )
        true = facts[".when"] & facts[".due"].is_not_null() & facts[".once_per"].is_not_null()
        if before is not None:
            true &= facts[".due"] < day_number(before)
        offered = np.zeros(len(batch), bool)
        for offer in self.offers[trigger.rule.name]:
            if offer in able:
                offered[able[offer]] = True
        rows = np.flatnonzero(true.to_numpy() & offered)
        some = facts.select(".due", ".once_per")[rows]
        for customer, (day, once) in zip(batch.customers.gather(rows), some.rows(), strict=True):
            value = _text(once, trigger.once_per.kind)
            yield Due(
                id=trigger_id(trigger.rule.name, customer, value),
                trigger=trigger.rule.name,
                customer_id=customer,
                due=_EPOCH + timedelta(days=int(day)),
                once_per=value,
            )


def trigger_id(trigger: str, customer_id: str, once_per: str) -> str:
    """`t_` and 24 hexadecimal digits: the same whenever the same trigger is due anew."""
    text = f"{trigger}\0{customer_id}\0{once_per}"
    return f"t_{blake2b(text.encode(), digest_size=_DIGITS).hexdigest()}"


def _offers_of(trigger: Trigger, engine: Engine) -> tuple[str, ...]:
    rule = trigger.rule
    return tuple(
        compiled.offer.id
        for compiled in engine.offers
        if compiled.offer.id in rule.offers
        or compiled.offer.family in rule.families
        or not (rule.offers or rule.families)
    )


def _text(value: float | str | bool, kind: str) -> str:  # noqa: FBT001 - the value of a formula
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    if kind == "date":
        return (_EPOCH + timedelta(days=int(value // 1))).isoformat()
    return f"{value:.12g}"
