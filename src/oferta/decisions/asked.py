"""A request read against the engine: which placements on which channels, and is it all right.

Whatever is wrong is a `RequestInvalid` that names the field, so that a caller can mend it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final

from oferta.catalogue.families import FAMILIES
from oferta.catalogue.offers import ANY_CHANNEL, Channel, ContextKind, Placement
from oferta.decisions.checks import named
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Request
from oferta.decisions.vocabulary import OFFER
from oferta.errors import InputError, RequestInvalid
from oferta.profile.facts import FactKind
from oferta.rules.language import parse
from oferta.rules.program import Program

_TYPES: Final[Mapping[ContextKind, tuple[type, ...]]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, resolved.

    Attributes:
        ways: per channel that may be used, its placements in the order asked.
        context: by column of rules (`context_NAME`).
        filter: the request's rule, compiled; None: none.
        room: at most so many offers; None: as the placements' sizes allow.
    """

    ways: tuple[tuple[Channel, tuple[Placement, ...]], ...]
    context: Mapping[str, FactValue]
    filter: Program | None
    room: int | None


def ask(engine: Engine, request: Request) -> Asked:
    """The request, resolved.

    Raises:
        RequestInvalid: naming the field that is wrong.
    """
    if request.n is not None and request.n < 1:
        raise RequestInvalid("n", f"{request.n} is less than 1")
    channels = engine.policy.channels
    if request.channel != ANY_CHANNEL and request.channel not in channels:
        raise RequestInvalid("channel", named("channel", request.channel, [*channels, ANY_CHANNEL]))
    placements = _placements(engine, request)
    ways = _ways(engine, request, placements)
    for number, name in enumerate(request.offers):
        if name not in engine.by_id:
            raise RequestInvalid(f"offers[{number}]", named("offer", name, engine.by_id))
    _known_context(engine, request.context)
    wished = None if request.wish is None else request.wish.product
    if wished is not None and wished not in FAMILIES and wished not in engine.names:
        problem = named("product or family", wished, [*engine.names, *FAMILIES])
        if wished in engine.by_id:
            problem = f"'{wished}' is an offer; a product or a family is asked for"
        raise RequestInvalid("wish.product", problem)
    return Asked(
        ways,
        _context(request.context, [place for _, places in ways for place in places]),
        None if request.filter is None else _filter(engine, request.filter),
        request.n,
    )


def _placements(engine: Engine, request: Request) -> tuple[Placement, ...]:
    found = []
    for number, name in enumerate(request.placements):
        placement = engine.placements.get(name)
        if placement is None:
            problem = named("placement", name, engine.placements)
            raise RequestInvalid(f"placements[{number}]", problem)
        if request.channel not in (ANY_CHANNEL, placement.channel):
            problem = f"'{name}' is on channel {placement.channel}, not on {request.channel}"
            raise RequestInvalid(f"placements[{number}]", problem)
        if placement in found:
            raise RequestInvalid(f"placements[{number}]", f"'{name}' is there twice")
        found.append(placement)
    return tuple(found)


def _ways(
    engine: Engine, request: Request, placements: tuple[Placement, ...]
) -> tuple[tuple[Channel, tuple[Placement, ...]], ...]:
    channels = engine.policy.channels
    given = placements or engine.catalogue.placements
    ways = []
    unmet: list[Placement] = []
    for channel in channels:
        if request.channel in (ANY_CHANNEL, channel):
            mine = tuple(place for place in given if place.channel == channel)
            if not placements:
                unmet += [place for place in mine if _missing(place, request.context)]
                mine = tuple(place for place in mine if place not in unmet)
            if mine:
                ways.append((channel, mine))
    if not ways and unmet:
        raise _needs(
            min(unmet, key=lambda place: len(_missing(place, request.context))), request.context
        )
    if not ways:
        raise RequestInvalid("placements", f"channel '{request.channel}' has no placement to fill")
    return tuple(ways)


def _missing(placement: Placement, context: Mapping[str, FactValue]) -> list[str]:
    return [name for name in placement.context if context.get(name) is None]


def _needs(placement: Placement, context: Mapping[str, FactValue]) -> RequestInvalid:
    missing = _missing(placement, context)
    fields = ", ".join(f"{name} ({placement.context[name]})" for name in missing)
    return RequestInvalid(
        f"context.{missing[0]}",
        f"placement '{placement.id}' needs {fields}",
        placement=placement.id,
        missing=missing,
    )


def _context(given: Mapping[str, FactValue], placements: list[Placement]) -> dict[str, FactValue]:
    row: dict[str, FactValue] = {}
    needed = [(place, *field) for place in placements for field in place.context.items()]
    for place, name, kind in needed:
        value = given.get(name)
        if value is None:
            raise _needs(place, given)
        right = isinstance(value, _TYPES[kind]) and (kind == "boolean") is isinstance(value, bool)
        if not right or (isinstance(value, float) and not isfinite(value)):
            raise RequestInvalid(f"context.{name}", f"{value!r} is no {kind}")
        row[f"context_{name}"] = float(value) if kind == "number" else value
    return row


def _known_context(engine: Engine, given: Mapping[str, FactValue]) -> None:
    """Refuses fields that no placement declares; those of another placement are not read."""
    for name in given:
        if f"context_{name}" not in engine.columns:
            known = {field for place in engine.catalogue.placements for field in place.context}
            raise RequestInvalid(f"context.{name}", named("context field", name, known))


def _filter(engine: Engine, text: str) -> Program:
    try:
        columns: dict[str, FactKind] = {**engine.columns, **OFFER}
        return _compiled_filter(text, tuple(sorted(columns.items())))
    except InputError as error:
        raise RequestInvalid("filter", str(error)) from error


@lru_cache(maxsize=256)
def _compiled_filter(text: str, columns: tuple[tuple[str, FactKind], ...]) -> Program:
    return Program([parse(text, dict(columns), wanted="boolean", place="filter")])
