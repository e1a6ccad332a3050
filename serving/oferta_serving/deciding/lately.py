"""What a customer did lately, laid over what a release knows of them: for a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from oferta.decisions.request import Customer, Settled
from oferta.events.types import BUILT_IN, EventType
from oferta.profile.overlay import Meanings, Times, overlay
from oferta.profile.recent import Recent, RecentEvent
from oferta.profile.settled import NO_PIECES, declined, pieces_of
from oferta_serving.view import ReleaseView


@dataclass(frozen=True, slots=True)
class Fresh:
    """A customer as of now.

    Attributes:
        customer: with the facts that follow from what they did.
        settled: by product id, why no offer of it is made: it was bought, or declined.
        events: how many events are in it that the release does not know of.
    """

    customer: Customer
    settled: Mapping[str, Settled] = field(default_factory=dict)
    events: int = 0


@dataclass(frozen=True, slots=True)
class Lately:
    """How events are laid over a profile.

    Attributes:
        types: what they mean.
        suppress_declined_d: for how many days a no holds.
    """

    types: Mapping[str, EventType] = field(default_factory=lambda: BUILT_IN)
    suppress_declined_d: float = 30.0

    def over(
        self, customer: Customer, recent: Recent, *, shard: int, view: ReleaseView, at: float
    ) -> Fresh:
        """The customer after what they did.

        Args:
            customer: of the release.
            recent: all that is kept of what they did.
            shard: their shard of events.
            view: the release.
            at: epoch seconds of the decision.
        """
        if not recent.events:
            return Fresh(customer)
        # A release that does not have them knows nothing of what they did.
        new = view.news(recent, shard) if customer.known else recent.events
        manifest = view.head.manifest
        facts = overlay(
            customer.facts,
            new,
            times=Times(
                manifest.profile_at or manifest.trained_at, at, ZoneInfo(manifest.profile_zone)
            ),
            meanings=Meanings(self.types, view.families),
        )
        no = declined(recent.events, self.types, now=at, days=self.suppress_declined_d)
        settled: dict[str, Settled] = dict.fromkeys(sorted(no), "declined")
        settled |= dict.fromkeys(sorted(self._bought(new, view)), "bought")
        return Fresh(replace(customer, facts=facts), settled, len(new))

    def _bought(self, events: Sequence[RecentEvent], view: ReleaseView) -> list[str]:
        """What may be had once, and is had by now."""
        return [
            product
            for product, pieces in pieces_of(events, self.types).items()
            if pieces > NO_PIECES and view.positions.get(product) in view.once_only
        ]
