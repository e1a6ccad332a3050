"""To be forgotten, and to be told what is held."""

import asyncio
import re
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter, Request, Response

from oferta.errors import OfertaError
from oferta.ids import MAX_ID_CHARS, id_fault
from oferta_serving.documented import IDS, problems
from oferta_serving.erasing.answers import ErasureAnswer, HeldAnswer, told
from oferta_serving.parameters import Query
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import JsonAnswer
from oferta_serving.services import Services
from oferta_serving.strict import path_id, query_values

if TYPE_CHECKING:
    from oferta_serving.erasing.requests import Erasing

_ELSEWHERE: Final = "consent.not_kept_here"
_ERASURE: Final = re.compile(r"er_[0-9a-f]{24}")
_UNSAID: Final = "the customer asked"
_FORMATS: Final = ("json", "csv")
_QUERY: Final = ("parameter.unknown", "parameter.repeated", "parameter.encoding")

log = structlog.get_logger()


def add_privacy_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    customer = Query().documented("customer_id")
    exporting = asyncio.Lock()

    @router.delete(
        "/v1/customers/{customer_id:segment}",  # noqa: FAST003 - read raw below
        status_code=202,
        response_model=ErasureAnswer,
        responses=problems((*IDS, *_QUERY, "reason.invalid", "erasure.not_stored", _ELSEWHERE)),
        openapi_extra={
            "parameters": [
                *customer,
                {
                    "name": "reason",
                    "in": "query",
                    "required": False,
                    "description": "Why, for the receipt. Name nobody in it.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS},
                    "example": "request of 2026-11-23",
                },
            ]
        },
        tags=["privacy"],
        operation_id="erase",
        summary="Forget a customer, everywhere",
    )
    async def erase(request: Request) -> Response:
        """On disk when this is answered, and in force: the next answer is a stranger's.

        Asked again while it is under way, the same erasure is answered. A customer of whom nothing
        is known is erased like any other.
        """
        customer_id = path_id(request.path_params["customer_id"])
        values = query_values(request.scope["query_string"], frozenset({"reason"}))
        reason = values.get("reason", _UNSAID)
        if id_fault(reason) is not None:
            raise RequestRefused("reason.invalid", "reason")
        made = await _erasing(services).request(customer_id, reason)
        return JsonAnswer(told(made, None), status=202)

    @router.get(
        "/v1/erasures/{erasure_id:segment}",  # noqa: FAST003 - read raw below
        response_model=ErasureAnswer,
        responses=problems((*_QUERY, "erasure.unknown", "erasure.not_stored", _ELSEWHERE)),
        openapi_extra={
            "parameters": [
                {
                    "name": "erasure_id",
                    "in": "path",
                    "required": True,
                    "description": "As it was answered.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS},
                    "example": "er_5f1c2b3a4d5e6f7081929394",
                }
            ]
        },
        tags=["privacy"],
        operation_id="erasure",
        summary="How far an erasure came, and its receipt",
    )
    async def erasure(request: Request) -> Response:
        """Each place with what was removed, and whether it was seen to hold nothing."""
        query_values(request.scope["query_string"], frozenset())
        id_ = request.path_params["erasure_id"]
        erasing = _erasing(services)
        found = await erasing.of(id_) if _ERASURE.fullmatch(id_) else None
        if found is None:
            raise RequestRefused("erasure.unknown")
        return JsonAnswer(told(found, erasing.receipt(found)))

    @router.get(
        "/v1/customers/{customer_id:segment}/export",  # noqa: FAST003 - read raw below
        response_model=HeldAnswer,
        responses={
            **problems((*IDS, *_QUERY, "format.unknown", "export.unavailable", _ELSEWHERE)),
            200: {
                "description": "Everything that is held, from every place.",
                "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            },
        },
        openapi_extra={
            "parameters": [
                *customer,
                {
                    "name": "format",
                    "in": "query",
                    "required": False,
                    "description": "`csv`: a zip with a table for each place.",
                    "schema": {"enum": list(_FORMATS), "default": "json"},
                },
            ]
        },
        tags=["privacy"],
        operation_id="export",
        summary="Everything that is held of one customer",
    )
    async def export(request: Request) -> Response:
        """All places, or a problem: an export that lacks one would be no answer. Takes seconds."""
        from oferta_serving.erasing.export import as_json, as_zip, exported  # noqa: PLC0415 - frames

        customer_id = path_id(request.path_params["customer_id"])
        values = query_values(request.scope["query_string"], frozenset({"format"}))
        wanted = values.get("format", "json")
        if wanted not in _FORMATS:
            raise RequestRefused("format.unknown", "format")
        ground = _erasing(services).ground
        try:
            async with exporting:  # it reads whole folders: one at a time
                held = await exported(ground, customer_id)
        except (OfertaError, OSError):
            log.exception("export.failed")
            raise RequestRefused("export.unavailable") from None
        if wanted == "json":
            return JsonAnswer(as_json(held))
        return Response(
            as_zip(held), media_type="application/zip", headers={"cache-control": "no-store"}
        )


def _erasing(services: Services) -> "Erasing":
    if services.erasing is None:
        raise RequestRefused(_ELSEWHERE)
    return services.erasing
