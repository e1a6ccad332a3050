"""Customers found in the whole base, each asked again by a decision of their own.

What was found in columns knows no contacts; the decision knows the state that is given, and so has
the last word. Places under caps over everybody are counted as they would be taken, one customer
after the other. Nothing is reserved.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from oferta.decisions.base_table import BaseTable
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.engine import Engine
from oferta.decisions.request import Customer, Known, Request
from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState


class AskAgain:
    """Decides for one customer after the other. Changed by every decision: for one thread.

    Attributes:
        refused: how many got no offer, by the code of the reason.
    """

    def __init__(
        self, engine: Engine, table: BaseTable, *, at: float, totals: Mapping[str, int]
    ) -> None:
        """`totals`: places taken under caps over everybody, by counter."""
        self._engine = engine
        self._table = table
        self._at = at
        self._totals = dict(totals)
        self.refused = Counter[str]()

    def decide(
        self, request: Request, customer_id: str, customer: Customer, state: CustomerState | None
    ) -> Decision | None:
        """A personalised decision that makes an offer; None: it makes none."""
        known = Known(
            customer=customer,
            popular=self._table.base_rates,
            at=self._at,
            state=state or NEVER_SPOKEN_TO,
            totals=self._totals,
            model=self._table.model,
            release_at=self._table.created_at.timestamp(),
            data_at=self._table.as_of.timestamp(),
        )
        decision = decide(self._engine, replace(request, customer_id=customer_id), known)
        # Without consent, help in arrears is for who comes for it: nobody is sought out for it.
        if not decision.offers or decision.owed or not decision.personalised:
            code = "not_personalised" if decision.offers else decision.why[0][0]
            self.refused[code] += 1
            return None
        for name in decision.taken:
            self._totals[name] = self._totals.get(name, 0) + 1
        return decision
