"""The two responses there are: JSON that is bytes already, and a problem."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from oferta_serving.access.audit import Audit
from oferta_serving.access.scopes import guarded_endpoint
from oferta_serving.gate import REQUEST_ID
from oferta_serving.metrics import Metrics
from oferta_serving.principal import PRINCIPAL, Principal
from oferta_serving.problems import RequestRefused, problem_body, problem_headers

_AUDITED = ("key.", "rate.")
_NOT_ALLOWED = 405
_STATUS_CODES = {404: "route.unknown", 405: "method.not_allowed"}


class JsonAnswer(Response):
    """Bytes of JSON, sent as they are: nothing is validated or serialised a second time."""

    def __init__(self, body: bytes, *, status: int = 200) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),  # lists are personal, and change with every release
        ]


class BareRoute(APIRoute):
    """A documented route whose endpoint reads the request and makes the response by itself.

    FastAPI's own handler looks for parameters, dependencies and a response model on every request:
    a fifth of the time of an answer, for endpoints that declare none of them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself, for those who may."""
        (method,) = self.methods or ("GET",)
        return guarded_endpoint(self.endpoint, method, self.path_format)


class ProblemAnswer(Response):
    """A refused request."""

    def __init__(self, refused: RequestRefused, scope: Scope) -> None:
        self.body = problem_body(refused, scope.get(REQUEST_ID, ""))
        self.status_code = refused.status
        self.background = None
        self.raw_headers = problem_headers(refused, len(self.body))


class Refusals:
    """Turns what routes raise into problems. The only place that does."""

    def __init__(self, metrics: Metrics, audit: Audit) -> None:
        self._metrics = metrics
        self._audit = audit

    async def refused(self, request: Request, error: Exception) -> Response:
        """A request that a route refused."""
        assert isinstance(error, RequestRefused)  # noqa: S101 - registered for this class only
        self._metrics.refused.labels(error.code).inc()
        if error.code.startswith(_AUDITED):
            principal: Principal = request.scope[PRINCIPAL]
            self._audit.refused(
                error.code,
                name=principal.name,
                tenant=principal.tenant,
                request_id=request.scope[REQUEST_ID],
            )
        return ProblemAnswer(error, request.scope)

    async def unrouted(self, request: Request, error: Exception) -> Response:
        """A path or method that no route answers."""
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        code = _STATUS_CODES.get(error.status_code, "internal")
        headers = [(b"allow", _allowed(request))] if error.status_code == _NOT_ALLOWED else []
        return await self.refused(request, RequestRefused(code, headers=headers))

    async def failed(self, request: Request, error: Exception) -> Response:
        """A fault of ours, which the gate logs."""
        del error
        return await self.refused(request, RequestRefused("internal"))


def _allowed(request: Request) -> bytes:
    """The methods that the path answers, of all its routes: Starlette names those of the first."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods)).encode()
