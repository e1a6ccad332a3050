"""What operators and balancers ask: alive, ready, how much of what."""

import orjson
from fastapi import APIRouter, Request, Response

from oferta.home import DEFAULT_TENANT
from oferta_serving.documented import QUERY, problems
from oferta_serving.exposition import Exposition
from oferta_serving.metrics import CONTENT_TYPE
from oferta_serving.principal import PRINCIPAL, Principal
from oferta_serving.problems import RequestRefused
from oferta_serving.readiness import readiness, status
from oferta_serving.responses import JsonAnswer
from oferta_serving.schemas import Liveness, Readiness, Status
from oferta_serving.services import Services
from oferta_serving.strict import query_values


def add_operation_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    exposition = Exposition(services.metrics.exposed)

    @router.get(
        "/health/live",
        response_model=Liveness,
        tags=["operations"],
        operation_id="live",
        summary="Is it running",
    )
    async def live(request: Request) -> Response:
        """Touches nothing but the event loop."""
        del request
        return JsonAnswer(b'{"status":"live"}')

    @router.get(
        "/health/ready",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "Send no traffic here yet."}},
        tags=["operations"],
        operation_id="ready",
        summary="May it have traffic, and is all well",
    )
    async def ready(request: Request) -> Response:
        """Stays 200 without Redis: a fallback list is better than no service. Says so."""
        del request
        found = readiness(services)
        code = 503 if found.status == "not_ready" else 200
        return JsonAnswer(orjson.dumps(found.model_dump()), status=code)

    @router.get(
        "/health/status",
        response_model=Status,
        responses=problems(QUERY),
        tags=["operations"],
        operation_id="status",
        summary="What this process does, and how it is",
    )
    async def detail(request: Request) -> Response:
        """Breaker, turns, eviction policy and readiness, of the process that answers."""
        query_values(request.scope["query_string"], frozenset())
        return JsonAnswer(orjson.dumps(status(services).model_dump()))

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **problems(()),
        },
        tags=["operations"],
        operation_id="metrics",
        summary="Counters in Prometheus's format",
    )
    async def metrics(request: Request) -> Response:
        """Of the whole process, all tenants, so for keys of the default one. No label has an id."""
        principal: Principal = request.scope[PRINCIPAL]
        if principal.tenant != DEFAULT_TENANT:
            raise RequestRefused("key.scope")
        body = await exposition.text()
        return Response(body, headers={"content-type": CONTENT_TYPE})
