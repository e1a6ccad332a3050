"""`oferta` with a fault that the state machine must notice.

As a program: python -m journeys.planted_live PLANT serve ...
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from oferta.cli import main
from oferta.privacy.consents import Consents
from oferta.profile.recent import Recent, RecentEvent
from oferta_serving import lookup
from oferta_serving.fresh import Asked, Freshener, Overlay
from oferta_serving.view import ReleaseView


def follow_who_refused() -> None:
    """Who refuses loses the release's list, and still gets one of what they do."""
    was = lookup.Lookup._found

    def found(self: lookup.Lookup, *asked: object) -> lookup.Found:
        made: lookup.Found = was(self, *asked)  # type: ignore[arg-type]
        recent = asked[-1].recent  # type: ignore[attr-defined]
        if made.anybody and isinstance(recent, Recent) and recent.events:
            return lookup.Found(made.view, None, None, recent=recent, consents=Consents())
        return made

    lookup.Lookup._found = found  # type: ignore[method-assign]


def drop_at_publish() -> None:
    """A new release is taken to know all that happened before it was made."""
    news = ReleaseView.news

    def later(self: ReleaseView, recent: Recent, shard: int) -> Sequence[RecentEvent]:
        made_at = self.head.manifest.created_at
        return [one for one in news(self, recent, shard) if one.at > made_at]

    ReleaseView.news = later  # type: ignore[method-assign]


def offer_what_is_held() -> None:
    """What may be had once is offered again, once it was bought, until the next release."""
    settled = Freshener._settled

    def careless(self: Freshener, asked: Asked, new: Sequence[RecentEvent], now: float) -> Overlay:
        return replace(settled(self, asked, new, now), row=asked.row, barred=frozenset())

    Freshener._settled = careless  # type: ignore[method-assign]


PLANTS: Final[Mapping[str, Callable[[], None]]] = {
    "follows who refused": follow_who_refused,
    "drops at publish": drop_at_publish,
    "offers what is held": offer_what_is_held,
}

if __name__ == "__main__":
    PLANTS[sys.argv.pop(1)]()
    main()
