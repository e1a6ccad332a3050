"""Questions to the whole base: whom to offer something to, and who is due."""

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

import orjson
from fastapi import APIRouter, Request, Response

from oferta.catalogue.offers import ANY_CHANNEL
from oferta_serving.deciding.schemas import AudienceAnswer, TriggersAnswer
from oferta_serving.documented import QUERY, problems
from oferta_serving.parameters import Whole
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import JsonAnswer
from oferta_serving.routes.decisions import UNAVAILABLE
from oferta_serving.services import Services
from oferta_serving.strict import path_id, query_values

if TYPE_CHECKING:
    from oferta_serving.base.live import LiveBase

LIMIT: Final = Whole("limit", 100, 1, 1000, "At most so many; larger ones: the command line.")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_LIMIT_PARAMETER: Final = {
    "name": LIMIT.name,
    "in": "query",
    "required": False,
    "description": LIMIT.about,
    "schema": LIMIT.schema(),
}
_CHANNEL_PARAMETER: Final = {
    "name": "channel",
    "in": "query",
    "required": False,
    "description": "One of the policy's; else the best for each customer.",
    "schema": {"type": "string", "default": ANY_CHANNEL, "maxLength": 64},
}


def add_base_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""

    @router.get(
        "/v1/offers/{offer_id:segment}/audience",  # noqa: FAST003 - read raw below
        response_model=AudienceAnswer,
        responses=problems(
            (
                *QUERY,
                "id.empty",
                "id.encoding",
                "offer.unknown",
                "name.invalid",
                "channel.unknown",
                "placement.none",
                "base.unavailable",
                *UNAVAILABLE,
            )
        ),
        openapi_extra={
            "parameters": [
                {
                    "name": "offer_id",
                    "in": "path",
                    "required": True,
                    "description": "As in the catalogue.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
                    "example": "balloon-refinance",
                },
                _LIMIT_PARAMETER,
                _CHANNEL_PARAMETER,
            ]
        },
        tags=["base"],
        operation_id="audience",
        summary="The best customers for one offer",
    )
    async def audience(request: Request) -> Response:
        """By expected value; each was decided for as a dry run, and nothing is reserved."""
        base = _base_of(services)
        offer = path_id(request.path_params["offer_id"])
        values = query_values(request.scope["query_string"], frozenset({LIMIT.name, "channel"}))
        channel = _channel(values)
        limit = LIMIT.from_query(values)
        from oferta_serving.base.answers import audience_answer  # noqa: PLC0415 - see `services`

        asked, members = await base.audience(offer, channel=channel, limit=limit)
        return JsonAnswer(orjson.dumps(audience_answer(offer, asked, members)))

    @router.get(
        "/v1/triggers",
        response_model=TriggersAnswer,
        responses=problems(
            (
                *QUERY,
                "day.invalid",
                "name.invalid",
                "channel.unknown",
                "placement.none",
                "base.unavailable",
                *UNAVAILABLE,
            )
        ),
        openapi_extra={
            "parameters": [
                {
                    "name": "due_before",
                    "in": "query",
                    "required": False,
                    "description": "Only what is due before this day; else whatever the day.",
                    "schema": {"type": "string", "format": "date"},
                    "example": "2027-03-01",
                },
                _LIMIT_PARAMETER,
                _CHANNEL_PARAMETER,
            ]
        },
        tags=["base"],
        operation_id="triggers",
        summary="Who is due to be spoken to, and with which offer",
    )
    async def triggers(request: Request) -> Response:
        """Those due first, without what `oferta triggers` took already. Ids are stable."""
        base = _base_of(services)
        allowed = frozenset({LIMIT.name, "due_before", "channel"})
        values = query_values(request.scope["query_string"], allowed)
        before = _day(values.get("due_before"))
        channel = _channel(values)
        limit = LIMIT.from_query(values)
        from oferta_serving.base.answers import triggers_answer  # noqa: PLC0415 - see `services`

        asked, fired = await base.triggers(before=before, channel=channel, limit=limit)
        return JsonAnswer(orjson.dumps(triggers_answer(asked, fired)))


def _base_of(services: Services) -> "LiveBase":
    if services.base is None:
        raise RequestRefused("decisions.not_configured")
    return services.base()


def _channel(values: Mapping[str, str]) -> str:
    channel = values.get("channel", ANY_CHANNEL)
    if not _NAME.fullmatch(channel):
        raise RequestRefused("name.invalid", "channel")
    return channel


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> date:
    raise RequestRefused("day.invalid", "due_before")
