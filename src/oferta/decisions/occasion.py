"""The request that a whole base is asked with."""

from collections.abc import Mapping, Sequence

from oferta.catalogue.offers import ANY_CHANNEL
from oferta.decisions.checks import named
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Request
from oferta.errors import RequestInvalid


def occasion(
    engine: Engine,
    *,
    channel: str = ANY_CHANNEL,
    placements: Sequence[str] = (),
    context: Mapping[str, FactValue] | None = None,
    offers: Sequence[str] = (),
) -> Request:
    """A dry run of nobody in particular; its customer is filled in where one is asked for.

    Where no placement is named, those of the channel whose context is given: nobody can tell at
    what charging stop a million customers stand.

    Raises:
        RequestInvalid: the channel has no such placement.
    """
    given = dict(context or {})
    chosen = tuple(placements)
    if not chosen and channel != ANY_CHANNEL:
        if channel not in engine.policy.channels:
            raise RequestInvalid("channel", named("channel", channel, engine.policy.channels))
        mine = [place for place in engine.catalogue.placements if place.channel == channel]
        chosen = tuple(place.id for place in mine if all(name in given for name in place.context))
        if not chosen:
            needed = sorted({name for place in mine for name in place.context})
            asks = f"every one asks for context: {', '.join(needed)}" if mine else "it has none"
            raise RequestInvalid("placements", f"channel '{channel}': {asks}")
    return Request(
        "", channel, chosen, context=given, dry_run=True, offers=tuple(dict.fromkeys(offers))
    )
