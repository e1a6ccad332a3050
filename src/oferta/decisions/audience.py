"""The best customers for one offer: the whole base ranked, then each asked again.

Only customers whose answer may depend on them are in an audience: who has not agreed to that is not
picked by their propensities. The control group is left out for the same reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta.catalogue.offers import ANY_CHANNEL
from oferta.decisions.ask_again import AskAgain
from oferta.decisions.base_batch import CUSTOMER
from oferta.decisions.base_rows import customers_of
from oferta.decisions.base_table import BaseTable
from oferta.decisions.decision import OfferMade
from oferta.decisions.engine import Engine
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Customer
from oferta.decisions.whole_base import WholeBase
from oferta.errors import UnknownName
from oferta.policy.contact import CustomerState
from oferta.progress import Progress, Silent

_BATCH: Final = 1 << 17
_BLOCK: Final = 5000

People = list[tuple[str, Customer]]


@dataclass(frozen=True, slots=True)
class Member:
    """One customer of an audience; `rank` from 1, by expected value."""

    rank: int
    customer_id: str
    made: OfferMade


class Audience:
    """One offer's audience on one occasion.

    Attributes:
        found: how many the base has, before anybody is asked again.
        refused: of those asked again, how many got no offer, by reason code.

    Raises:
        UnknownName: the catalogue has no such offer.
        RequestInvalid: as of a decision.
    """

    def __init__(
        self,
        engine: Engine,
        table: BaseTable,
        offer: str,
        *,
        at: float,
        channel: str = ANY_CHANNEL,
        totals: Mapping[str, int] | None = None,
    ) -> None:
        """`totals`: places taken under caps over everybody, by counter."""
        if offer not in engine.by_id:
            raise UnknownName("offer", offer, engine.by_id)
        self._table = table
        self._request = occasion(engine, channel=channel, offers=(offer,))
        self._base = WholeBase(
            engine, self._request, popular=table.base_rates, products=table.products, at=at
        )
        self._again = AskAgain(engine, table, at=at, totals=totals or {})
        self._rank = 0
        self.found = 0

    @property
    def refused(self) -> Mapping[str, int]:
        """See the class."""
        return self._again.refused

    def ranked(self, *, limit: int | None = None, progress: Progress | None = None) -> list[str]:
        """Ids of all who could be made the offer, the highest expected value first.

        Of equal values the ids decide. With `limit`, so many and a reserve for those who will be
        refused when they are asked again.
        """
        found: list[pl.DataFrame] = []
        with (progress or Silent()).task("customers", total=self._table.customers) as advance:
            for wide in self._table.batches(_BATCH):
                batch = self._base.batch(wide)
                for makeable in self._base.offers(batch):
                    ids = batch.customers.gather(makeable.rows)
                    found.append(pl.DataFrame({CUSTOMER: ids, "value": makeable.value}))
                advance(len(wide))
        if not found:
            return []
        everyone = pl.concat(found).sort("value", CUSTOMER, descending=[True, False])
        self.found = len(everyone)
        kept = everyone if limit is None else everyone.head(2 * limit + _BLOCK)
        return kept[CUSTOMER].to_list()

    def blocks(self, ids: list[str]) -> Iterator[People]:
        """The customers of `ids`, in their order, some thousands at a time."""
        for start in range(0, len(ids), _BLOCK):
            block = ids[start : start + _BLOCK]
            rows = dict(customers_of(self._table.rows_of(block), self._table.products))
            yield [(customer_id, rows[customer_id]) for customer_id in block]

    def members(
        self, people: People, states: Mapping[str, CustomerState], *, limit: int | None = None
    ) -> Iterator[Member]:
        """Those of `people` who are made the offer, asked again with their states.

        `limit`: of the whole audience, over all calls.
        """
        for customer_id, customer in people:
            if limit is not None and self._rank >= limit:
                return
            decision = self._again.decide(
                self._request, customer_id, customer, states.get(customer_id)
            )
            if decision is not None:
                self._rank += 1
                yield Member(self._rank, customer_id, decision.offers[0])
