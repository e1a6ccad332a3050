"""A customer's recommendations, and those of a session that nobody's name is known of."""

from fastapi import APIRouter, Request, Response

from oferta_serving.answers import check_category
from oferta_serving.documented import IDS, QUERY, problems
from oferta_serving.parameters import CATEGORY, OFFSET, PERSONALISE, N, Query
from oferta_serving.principal import PRINCIPAL
from oferta_serving.responses import JsonAnswer
from oferta_serving.schemas import CustomerAnswer, SessionAnswer
from oferta_serving.services import Services
from oferta_serving.strict import path_id

_QUERY = Query(N, OFFSET, CATEGORY, PERSONALISE)


def add_customer_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    lookup, answers, releases = services.lookup, services.answers, services.releases
    rates = services.rates

    @router.get(
        "/v1/customers/{customer_id:segment}/recommendations",  # noqa: FAST003 - read raw below
        response_model=CustomerAnswer,
        responses=problems(
            (*IDS, *QUERY, "parameter.boolean", "category.invalid", "category.unknown")
        ),
        openapi_extra={"parameters": _QUERY.documented("customer_id")},
        tags=["recommendations"],
        operation_id="recommendations",
        summary="What to recommend to one customer",
    )
    async def recommendations(request: Request) -> Response:
        """The customer's list, gaps filled from the segment's and everybody's.

        A customer nobody knows gets everybody's list, `cold: true` and why in `cold_reason`.
        """
        customer_id = path_id(request.path_params["customer_id"])
        wanted = _QUERY.read(request.scope["query_string"])
        check_category(releases.current.live, wanted)
        await rates.asked_for(request.scope[PRINCIPAL], (customer_id,))
        (found,) = await lookup.customers((customer_id,), personal=wanted.personalise)
        return JsonAnswer(answers.for_customer(customer_id, found, wanted))

    @router.get(
        "/v1/sessions/{session_id:segment}/recommendations",  # noqa: FAST003 - read raw below
        response_model=SessionAnswer,
        responses=problems(
            (*IDS, *QUERY, "parameter.boolean", "category.invalid", "category.unknown")
        ),
        openapi_extra={"parameters": _QUERY.documented("session_id")},
        tags=["recommendations"],
        operation_id="session_recommendations",
        summary="What to recommend to a visitor who is not known",
    )
    async def session(request: Request) -> Response:
        """Made of what the session did alone; everybody's list before it did anything.

        Once an event names session and customer, what it did is in the customer's list, and this
        one is everybody's again.
        """
        session_id = path_id(request.path_params["session_id"])
        wanted = _QUERY.read(request.scope["query_string"])
        check_category(releases.current.live, wanted)
        found = await lookup.session(session_id, personal=wanted.personalise)
        return JsonAnswer(answers.for_session(session_id, found, wanted))
