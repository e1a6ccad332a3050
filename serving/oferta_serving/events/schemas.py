"""What `/v1/events` answers, and the body that it reads, as OpenAPI has them."""

from typing import Final, Literal

from oferta.events.types import BUILT_IN
from oferta.ids import MAX_ID_CHARS
from oferta_serving.deciding.documents import Schema
from oferta_serving.events.rows import (
    MAX_ATTRIBUTES,
    MAX_EVENT_ID,
    MAX_NUMBER,
    MAX_ROWS,
    MAX_TEXT,
    MIN_EVENT_ID,
)
from oferta_serving.schemas import Documented, ItemProblem


class EventProblem(ItemProblem):
    """Why an event was not taken. `problem`: in words, where the code leaves it open."""

    problem: str | None = None


class EventResult(Documented):
    """What became of one event."""

    index: int
    status: int
    state: Literal["accepted", "duplicate", "parked"] | None = None
    problem: EventProblem | None = None


class EventsAnswer(Documented):
    """What became of each event. `accepted` counts those that were parked, too."""

    accepted: int
    duplicates: int
    refused: int
    results: list[EventResult]


_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}
_NAME: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
_NUMBER: Final = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}


def _said(schema: Schema, about: str) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": about}


EVENT: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["event_id", "type"],
    "properties": {
        "event_id": {
            "type": "string",
            "minLength": MIN_EVENT_ID,
            "maxLength": MAX_EVENT_ID,
            "description": "Yours. The same one again, with the same fields, counts once.",
        },
        "type": {
            "type": "string",
            "description": "Built in (" + ", ".join(BUILT_IN) + ") or declared in [events] types.",
        },
        "customer_id": _said(_ID, "Who did it. This or `session_id`, or both."),
        "session_id": _said(
            _ID, "Of somebody not known yet. With both, what the session did is the customer's."
        ),
        "product_id": _said(_ID, "What it was about."),
        "occurred_at": _said(
            {"type": "string", "format": "date-time"}, "When, with an offset; else now."
        ),
        "channel": _said(_NAME, "Where."),
        "value": _said(_NUMBER, "Money in the main unit, or any other amount."),
        "quantity": _said(_NUMBER, "How many units."),
        "placement": _said(_NAME, "Where in the channel."),
        "release": _said({"type": "integer", "minimum": 1}, "Of the list that it happened to."),
        "decision_id": _said(_ID, "Of the decision that it answers; then `customer_id` is needed."),
        "offer_id": _said(_NAME, "Which of that decision's offers."),
        "attributes": _said(
            {
                "type": "object",
                "maxProperties": MAX_ATTRIBUTES,
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
                "additionalProperties": {
                    "anyOf": [
                        {"type": "string", "maxLength": MAX_TEXT},
                        _NUMBER,
                        {"type": "boolean"},
                    ]
                },
            },
            "Anything else, flat. `wished_amount` and its like are understood: docs/data.md.",
        ),
    },
}

EVENTS_BODY: Final[Schema] = {
    "anyOf": [
        EVENT,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["events"],
            "properties": {
                "events": {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": EVENT}
            },
        },
    ],
    "example": {
        "event_id": "e-2027-000001",
        "customer_id": "c-1042",
        "type": "view",
        "product_id": "balloon-refinance-loan",
    },
}
