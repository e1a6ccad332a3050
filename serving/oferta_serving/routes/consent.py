"""What a customer agrees to: said here, in force with the next answer."""

from fastapi import APIRouter, Request, Response

from oferta_serving.body import read_object
from oferta_serving.consent.answers import ConsentAnswer, ConsentStored, stored, told
from oferta_serving.consent.bodies import BODY_SCHEMA, read_words
from oferta_serving.consent.keeping import Keeping
from oferta_serving.documented import BODY, IDS, problems
from oferta_serving.parameters import Query
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import JsonAnswer
from oferta_serving.services import Services
from oferta_serving.strict import path_id

_PATH = "/v1/customers/{customer_id:segment}/consent"
_ELSEWHERE = "consent.not_kept_here"


def add_consent_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    limits, clock, consent = services.settings.limits, services.clock, services.consent
    parameters = Query().documented("customer_id")

    @router.put(
        _PATH,
        response_model=ConsentStored,
        responses=problems(
            (
                *IDS,
                *BODY,
                "parameter.unknown",
                "consent.invalid",
                "consent.count",
                "consent.not_stored",
                "customer.erased",
                _ELSEWHERE,
            )
        ),
        openapi_extra={
            "parameters": parameters,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": BODY_SCHEMA}},
            },
        },
        tags=["consent"],
        operation_id="say_consent",
        summary="What a customer agrees to, or no longer does",
    )
    async def say(request: Request) -> Response:
        """One word, or up to 50, all or none: on disk when this is answered, and in force.

        The same said again is stored once. Nobody needs to know the customer yet.
        """
        customer_id = path_id(request.path_params["customer_id"])
        if request.scope["query_string"]:
            raise RequestRefused("parameter.unknown")
        if not isinstance(consent, Keeping):
            raise RequestRefused(_ELSEWHERE)
        fields = await read_object(request.scope, request.receive, limits)
        words = read_words(customer_id, fields, now=clock.now())
        return JsonAnswer(stored(customer_id, await consent.keep(words)))

    @router.get(
        _PATH,
        response_model=ConsentAnswer,
        responses=problems((*IDS, "parameter.unknown", "consent.ledger_unavailable", _ELSEWHERE)),
        openapi_extra={"parameters": parameters},
        tags=["consent"],
        operation_id="consent",
        summary="What a customer agreed to, and when they said so",
    )
    async def ask(request: Request) -> Response:
        """What is in force, and everything that was ever said, oldest first."""
        customer_id = path_id(request.path_params["customer_id"])
        if request.scope["query_string"]:
            raise RequestRefused("parameter.unknown")
        if not isinstance(consent, Keeping):
            raise RequestRefused(_ELSEWHERE)
        consents, history = consent.history(customer_id)
        return JsonAnswer(told(customer_id, consents, history))
