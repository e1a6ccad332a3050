"""A message that must not depend on the customer is sent whole or not at all.

A non-personalised list on a channel where the customer came to us is always given: in several
markets the law wants it available. One that we send is still a contact, so what they said to any
of its offers and their caps decide whether it goes out; they never change what is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from oferta.catalogue.offers import Channel
from oferta.decisions.decision import Stage
from oferta.decisions.engine import Engine
from oferta.decisions.offered import Pick
from oferta.decisions.request import Known
from oferta.decisions.room import CapRoom
from oferta.policy.caps import frees_at
from oferta.policy.silence import silence_on


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a message does not go out, and when it might: stage, code and detail of rejections."""

    why: tuple[Stage, str, str]
    again: tuple[float, ...]


def gated(engine: Engine, known: Known, channel: Channel, picks: Sequence[Pick]) -> Stop | None:
    """What stops the whole list on an outbound channel; None: it goes out."""
    if engine.policy.channels[channel].direction == "inbound":
        return None
    for pick in picks:
        offer = pick.valued.compiled.offer
        silence = silence_on(
            known.state.silences,
            offer=offer.id,
            products=offer.products,
            family=offer.family,
            scope=engine.policy.cool_down.scope,
            at=known.at,
        )
        if silence is not None:
            why: tuple[Stage, str, str] = ("contact", f"silence.{silence.answer}", silence.offer)
            return Stop(why, (silence.until,))
    contacts = known.state.contacts
    caps = CapRoom(engine.caps, (), contacts=contacts, totals={}, at=known.at)
    for pick in picks:
        offer, placement = pick.valued.compiled.offer, pick.placement.id
        stop = caps.stops(offer, channel, placement)
        if stop is not None:
            cap, key = stop
            free = frees_at(cap, contacts, key, at=known.at)
            again = () if free is None else (free,)
            return Stop(("contact", "cap.reached", f"{cap.name}/{key}"), again)
        caps.take(offer, channel, placement)
    return None
