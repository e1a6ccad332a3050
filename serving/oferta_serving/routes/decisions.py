"""Decisions: one, many, and the receipt of one that was made."""

from typing import TYPE_CHECKING

import orjson
from fastapi import APIRouter, Request, Response

from oferta_serving.batched import MAX_CUSTOMERS
from oferta_serving.body import read_object
from oferta_serving.deciding.bodies import many_requests, one_request
from oferta_serving.deciding.documents import MANY_BODY, ONE_BODY, body_of
from oferta_serving.deciding.schemas import (
    DecisionAnswer,
    DecisionBatchAnswer,
    ReceiptAnswer,
)
from oferta_serving.documented import BODY, problems
from oferta_serving.principal import PRINCIPAL, Principal
from oferta_serving.problems import ItemError, RequestRefused, problem_row
from oferta_serving.responses import JsonAnswer
from oferta_serving.services import Services

if TYPE_CHECKING:
    from oferta_serving.deciding.parts import Deciding

UNAVAILABLE = (
    "decisions.not_configured",
    "decisions.rules_unavailable",
    "decisions.store_unavailable",
    "decisions.release_unavailable",
    "decisions.profile_unreadable",
    "decisions.state_unreadable",
    "decisions.contended",
)
ASKED = (
    "parameter.unknown",
    "request_id.invalid",
    "request_id.reused",
    "request_id.withdrawn",
    "name.invalid",
    "channel.unknown",
    "placement.unknown",
    "placement.channel",
    "placement.repeated",
    "placement.none",
    "context.missing",
    "context.unknown",
    "context.invalid",
    "wish.unknown",
    "offer.unknown",
    "filter.invalid",
)
_IDS = ("id.empty", "id.too_long", "id.dots", "id.control", "id.surrogate", "id.type")


def deciding_of(services: Services) -> "Deciding":
    """The parts that decide.

    Raises:
        RequestRefused: `decisions.not_configured`.
    """
    if services.deciding is None:
        raise RequestRefused("decisions.not_configured")
    return services.deciding


def add_decision_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    limits, freshness = services.settings.limits, services.settings.freshness

    @router.post(
        "/v1/decisions",
        response_model=DecisionAnswer,
        responses=problems((*BODY, *_IDS, *ASKED, *UNAVAILABLE)),
        openapi_extra=body_of(ONE_BODY),
        tags=["decisions"],
        operation_id="decide",
        summary="Which offer, with which terms, should be made now, or none",
    )
    async def one(request: Request) -> Response:
        """The next best offers for one customer, stored before they are answered.

        A repeated `request_id` gives the stored decision back and reserves nothing.
        """
        from oferta_serving.deciding.answers import decision_answer  # noqa: PLC0415 - see `services`

        deciding = deciding_of(services)
        _no_query(request)
        asked = one_request(await read_object(request.scope, request.receive, limits))
        principal: Principal = request.scope[PRINCIPAL]
        await services.rates.asked_for(principal, (asked.customer_id,))
        made = await deciding.decider.decide(asked)
        said = decision_answer(made, freshness, scored=principal.may("explain"))
        return JsonAnswer(orjson.dumps(said))

    @router.post(
        "/v1/decisions/batch",
        response_model=DecisionBatchAnswer,
        responses=problems(
            (
                *BODY,
                *ASKED,
                "batch.empty",
                "batch.too_large",
                "batch.all_invalid",
                *UNAVAILABLE,
            )
        ),
        openapi_extra=body_of(MANY_BODY),
        tags=["decisions"],
        operation_id="decide_batch",
        summary=f"The same question for up to {MAX_CUSTOMERS} customers",
    )
    async def many(request: Request) -> Response:
        """Each customer's own decision. Reserves and stores nothing without `reserve`."""
        from oferta_serving.deciding.answers import decision_answer  # noqa: PLC0415 - see `services`

        deciding = deciding_of(services)
        _no_query(request)
        asked = many_requests(await read_object(request.scope, request.receive, limits))
        principal: Principal = request.scope[PRINCIPAL]
        scored = principal.may("explain")
        ids = tuple(one.customer_id for one in asked.requests)
        await services.rates.asked_for(principal, ids)
        made = await deciding.decider.decide_many(asked.requests)
        results = {error.index: problem_row(error) for error in asked.errors}
        for index, result in zip(asked.places, made, strict=True):
            results[index] = (
                problem_row(ItemError(index, result.code))
                if isinstance(result, RequestRefused)
                else {
                    "index": index,
                    "status": 200,
                    "answer": decision_answer(result, freshness, scored=scored),
                }
            )
        ordered = [results[index] for index in sorted(results)]
        served = sum("answer" in one for one in ordered)
        return JsonAnswer(
            orjson.dumps({"served": served, "refused": len(ordered) - served, "results": ordered})
        )

    @router.get(
        "/v1/decisions/{decision_id:segment}",  # noqa: FAST003 - read raw below
        response_model=ReceiptAnswer,
        responses=problems(
            (
                "parameter.unknown",
                "decision.unknown",
                "decisions.not_configured",
                "decisions.store_unavailable",
            )
        ),
        openapi_extra={
            "parameters": [
                {
                    "name": "decision_id",
                    "in": "path",
                    "required": True,
                    "description": "As it was answered.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
                    "example": "d_0a35d1f2c3b4a5968778695a4b",
                }
            ]
        },
        tags=["decisions"],
        operation_id="receipt",
        summary="Why a decision is what it is",
    )
    async def receipt(request: Request) -> Response:
        """The answer, the funnel, every rejected offer with its reason, and the caps."""
        from oferta_serving.deciding.answers import receipt_answer  # noqa: PLC0415 - see `services`

        deciding = deciding_of(services)
        _no_query(request)
        async with deciding.health.watched():
            (past,) = await deciding.past.of([request.path_params["decision_id"]])
        if past is None:
            raise RequestRefused("decision.unknown")
        return JsonAnswer(receipt_answer(past))


def _no_query(request: Request) -> None:
    if request.scope["query_string"]:
        raise RequestRefused("parameter.unknown")
