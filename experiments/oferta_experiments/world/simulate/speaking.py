"""A month of an arm: every customer is met once, decided on, and answers as they truly would."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision, OfferMade
from oferta.decisions.engine import Engine
from oferta.decisions.request import STRANGER, Known, Request
from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState
from oferta.policy.feedback import Feedback, FeedbackKind
from oferta.policy.state import apply_feedback
from oferta.progress import Advance
from oferta.terms.quote import Terms
from oferta_experiments.world.answers import Responses, Shown, respond
from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.moments import moments, possible
from oferta_experiments.world.people import CHANNELS
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.sell import sell
from oferta_experiments.world.simulate.inputs import Told
from oferta_experiments.world.times import DAY_S, first_day

APP: Final = ("app", "home")
MAIL: Final = ("email", "newsletter")
_ON_DAY: Final = 1
_AT_S: Final = 10 * 3600  # in the morning: no channel is silent then
_DECIDES_S: Final = 4 * DAY_S  # from a yes to what follows of it
_COMES: Final = 0.45  # of the usual activity: comes to the app within a month
_SAYS_NO: Final = 0.05


@dataclass(slots=True)
class Offers:
    """Every offer that was made, by column; `(rows,)` each.

    Attributes:
        who: the customer's row; product: position; month: number; said: P(accept) by the engine.
        truth: what would come of it; accepted, sold: what came of it.
    """

    who: Ints
    product: Ints
    month: Ints
    said: Reals
    truth: Responses
    accepted: Flags
    sold: Flags


@dataclass(slots=True)
class Speaker:
    """An arm's way to speak to customers in a month; a `month.Contact`.

    Attributes:
        ids: customer ids by row. told: what is known this month. states: contacts so far, by row.
    """

    engine: Engine
    ids: list[str]
    advance: Advance
    states: list[CustomerState] = field(default_factory=list)
    made: list[Offers] = field(default_factory=list)
    met: int = 0
    told: Told | None = None

    def __post_init__(self) -> None:
        self.states = [NEVER_SPOKEN_TO] * len(self.ids)

    def __call__(self, chunk: Chunk, month: int, active: Flags) -> None:
        """Meet every customer once: in the app if they come by, by e-mail if not."""
        day = int(first_day(month)) + _ON_DAY
        at_s = day * DAY_S + _AT_S
        comes = chunk.luck.share("comes", np.arange(len(active))) < np.minimum(
            _COMES * chunk.people.activity, 0.95
        )
        found: list[tuple[int, OfferMade, Decision]] = []
        for row in np.flatnonzero(active):
            decision = self._decided(int(row), APP if comes[row] else MAIL, month, at_s)
            if decision.offers:
                found.append((int(row), decision.offers[0], decision))
        self.met += int(active.sum())
        self.advance(int(active.sum()))
        if found:
            self._answers(chunk, found, month=month, day=day, at_s=at_s)

    def _decided(self, row: int, way: tuple[str, str], month: int, at_s: int) -> Decision:
        if self.told is None:
            raise ValueError("nothing is told of this month")
        channel, placement = way
        known = Known(
            customer=self.told.customers.get(self.ids[row], STRANGER),
            popular=self.told.popular,
            at=float(at_s),
            state=self.states[row],
            release=month,
            model=self.told.model,
            release_at=self.told.at,
        )
        request = Request(self.ids[row], channel, (placement,), n=1)
        decision = decide(self.engine, request, known)
        self.states[row] = decision.state
        return decision

    def _answers(
        self,
        chunk: Chunk,
        found: list[tuple[int, OfferMade, Decision]],
        *,
        month: int,
        day: int,
        at_s: int,
    ) -> None:
        products, people, state, luck = chunk.products, chunk.people, chunk.state, chunk.luck
        place = {name: at for at, name in enumerate(products.ids)}
        who = np.array([row for row, _, _ in found])
        product = np.array([place[offer.products[0]] for _, offer, _ in found])
        channel = np.array([CHANNELS.index(offer.channel) for _, offer, _ in found])
        shown = shown_terms([offer.terms for _, offer, _ in found])
        at = moments(state, products, day)
        can = possible(state, products, at, day)
        truth = respond(
            products,
            people,
            state,
            at=at,
            can=can,
            day=day,
            who=who,
            product=product,
            channel=channel,
            shown=shown,
        )
        said = luck.stream("answers").random((len(people), len(products)))[who, product]
        accepted = said < truth.accept
        refused = ~accepted & (luck.share("says no", who) < _SAYS_NO)
        state.contacts[who] += 1
        moment = np.full(len(who), at_s)
        add = chunk.events.add
        add("impression", who, product, at=moment, channel=channel)
        add("click", who[accepted], product[accepted], at=moment[accepted] + 60, channel=0)
        add("decline", who[refused], product[refused], at=moment[refused] + 60, channel=0)
        sold = np.zeros(len(who), np.bool_)
        yes = np.flatnonzero(accepted)
        sold[yes] = sell(
            chunk,
            who[yes],
            product[yes],
            at=moment[yes] + _DECIDES_S,
            channel=channel[yes],
            event="accept",
            shown=shown.only(yes),
        )
        for (row, offer, decision), yes_said, no_said in zip(found, accepted, refused, strict=True):
            answer: FeedbackKind = "accept" if yes_said else "decline" if no_said else "impression"
            self._hear(row, offer, decision, answer, float(at_s + 60))
        self.made.append(
            Offers(
                who,
                product,
                np.full(len(who), month),
                np.array([offer.parts.accept for _, offer, _ in found]),
                truth,
                accepted,
                sold,
            )
        )

    def _hear(
        self, row: int, offer: OfferMade, decision: Decision, kind: FeedbackKind, at: float
    ) -> None:
        heard = Feedback(
            id=f"{decision.id}-{kind}",
            decision=decision.id,
            offer=offer.offer,
            product=offer.products[0],
            family=self.engine.by_id[offer.offer].offer.family,
            kind=kind,
            at=at,
            products=offer.products,
        )
        self.states[row] = apply_feedback(self.states[row], heard, policy=self.engine.policy)


def shown_terms(terms: list[Terms | None]) -> Shown:
    """Terms as customers see them; NaN where there are none."""
    rows = [_row(one) for one in terms]
    columns = np.array(rows, np.float64).reshape(len(rows), 6).T
    return Shown(*columns)


def _row(terms: Terms | None) -> tuple[float, ...]:
    absent = float("nan")
    if terms is None:
        return (absent,) * 6
    excess = absent if terms.excess is None else float(terms.excess)
    lent = terms.annual_rate is not None
    # What is not lent is compared by the year; what lasts longer is paid for longer.
    years = max(terms.months / 12, 1.0)
    return (
        float(terms.amount) if lent else absent,
        float(terms.months) if lent else absent,
        float(terms.rate) if lent else absent,
        float(terms.instalment) if lent else absent,
        absent if lent else float(terms.total_payable) / years,
        excess,
    )
