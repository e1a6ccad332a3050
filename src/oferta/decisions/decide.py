"""The decision: which offer, with which terms, through which channel, should be made now, or none.

Pure and deterministic: the same engine, request and known facts give an equal decision, on any
machine. The order is that of `oferta.decisions.decision.STAGES`; nothing later overrides a no.
"""

from collections.abc import Sequence

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.arbitration import accept, approved, loss_rate, margin, value_of
from oferta.decisions.asked import Asked, ask
from oferta.decisions.assemble import assemble
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Decision, Rejection, Versions
from oferta.decisions.engine import Engine
from oferta.decisions.gate import gated
from oferta.decisions.identity import seed_of, tie
from oferta.decisions.made import Made
from oferta.decisions.offered import Pick, Valued
from oferta.decisions.pricing import Pricer
from oferta.decisions.request import FactValue, Known, Request
from oferta.decisions.room import CapRoom
from oferta.decisions.row import anyones_row, day_number
from oferta.decisions.sift import candidates, eligible, open_offers, reachable
from oferta.decisions.slots import Slots, fill, not_picked
from oferta.decisions.view import View, view_of
from oferta.terms.quote import Quote, Unfit


def decide(engine: Engine, request: Request, known: Known) -> Decision:
    """The decision on `request`.

    Raises:
        RequestInvalid: a field of the request is missing, mistyped or names what there is not.
    """
    asked = ask(engine, request)
    view = view_of(engine, request, known)
    versions = Versions(
        policy=engine.policy_version,
        catalogue=engine.catalogue_version,
        rate_card=engine.cards.version,
        release=known.release,
        model=known.model,
    )
    seed = seed_of(
        request,
        customer=view.customer,
        placements=tuple(place.id for _, places in asked.ways for place in places),
        versions=versions,
        day=view.day,
    )
    work = _Work(engine, request, asked, known, view, seed)
    made = work.best()
    return assemble(engine, request, known, view, versions, seed, made)


class _Work:
    """One decision being made: what all channels share is computed once."""

    __slots__ = ("asked", "engine", "known", "left", "rejected", "request", "row", "seed", "view")

    def __init__(
        self,
        engine: Engine,
        request: Request,
        asked: Asked,
        known: Known,
        view: View,
        seed: int,
    ) -> None:
        self.engine = engine
        self.request = request
        self.asked = asked
        self.known = known
        self.view = view
        self.seed = seed
        self.left, self.rejected = candidates(engine, request, known, view)
        self.row = anyones_row(view.day, asked.context)
        if view.personal:
            today = int(day_number(view.day))
            self.row = {**engine.deriver.derive(view.facts, today=today), **self.row}

    def best(self) -> Made:
        """The channel whose offers are worth most; of equals the one the customer prefers."""
        ways = self.asked.ways
        made = [self.on(channel, placements) for channel, placements in ways]
        if len(made) == 1:
            return made[0]
        preferred = self.view.facts.get("channel_preference")
        order = {channel: number for number, (channel, _) in enumerate(ways)}
        return max(
            made,
            key=lambda one: (one.worth, one.channel == preferred, -order[one.channel]),
        )

    def on(self, channel: Channel, placements: tuple[Placement, ...]) -> Made:
        """What can be made on one channel."""
        engine, view = self.engine, self.view
        rejected = list(self.rejected)
        opened = open_offers(self.left, channel, placements, view.at)
        rejected += opened.rejected
        row = {**self.row, "channel": channel}
        values = engine.program(row)
        failed = _failed(values, len(engine.conditions))
        left, dropped = eligible(
            opened.left, failed, servicing_only=view.servicing_only, asked=self.asked, row=row
        )
        rejected += dropped
        caps = self._caps()
        reached = reachable(
            engine, left, view, channel, placements, caps, consents=self.known.customer.facts
        )
        rejected += reached.rejected
        pricer = Pricer(engine, self.request, view, row)
        start_values = values[len(engine.conditions) :]
        valued, dropped = self._valued(reached.left, pricer, start_values, failed, row)
        rejected += dropped
        slots = Slots(
            channel=channel,
            placements=placements,
            room=self.asked.room,
            per_family=engine.policy.diversity.per_family,
            explore=self._exploration(),
            selection=view.selection,
            seed=self.seed,
        )
        picks = fill(slots, valued, caps)
        rejected += not_picked(slots, valued, picks, caps)
        again = [*opened.again, *reached.again]
        if not view.personal and picks:
            stop = gated(engine, self.known, channel, picks)
            if stop is not None:
                rejected += [Rejection(offer, *stop.why) for offer in _ids(picks)]
                again += stop.again
                picks = []
        return Made(
            channel=channel,
            placements=placements,
            picks=picks,
            rejected=rejected,
            again=again,
            caps=caps,
            pricer=pricer,
            row=row,
            values=start_values,
            failed=failed,
        )

    def _caps(self) -> CapRoom:
        return CapRoom(
            self.engine.caps if self.view.personal else (),
            self.engine.total_caps,
            contacts=self.view.state.contacts,
            totals=self.known.totals,
            at=self.view.at,
        )

    def _exploration(self) -> float:
        if not self.view.personal or self.view.servicing_only:
            return 0.0
        return self.engine.policy.exploration.share

    def _valued(
        self,
        offers: Sequence[CompiledOffer],
        pricer: Pricer,
        values: Sequence[FactValue],
        failed: int,
        row: dict[str, FactValue],
    ) -> tuple[list[Valued], list[Rejection]]:
        """Terms and expected value of each offer, the best first."""
        valued: list[Valued] = []
        rejected: list[Rejection] = []
        for compiled in offers:
            one = (
                self._value(compiled, pricer, values, failed, row)
                if self.view.personal
                else self._anyones(compiled, pricer, values, failed)
            )
            if isinstance(one, Valued):
                valued.append(one)
            else:
                rejected.append(one)
        valued.sort(key=_order)
        return valued, rejected

    def _value(
        self,
        compiled: CompiledOffer,
        pricer: Pricer,
        values: Sequence[FactValue],
        failed: int,
        row: dict[str, FactValue],
    ) -> Valued | Rejection:
        quote = pricer.quote(compiled, values, wish=pricer.wish)
        if isinstance(quote, Unfit):
            return _unfit(compiled, quote)
        offer, risk = compiled.offer, self.engine.policy.risk
        worth = margin(compiled, row, quote)
        if worth is None:
            if not self.view.servicing_only:
                return compiled.dropped["margin.unknown"]
            worth = 0.0
        chance, source = accept(offer.products[0], self.known, personal=True)
        tier = _text(row.get("risk_tier"))
        passes = approved(offer.family, tier, risk)
        loss = loss_rate(offer.family, tier, risk) * float(quote.amount) if compiled.credit else 0.0
        context = _context(compiled, failed)
        value = value_of(chance, passes, worth, loss, context, compiled.lever)
        if value <= 0.0 and not self.view.servicing_only:
            return compiled.dropped["value.negative"]
        return Valued(
            value,
            self._tie(offer.id),
            compiled,
            quote,
            chance,
            source,
            passes,
            worth,
            loss,
            context,
        )

    def _anyones(
        self, compiled: CompiledOffer, pricer: Pricer, values: Sequence[FactValue], failed: int
    ) -> Valued | Rejection:
        """An offer for nobody in particular: ranked by its base rate, credit without terms."""
        chance, source = accept(compiled.offer.products[0], self.known, personal=False)
        quote: Quote | None = None
        if not compiled.credit:
            fitted = pricer.quote(compiled, values, wish=None)
            quote = None if isinstance(fitted, Unfit) else fitted
        context = _context(compiled, failed)
        value = value_of(chance, 1.0, 1.0, 0.0, context, compiled.lever)
        tied = self._tie(compiled.offer.id)
        return Valued(value, tied, compiled, quote, chance, source, 1.0, 1.0, 0.0, context)

    def _tie(self, offer: str) -> int:
        return tie(offer, self.seed)


def _failed(values: Sequence[FactValue], conditions: int) -> int:
    """A bit for every condition that is not true."""
    failed = 0
    bit = 1
    for value in values[:conditions]:
        if value is not True:
            failed |= bit
        bit <<= 1
    return failed


def _context(compiled: CompiledOffer, failed: int) -> float:
    context = 1.0
    for weight in compiled.weights:
        if not failed >> weight.bit & 1:
            context *= weight.factor
    return context


def _order(valued: Valued) -> tuple[float, int, str]:
    return -valued.value, valued.tie, valued.compiled.offer.id


def _unfit(compiled: CompiledOffer, unfit: Unfit) -> Rejection:
    detail = ", ".join(f"{name}={value}" for name, value in unfit.facts)
    return Rejection(compiled.offer.id, "terms", unfit.code, detail)


def _ids(picks: Sequence[Pick]) -> list[str]:
    return [pick.valued.compiled.offer.id for pick in picks]


def _text(value: FactValue) -> str | None:
    return value if isinstance(value, str) else None
