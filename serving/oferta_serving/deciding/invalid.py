"""What the engine refuses of a request, as a problem: our names only, never what was sent."""

import re
from typing import Final

from oferta.catalogue.offers import ANY_CHANNEL
from oferta.decisions.engine import Engine
from oferta.decisions.request import Request
from oferta.errors import RequestInvalid
from oferta_serving.problems import RequestRefused, nearest

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
        return _of_context(field.removeprefix("context."), request, engine)
    if field.startswith("wish"):
        return RequestRefused("wish.unknown", "wish.product")
    if field == "filter":
        return RequestRefused("filter.invalid", field)
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


def _of_context(name: str, request: Request, engine: Engine) -> RequestRefused:
    declared = {field for place in engine.catalogue.placements for field in place.context}
    if name not in declared:
        return RequestRefused("context.unknown", "context", near=nearest(name, declared))
    where = f"context.{name}"
    if request.context.get(name) is None:
        return RequestRefused("context.missing", where)
    return RequestRefused("context.invalid", where)
