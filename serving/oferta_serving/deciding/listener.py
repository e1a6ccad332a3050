"""Feedback, heard at once: a customer's next decision knows it.

The same feedback may come as often as it likes. Places in total caps are kept longer before the
state says why: whoever dies between the two has counted too much until the place's time ends, and
is told again by the sender.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import orjson

from oferta.clock import Clock
from oferta.errors import RecordCorrupt
from oferta.policy.contact import NEVER_SPOKEN_TO, Contact, CustomerState
from oferta.policy.feedback import Feedback
from oferta.policy.file import Policy
from oferta.policy.state import apply_feedback, decode_state, encode_state
from oferta.store.decision_records import mark_of, open_state, seal_state
from oferta.store.decisions import Change, Conflict, DecisionStore, Place
from oferta.store.keys import KeySpace
from oferta_serving.deciding.files import Rulebook
from oferta_serving.deciding.heard import AHEAD_S, Row
from oferta_serving.deciding.memory import remember_s
from oferta_serving.deciding.past import Past, PastDecision
from oferta_serving.deciding.store_health import RETRY, StoreHealth
from oferta_serving.deciding.totals import places
from oferta_serving.metrics import Metrics
from oferta_serving.problems import ItemError, RequestRefused

_BEFORE_S: Final = AHEAD_S


@dataclass(frozen=True, slots=True)
class Heard:
    """A row that was heard; `repeated` where it had been before."""

    row: Row
    repeated: bool


@dataclass(slots=True)
class _Customer:
    """The rows of one customer, and the state that they are applied to."""

    digest: bytes
    rows: list[tuple[Row, PastDecision]] = field(default_factory=list)
    state: CustomerState = NEVER_SPOKEN_TO
    mark: bytes = b""
    unreadable: bool = False

    def read(self, record: bytes | None) -> None:
        try:
            self.state = NEVER_SPOKEN_TO if record is None else decode_state(open_state(record))
        except RecordCorrupt:
            self.unreadable = True
        else:
            self.mark = mark_of(record)


class Listener:
    """Hears feedback. For one event loop; any number of calls may run at once."""

    def __init__(
        self,
        store: DecisionStore,
        past: Past,
        *,
        health: StoreHealth,
        space: KeySpace,
        clock: Clock,
        metrics: Metrics,
        deadline_s: float,
    ) -> None:
        self._store = store
        self._past = past
        self._health = health
        self._space = space
        self._clock = clock
        self._metrics = metrics
        self._deadline_s = deadline_s

    async def hear(
        self, rows: Sequence[Row], book: Rulebook
    ) -> tuple[list[Heard], list[ItemError]]:
        """What was heard, and which rows cannot be, by their positions.

        Raises:
            RequestRefused: Redis does not answer; rows may have been heard, and can be sent again.
        """
        async with self._health.watched():
            return await self._hear(rows, book)

    async def _hear(
        self, rows: Sequence[Row], book: Rulebook
    ) -> tuple[list[Heard], list[ItemError]]:
        deadline = time.monotonic() + self._deadline_s
        errors: list[ItemError] = []
        customers = await self._customers(rows, errors)
        heard: list[Heard] = []
        pending = customers
        while pending:
            changes: list[Change] = []
            told: list[list[Heard]] = []
            kept: list[Place] = []
            for customer in pending:
                change, of_customer, longer = self._change(customer, book)
                changes.append(change)
                told.append(of_customer)
                kept += longer
            await self._store.keep(kept, at=self._clock.now().timestamp())
            outcomes = await self._store.apply(changes)
            late: list[_Customer] = []
            for customer, outcome, of_customer in zip(pending, outcomes, told, strict=True):
                if isinstance(outcome, Conflict):
                    customer.read(outcome.state)
                    late.append(customer)
                else:
                    heard += of_customer
            pending = self._readable(late, errors)
            if pending:
                self._metrics.conflicts.labels("feedback").inc()
                if time.monotonic() > deadline:
                    raise RequestRefused("decisions.contended", headers=RETRY)
        for one in heard:
            if not one.repeated:
                self._metrics.feedback.labels(one.row.kind).inc()
        return heard, errors

    async def _customers(self, rows: Sequence[Row], errors: list[ItemError]) -> list[_Customer]:
        names = list(dict.fromkeys(row.decision for row in rows))
        decisions = dict(zip(names, await self._past.of(names), strict=True))
        customers: dict[bytes, _Customer] = {}
        for row in rows:
            past = decisions[row.decision]
            if past is None:
                errors.append(ItemError(row.index, "decision.unknown"))
            elif all(contact.offer != row.offer for contact in past.decision.contacts):
                errors.append(ItemError(row.index, "feedback.offer"))
            elif row.at < past.decision.at - _BEFORE_S:
                errors.append(ItemError(row.index, "feedback.time"))
            else:
                digest = self._space.digest(past.request.customer_id)
                customers.setdefault(digest, _Customer(digest)).rows.append((row, past))
        keys = [self._space.state(digest) for digest in customers]
        for customer, record in zip(customers.values(), await self._store.fetch(keys), strict=True):
            customer.read(record)
        return self._readable(list(customers.values()), errors)

    def _readable(self, customers: Sequence[_Customer], errors: list[ItemError]) -> list[_Customer]:
        for customer in customers:
            if customer.unreadable:
                self._metrics.damaged.labels("state").inc()
                errors += [
                    ItemError(row.index, "decisions.state_unreadable") for row, _ in customer.rows
                ]
        return [customer for customer in customers if not customer.unreadable]

    def _change(
        self, customer: _Customer, book: Rulebook
    ) -> tuple[Change, list[Heard], list[Place]]:
        """The customer's state after their rows; what is told of each; places that last longer."""
        policy = book.engine.policy
        state = customer.state
        heard: list[Heard] = []
        lines: list[bytes] = []
        touched: list[tuple[PastDecision, Feedback]] = []
        for row, past in customer.rows:
            before = state
            feedback = _feedback(row, past)
            state = apply_feedback(state, feedback, policy=policy)
            heard.append(Heard(row, repeated=state is before))
            if state is not before:
                lines.append(_line(row))
                touched.append((past, feedback))
        now = self._clock.now().timestamp()
        longer = [
            places(book.engine, _shown(past, feedback, state, policy), past.id)
            for past, feedback in touched
        ]
        sealed = seal_state(encode_state(state), version=state.version, at=now) if lines else None
        change = Change(
            customer=customer.digest,
            mark=customer.mark,
            state=sealed,
            state_ttl_s=remember_s(policy, state, at=now),
            log=lines,
        )
        return change, heard, list(chain.from_iterable(longer))


def _shown(
    past: PastDecision, feedback: Feedback, state: CustomerState, policy: Policy
) -> list[Contact]:
    """The contact that a feedback is about, if the customer has seen it by now.

    A non-personalised answer leaves no contact in the state, and counts all the same in total.
    """
    about = (feedback.decision, feedback.offer)
    contacts = [each for each in state.contacts if (each.decision, each.offer) == about]
    if not contacts:
        alone = CustomerState(contacts=past.decision.contacts)
        after = apply_feedback(alone, feedback, policy=policy)
        contacts = [each for each in after.contacts if each.offer == feedback.offer]
    return [each for each in contacts if each.shown_at is not None]


def _feedback(row: Row, past: PastDecision) -> Feedback:
    made = next(contact for contact in past.decision.contacts if contact.offer == row.offer)
    return Feedback(
        id=row.id,
        decision=past.decision.id,
        offer=made.offer,
        product=made.product,
        family=made.family,
        kind=row.kind,
        at=row.at,
        until=row.until,
        products=next(one.products for one in past.decision.offers if one.offer == row.offer),
    )


def _line(row: Row) -> bytes:
    return orjson.dumps(
        {
            "kind": "feedback",
            "feedback_id": row.id,
            "decision_id": row.decision,
            "offer_id": row.offer,
            "type": row.kind,
            "value": row.value,
            "at": round(row.at, 3),
            "until": row.until,
        }
    )
