"""What is known of a customer."""

from fastapi import APIRouter, Request, Response

from oferta.decisions.request import Request as Asked
from oferta.errors import RecordCorrupt
from oferta_serving.deciding.schemas import ProfileAnswer
from oferta_serving.documented import IDS, problems
from oferta_serving.parameters import Query
from oferta_serving.principal import PRINCIPAL
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import JsonAnswer
from oferta_serving.routes.decisions import UNAVAILABLE, deciding_of
from oferta_serving.services import Services
from oferta_serving.strict import path_id

_QUERY = Query()


def add_profile_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    clock = services.clock

    @router.get(
        "/v1/customers/{customer_id:segment}/profile",  # noqa: FAST003 - read raw below
        response_model=ProfileAnswer,
        responses=problems((*IDS, "parameter.unknown", "customer.unknown", *UNAVAILABLE)),
        openapi_extra={"parameters": _QUERY.documented("customer_id")},
        tags=["customers"],
        operation_id="profile",
        summary="What is known of one customer, and how",
    )
    async def profile(request: Request) -> Response:
        """Facts with their evidence, what follows from them today, contacts and silences."""
        from oferta_serving.deciding.profile import profile_answer  # noqa: PLC0415 - see `services`

        deciding = deciding_of(services)
        customer_id = path_id(request.path_params["customer_id"])
        _QUERY.read(request.scope["query_string"])
        await services.rates.asked_for(request.scope[PRINCIPAL], (customer_id,))
        book, found = await deciding.decider.found(Asked(customer_id, "", ()))
        if found.unreadable is not None:
            raise RequestRefused(found.unreadable)
        if found.profile is None and not found.mark:
            raise RequestRefused("customer.unknown")
        try:
            at = clock.now().timestamp()
            return JsonAnswer(profile_answer(customer_id, found, book.engine, at=at))
        except RecordCorrupt:
            raise RequestRefused("decisions.profile_unreadable") from None
