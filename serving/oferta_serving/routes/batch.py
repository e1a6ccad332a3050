"""Many customers' recommendations in one call."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request, Response

from oferta_serving.answers import check_category
from oferta_serving.batched import MAX_CUSTOMERS, listed, told_apart
from oferta_serving.body import read_object
from oferta_serving.documented import BODY, problems
from oferta_serving.parameters import CATEGORY, PERSONALISE, N, Wanted
from oferta_serving.principal import PRINCIPAL
from oferta_serving.problem_table import PROBLEMS
from oferta_serving.problems import (
    ItemError,
    RequestRefused,
    problem_fields,
    unknown_field,
)
from oferta_serving.responses import JsonAnswer
from oferta_serving.schemas import BatchAnswer
from oferta_serving.services import Services

YIELD_EVERY = 50
"""Customers answered before other requests get their turn: about 2 ms."""

_FIELDS = frozenset({"customer_ids", "n", "category", "personalise"})

_BODY_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["customer_ids"],
    "properties": {
        "customer_ids": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_CUSTOMERS,
            "items": {"type": "string", "minLength": 1, "maxLength": 128},
            "description": "Each is answered once, in this order.",
        },
        N.name: {**N.schema(), "description": N.about},
        CATEGORY.name: {**CATEGORY.schema(), "description": CATEGORY.about},
        PERSONALISE.name: {**PERSONALISE.schema(), "description": PERSONALISE.about},
    },
    "example": {"customer_ids": ["household-1", "household-2"], "n": 3},
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A batch as it was asked for: each distinct valid id at its first position, and the rest."""

    places: dict[str, int]
    errors: list[ItemError]
    wanted: Wanted


def add_batch_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    limits, answers = services.settings.limits, services.answers

    @router.post(
        "/v1/recommendations/batch",
        response_model=BatchAnswer,
        responses=problems(
            (
                *BODY,
                "parameter.unknown",
                "batch.empty",
                "batch.too_large",
                "batch.all_invalid",
                "category.invalid",
                "category.unknown",
            )
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _BODY_SCHEMA}},
            }
        },
        tags=["recommendations"],
        operation_id="recommendations_batch",
        summary="What to recommend to each of up to 500 customers",
    )
    async def batch(request: Request) -> Response:
        """Each customer's own list and status; one bad id does not cost the others theirs."""
        if request.scope["query_string"]:
            raise RequestRefused("parameter.unknown")
        asked = _asked(await read_object(request.scope, request.receive, limits))
        check_category(services.releases.current.live, asked.wanted)
        await services.rates.asked_for(request.scope[PRINCIPAL], tuple(asked.places))
        founds = await services.lookup.customers(
            list(asked.places), personal=asked.wanted.personalise
        )
        results = {error.index: _refused(error) for error in asked.errors}
        for done, ((customer_id, index), found) in enumerate(
            zip(asked.places.items(), founds, strict=True), 1
        ):
            answer = answers.for_customer(customer_id, found, asked.wanted)
            results[index] = b'{"index":%d,"status":200,"answer":%b}' % (index, answer)
            if done % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return JsonAnswer(
            b'{"served":%d,"refused":%d,"results":[%b]}'
            % (
                len(asked.places),
                len(asked.errors),
                b",".join(results[at] for at in sorted(results)),
            )
        )


def _asked(fields: Mapping[str, object]) -> _Asked:
    refused = unknown_field(fields, _FIELDS)
    if refused is not None:
        raise refused
    ids = listed(fields)
    wanted = Wanted(
        n=N.from_json(fields),
        category=CATEGORY.from_json(fields),
        personalise=PERSONALISE.from_json(fields),
    )
    places, errors = told_apart(ids)
    return _Asked(places, errors, wanted)


def _refused(error: ItemError) -> bytes:
    return b'{"index":%d,"status":%d,"problem":%b}' % (
        error.index,
        PROBLEMS[error.code].status,
        orjson.dumps(problem_fields(error.code)),
    )
