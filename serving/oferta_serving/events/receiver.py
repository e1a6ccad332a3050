"""Accepting events: what can be told of them at once, and what waits for a consumer.

An event is durable before its sender is told so. One that answers a decision is heard there, too,
so that the next decision knows: after it was accepted, and again when it is sent again, which
changes nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from oferta.events.event import Event, encode_event
from oferta.policy.contact import Contact
from oferta.policy.feedback import FEEDBACK, FeedbackKind
from oferta.privacy.consents import NOTHING_SAID, Consents
from oferta.store.events import Arrival, Fate, Intake
from oferta.store.keys import KeySpace
from oferta_serving.consent.words import Words
from oferta_serving.deciding.heard import AHEAD_S
from oferta_serving.deciding.heard import Row as Told
from oferta_serving.deciding.store_health import RETRY, StoreHealth
from oferta_serving.events.rows import Row
from oferta_serving.live import Releases
from oferta_serving.metrics import Metrics
from oferta_serving.problems import ItemError, RequestRefused

if TYPE_CHECKING:
    from oferta_serving.deciding.parts import Deciding
    from oferta_serving.deciding.past import PastDecision

UNAVAILABLE: Final = "events.store_unavailable"
ERASED: Final = "customer.erased"
_LATER: Final = frozenset({UNAVAILABLE, "events.backlog", "decisions.rules_unavailable"})
_KINDS: Final[frozenset[str]] = frozenset(FEEDBACK)


@dataclass(frozen=True, slots=True)
class Received:
    """A row that was taken. `state`: accepted, duplicate, or parked: its product is not known."""

    index: int
    state: str


class Receiver:
    """Accepts events. For one event loop; any number of calls may run at once."""

    def __init__(
        self,
        intake: Intake,
        *,
        space: KeySpace,
        releases: Releases,
        health: StoreHealth,
        metrics: Metrics,
        deciding: "Deciding | None",
        words: Words,
    ) -> None:
        self._intake = intake
        self._space = space
        self._releases = releases
        self._health = health
        self._metrics = metrics
        self._deciding = deciding
        self._words = words

    async def receive(self, rows: Sequence[Row]) -> tuple[list[Received], list[ItemError]]:
        """What was taken, and which rows cannot be, by their positions.

        Raises:
            RequestRefused: Redis does not answer, or cannot write. Rows may have been accepted;
                sent again, they are told apart.
        """
        errors = [ItemError(row.index, ERASED) for row in rows if self._forgotten(row.event)]
        refused = {error.index for error in errors}
        rows = [row for row in rows if row.index not in refused]
        asked, answers = await self._answering(rows, errors)
        if not asked:
            return [], errors
        async with self._health.watched():
            fates = await self._intake.accept([self._arrival(row) for row in asked])
        taken: list[Row] = []
        received: list[Received] = []
        for row, fate in zip(asked, fates, strict=True):
            if fate is Fate.CONFLICT:
                errors.append(ItemError(row.index, "event.conflict", {"where": "event_id"}))
            elif fate is Fate.FULL:
                errors.append(ItemError(row.index, "events.backlog"))
            else:
                taken.append(row)
                state = "parked" if self._unknown(row.event) else "accepted"
                state = "duplicate" if fate is Fate.DUPLICATE else state
                received.append(Received(row.index, state))
        unheard = await self._hear([answers[row.index] for row in taken if row.index in answers])
        missed = {error.index for error in unheard}
        received = [one for one in received if one.index not in missed]
        for one in received:
            self._metrics.events.labels(one.state).inc()
        return received, [*errors, *unheard]

    def _forgotten(self, event: Event) -> bool:
        """Whether it is of a customer who was forgotten, as far as this machine's ledger tells."""
        if event.customer_id is None:
            return False
        digest = self._space.digest(event.customer_id)
        word = self._words.of(event.customer_id, digest, NOTHING_SAID)
        return isinstance(word, Consents) and word.erased

    def _arrival(self, row: Row) -> Arrival:
        event = row.event
        if event.customer_id is not None:
            owner = self._space.digest(event.customer_id)
        else:
            owner = self._space.session(event.session_id or "")
        data = encode_event(event)
        return Arrival(owner, event.id, row.said, data, waits=self._unknown(event))

    def _unknown(self, event: Event) -> bool:
        live = self._releases.current.live
        return (
            live is not None
            and event.product_id is not None
            and event.product_id not in live.positions
        )

    async def _answering(
        self, rows: Sequence[Row], errors: list[ItemError]
    ) -> tuple[list[Row], dict[int, Told]]:
        """The rows that may be accepted, and what some of them tell of a decision."""
        names = [row.event.decision_id for row in rows if row.event.decision_id is not None]
        if not names:
            return list(rows), {}
        pasts: dict[str, PastDecision] = {}
        if self._deciding is not None:
            wanted = list(dict.fromkeys(names))
            async with self._health.watched():
                found = await self._deciding.past.of(wanted)
            pasts = {one.id: one for one in found if one is not None}
        asked: list[Row] = []
        answers: dict[int, Told] = {}
        for row in rows:
            if row.event.decision_id is None:
                asked.append(row)
                continue
            checked = _checked(row, pasts.get(row.event.decision_id))
            if isinstance(checked, ItemError):
                errors.append(checked)
                continue
            asked.append(checked)
            told = _told(checked)
            if told is not None:
                answers[row.index] = told
        return asked, answers

    async def _hear(self, answers: Sequence[Told]) -> list[ItemError]:
        """Let decisions know; the rows that they could not be told of: to be sent again."""
        if not answers or self._deciding is None:
            return []
        code = UNAVAILABLE
        try:
            book = await self._deciding.rules.fresh()
            if book is not None:
                _, unheard = await self._deciding.listener.hear(answers, book)
                return unheard
            code = "decisions.rules_unavailable"
        except RequestRefused:
            pass  # accepted, but the next decision would not know: nothing half told
        return [ItemError(one.index, code) for one in answers]


def _checked(row: Row, past: "PastDecision | None") -> Row | ItemError:
    """The row with what its decision says of its offer; or what is wrong with it."""
    event = row.event
    # One answer for both: nobody learns of others' decisions.
    if past is None or past.request.customer_id != event.customer_id:
        return ItemError(row.index, "event.decision", {"where": "decision_id"})
    if event.at < past.decision.at - AHEAD_S:
        facts = {"where": "occurred_at", "problem": "before the decision"}
        return ItemError(row.index, "event.time", facts)
    contacts = past.decision.contacts
    contact: Contact | None = None
    if event.offer_id is not None:
        contact = next((one for one in contacts if one.offer == event.offer_id), None)
    elif event.product_id is not None:
        contact = next((one for one in contacts if one.product == event.product_id), None)
    elif len(contacts) == 1:
        contact = contacts[0]
    if contact is None:
        if event.offer_id is None and event.type not in _KINDS:
            return row  # something that followed the decision, not an answer to it
        return ItemError(row.index, "event.offer", {"where": "offer_id"})
    product = event.product_id or contact.product
    return replace(row, event=replace(event, offer_id=contact.offer, product_id=product))


def _told(row: Row) -> Told | None:
    event = row.event
    if event.type not in _KINDS or event.decision_id is None or event.offer_id is None:
        return None
    return Told(
        index=row.index,
        id=event.id,
        decision=event.decision_id,
        offer=event.offer_id,
        kind=cast("FeedbackKind", event.type),
        value=event.value,
        at=event.at,
        until=None,
    )


def retry_later(errors: Sequence[ItemError]) -> tuple[tuple[bytes, bytes], ...]:
    """The header that goes with refusals that a later attempt may not meet."""
    return RETRY if any(error.code in _LATER for error in errors) else ()
