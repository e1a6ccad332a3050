"""What the engine refuses of a request, as a problem: our names, and of a filter its text."""

import re
from typing import Final

from oferta.catalogue.families import FAMILIES
from oferta.catalogue.offers import ANY_CHANNEL
from oferta.decisions.engine import Engine
from oferta.decisions.request import Request
from oferta.errors import RequestInvalid
from oferta.rules.invalid import RuleInvalid
from oferta_serving.problems import RequestRefused, nearest

_QUOTED: Final = 200
"""Characters of a filter that are repeated to who sent it."""

_ITEM: Final = re.compile(r"(placements|offers)\[(\d+)\]")


def as_refusal(error: RequestInvalid, request: Request, engine: Engine) -> RequestRefused:
    """The refusal that `error` of this request means."""
    channels = [*engine.policy.channels, ANY_CHANNEL]
    if request.channel not in channels:
        near = nearest(request.channel, channels)
        return RequestRefused("channel.unknown", "channel", near=near)
    field = error.field
    item = _ITEM.fullmatch(field)
    if item is not None:
        name = (request.placements if item[1] == "placements" else request.offers)[int(item[2])]
        return _of_item(item[1], field, name, request, engine)
    if field.startswith("context."):
        return _of_context(error, request, engine)
    if field.startswith("wish"):
        return _of_wish(request, engine)
    if field == "filter":
        return _of_filter(error, request)
    return RequestRefused("placement.none", "placements")


def _of_item(kind: str, where: str, name: str, request: Request, engine: Engine) -> RequestRefused:
    if kind == "offers":
        return RequestRefused("offer.unknown", where, near=nearest(name, engine.by_id))
    placement = engine.placements.get(name)
    if placement is None:
        return RequestRefused("placement.unknown", where, near=nearest(name, engine.placements))
    if request.channel not in (ANY_CHANNEL, placement.channel):
        return RequestRefused("placement.channel", where)
    return RequestRefused("placement.repeated", where)


def _of_wish(request: Request, engine: Engine) -> RequestRefused:
    wished = "" if request.wish is None else request.wish.product or ""
    offer = engine.by_id.get(wished)
    if offer is None:
        near = nearest(wished, [*engine.names, *FAMILIES])
        return RequestRefused("wish.unknown", "wish.product", near=near)
    return RequestRefused(
        "wish.unknown",
        "wish.product",
        near=offer.offer.products[0],
        facts={"problem": "this is the id of an offer; a product or a family is asked for"},
    )


def _of_filter(error: RequestInvalid, request: Request) -> RequestRefused:
    facts: dict[str, object] = {"expression": (request.filter or "")[:_QUOTED]}
    rule = error.__cause__
    if not isinstance(rule, RuleInvalid):
        return RequestRefused("filter.invalid", "filter", facts=facts)
    facts["problem"] = rule.problem[:_QUOTED]
    if rule.position is not None:
        facts["position"] = rule.position
    return RequestRefused("filter.invalid", "filter", near=rule.nearest, facts=facts)


def _of_context(error: RequestInvalid, request: Request, engine: Engine) -> RequestRefused:
    name = error.field.removeprefix("context.")
    declared = {field for place in engine.catalogue.placements for field in place.context}
    if name not in declared:
        return RequestRefused("context.unknown", "context", near=nearest(name, declared))
    where = f"context.{name}"
    if request.context.get(name) is None:
        facts = {"placement": error.placement, "missing": list(error.missing)}
        return RequestRefused("context.missing", where, facts=facts)
    return RequestRefused("context.invalid", where)
