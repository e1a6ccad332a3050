"""What became of offers that were made."""

import orjson
from fastapi import APIRouter, Request, Response

from oferta_serving.body import read_object
from oferta_serving.deciding.documents import FEEDBACK_BODY, body_of
from oferta_serving.deciding.heard import read_rows
from oferta_serving.deciding.schemas import FeedbackAnswer
from oferta_serving.documented import BODY, problems
from oferta_serving.principal import PRINCIPAL
from oferta_serving.problems import RequestRefused, problem_row
from oferta_serving.responses import JsonAnswer
from oferta_serving.routes.decisions import deciding_of
from oferta_serving.services import Services


def add_feedback_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    limits, clock = services.settings.limits, services.clock

    @router.post(
        "/v1/feedback",
        response_model=FeedbackAnswer,
        responses=problems(
            (
                *BODY,
                "parameter.unknown",
                "feedback.empty",
                "feedback.too_large",
                "feedback.all_refused",
                "decisions.not_configured",
                "decisions.rules_unavailable",
                "decisions.store_unavailable",
                "decisions.contended",
            )
        ),
        openapi_extra=body_of(FEEDBACK_BODY),
        tags=["decisions"],
        operation_id="feedback",
        summary="What customers did with their offers",
    )
    async def feedback(request: Request) -> Response:
        """One row, or up to 500: heard at once, each for itself, any number of times."""
        deciding = deciding_of(services)
        if request.scope["query_string"]:
            raise RequestRefused("parameter.unknown")
        fields = await read_object(request.scope, request.receive, limits)
        rows, errors = read_rows(fields, now=clock.now().timestamp())
        if rows:
            await services.rates.take(request.scope[PRINCIPAL], len(rows) - 1)
        book = await deciding.rules.fresh()
        if book is None:
            raise RequestRefused("decisions.rules_unavailable")
        heard, unheard = await deciding.listener.hear(rows, book) if rows else ([], [])
        errors = sorted([*errors, *unheard], key=lambda error: error.index)
        if not heard:
            raise RequestRefused("feedback.all_refused", "feedback", errors=errors)
        results = {error.index: problem_row(error) for error in errors}
        for one in heard:
            results[one.row.index] = {
                "index": one.row.index,
                "status": 200,
                "repeated": one.repeated,
            }
        return JsonAnswer(
            orjson.dumps(
                {
                    "accepted": len(heard),
                    "refused": len(errors),
                    "results": [results[index] for index in sorted(results)],
                }
            )
        )
