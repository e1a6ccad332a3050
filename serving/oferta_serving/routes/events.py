"""What customers do: events in."""

from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request, Response

from oferta_serving.body import read_object
from oferta_serving.deciding.documents import body_of
from oferta_serving.documented import BODY, problems
from oferta_serving.events.receiver import Received, retry_later
from oferta_serving.events.rows import read_rows
from oferta_serving.events.schemas import EVENTS_BODY, EventsAnswer
from oferta_serving.principal import PRINCIPAL
from oferta_serving.problems import ItemError, RequestRefused, problem_row
from oferta_serving.responses import JsonAnswer
from oferta_serving.services import Services

_STATUS = {"accepted": 202, "parked": 202, "duplicate": 200}


def add_event_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    receiver = services.receiver
    if receiver is None:
        return
    limits, clock, settings = services.settings.limits, services.clock, services.settings.events
    max_age_s = settings.max_age_d * 86_400
    types = tuple(settings.known_types())

    @router.post(
        "/v1/events",
        status_code=202,
        response_model=EventsAnswer,
        responses={
            200: {"model": EventsAnswer, "description": "All of them were known already."},
            **problems(
                (
                    *BODY,
                    "parameter.unknown",
                    "events.empty",
                    "events.too_large",
                    "events.all_refused",
                    "event.row",
                    "event.type",
                    "event.time",
                    "event.decision",
                    "event.offer",
                    "event.conflict",
                    "customer.erased",
                    "events.backlog",
                    "events.store_unavailable",
                    "decisions.store_unavailable",
                    "decisions.rules_unavailable",
                )
            ),
        },
        openapi_extra=body_of(EVENTS_BODY),
        tags=["events"],
        operation_id="events",
        summary="What customers did",
    )
    async def events(request: Request) -> Response:
        """One event, or up to 500: each for itself, each with an effect once."""
        if request.scope["query_string"]:
            raise RequestRefused("parameter.unknown")
        fields = await read_object(request.scope, request.receive, limits)
        now = clock.now().timestamp()
        rows, errors = read_rows(fields, now=now, max_age_s=max_age_s, types=types)
        received: list[Received] = []
        if rows:
            await services.rates.take(request.scope[PRINCIPAL], len(rows) - 1)
            received, refused = await receiver.receive(rows)
            errors = sorted([*errors, *refused], key=lambda error: error.index)
        services.metrics.events.labels("refused").inc(len(errors))
        if not received:
            raise _all_refused(errors, single="events" not in fields)
        answer = _answer(received, errors)
        return JsonAnswer(orjson.dumps(answer), status=202 if answer["accepted"] else 200)


def _answer(received: Sequence[Received], errors: Sequence[ItemError]) -> dict[str, object]:
    results = {error.index: problem_row(error) for error in errors}
    for one in received:
        results[one.index] = {
            "index": one.index,
            "status": _STATUS[one.state],
            "state": one.state,
        }
    duplicates = sum(one.state == "duplicate" for one in received)
    return {
        "accepted": len(received) - duplicates,
        "duplicates": duplicates,
        "refused": len(errors),
        "results": [results[index] for index in sorted(results)],
    }


def _all_refused(errors: Sequence[ItemError], *, single: bool) -> RequestRefused:
    """One event is refused for its own reason; so are many that a later attempt may not meet."""
    headers = retry_later(errors)
    codes = {error.code for error in errors}
    if not single and not (len(codes) == 1 and headers):
        return RequestRefused("events.all_refused", "events", errors=errors)
    facts = dict(errors[0].facts) if single else {}
    where, near = facts.pop("where", None), facts.pop("nearest", None)
    return RequestRefused(
        errors[0].code,
        None if where is None else str(where),
        near=None if near is None else str(near),
        facts=facts,
        headers=headers,
    )
