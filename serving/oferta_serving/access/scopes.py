"""Which scope each route needs: one table. What stands in neither part of it is refused to all."""

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import Request, Response

from oferta_serving.principal import PRINCIPAL, Principal, Scope
from oferta_serving.problems import RequestRefused

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

PUBLIC: Final = frozenset({"/health/live", "/health/ready", "/openapi.json"})
"""What balancers and readers of the documentation get without a key: nothing of any customer or
tenant."""

BEARER: Final = "/metrics"
"""The route whose key may also come as `Authorization: Bearer`, which is what Prometheus sends."""

PAGES: Final = b"/docs"
"""The documentation's pages begin so; where it is off, there are none."""

ROUTES: Mapping[str, Scope] = MappingProxyType(
    {
        "GET /v1/customers/{customer_id}/recommendations": "serve",
        "GET /v1/sessions/{session_id}/recommendations": "serve",
        "POST /v1/recommendations/batch": "serve",
        "GET /v1/products/{product_id}/similar": "serve",
        "GET /v1/popular": "serve",
        "POST /v1/decisions": "serve",
        "POST /v1/decisions/batch": "serve",
        "POST /v1/feedback": "serve",
        "POST /v1/events": "events",
        "GET /v1/offers/{offer_id}/audience": "serve",
        "GET /v1/triggers": "serve",
        "PUT /v1/customers/{customer_id}/consent": "consent",
        "GET /v1/customers/{customer_id}/consent": "consent",
        "DELETE /v1/customers/{customer_id}": "privacy",
        "GET /v1/erasures/{erasure_id}": "privacy",
        "GET /v1/customers/{customer_id}/export": "privacy",
        "GET /v1/decisions/{decision_id}": "explain",
        "GET /v1/customers/{customer_id}/profile": "explain",
        "GET /health/status": "operate",
        f"GET {BEARER}": "operate",
    }
)
"""Method and path, as OpenAPI writes it, of every route that needs a key."""


def needed(method: str, path: str) -> Scope | None:
    """The scope that a route needs; None: the table does not have it."""
    return ROUTES.get(f"{method} {path}")


def is_public(raw_path: bytes) -> bool:
    """Whether a path is answered to anybody."""
    return raw_path.startswith((b"/health/", b"/openapi.json", PAGES)) and (
        raw_path.decode("latin-1") in PUBLIC or raw_path.startswith(PAGES)
    )


def guarded_endpoint(endpoint: Endpoint, method: str, path: str) -> Endpoint:
    """The endpoint, for those only whose key has the scope of the route."""
    if path in PUBLIC or path.encode().startswith(PAGES):
        return endpoint
    scope = needed(method, path)

    async def guarded(request: Request) -> Response:
        principal: Principal = request.scope[PRINCIPAL]
        if scope is None:
            raise RequestRefused("key.scope")
        principal.need(scope)
        return await endpoint(request)

    return guarded
