"""What an event says about a customer's wish for a product."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from oferta.errors import UnknownName

Meaning = Literal["conversion", "interest", "exposure", "rejection", "reversal"]


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: what it means and how much of a conversion it counts for.

    `conversion` is what sellers want and what evaluation asks a model to foresee; `interest` leads
    there; `exposure` was shown to the customer and says nothing of their wish; `rejection` is a no
    (weight 0: it suppresses, it is not a taste); `reversal` takes conversions back. `like` is the
    built-in type that it is, if it is one.
    """

    name: str
    meaning: Meaning
    weight: float
    like: str | None = None


_BUILT_IN: tuple[tuple[str, Meaning, float], ...] = (
    ("purchase", "conversion", 1.0),
    ("accept", "conversion", 1.0),
    ("funded", "conversion", 1.0),
    ("renewal", "conversion", 1.0),
    ("apply", "interest", 0.7),
    ("cart", "interest", 0.5),
    ("quote", "interest", 0.5),
    ("calculator", "interest", 0.3),
    ("click", "interest", 0.2),
    ("search", "interest", 0.1),
    ("view", "interest", 0.1),
    ("impression", "exposure", 0.0),
    ("decline", "rejection", 0.0),
    ("return", "reversal", -1.0),
    ("cancel", "reversal", -1.0),
)

BUILT_IN: Mapping[str, EventType] = MappingProxyType(
    {name: EventType(name, meaning, weight, name) for name, meaning, weight in _BUILT_IN}
)
"""Weights are a starting point (a purchase is one); a job states its own where studies say so."""


def event_types(
    names: Mapping[str, float | str] | None = None, *, seen: tuple[str, ...] = ()
) -> dict[str, EventType]:
    """Every type by name: built in, declared in `names`, or only `seen`.

    A declared name says which built-in type it is (`Kalkulator = "calculator"`), or its weight. A
    weight replaces a built-in type's and keeps its meaning; of a type that is not built in it tells
    the meaning: a conversion from 1, an interest between 0 and 1, an exposure at 0, a reversal
    below. A type that is only seen is a conversion of weight 1.

    Raises:
        UnknownName: a declared name is said to be a built-in type that there is not.
    """
    known = dict(BUILT_IN)
    for name, said in (names or {}).items():
        if isinstance(said, str):
            if said not in BUILT_IN:
                raise UnknownName("built-in event type", said, BUILT_IN)
            known[name] = replace(BUILT_IN[said], name=name)
        else:
            known[name] = (
                replace(known[name], weight=said)
                if name in known
                else EventType(name, _meaning(said), said)
            )
    for name in seen:
        known.setdefault(name, EventType(name, "conversion", 1.0))
    return known


def _meaning(weight: float) -> Meaning:
    if weight >= BUILT_IN["purchase"].weight:
        return "conversion"
    if weight > 0:
        return "interest"
    return "reversal" if weight < 0 else "exposure"
