"""The bodies of decisions and feedback as JSON schema: what `bodies` and `heard` read."""

from typing import Any, Final

from oferta.ids import MAX_ID_CHARS
from oferta.policy.feedback import FEEDBACK
from oferta_serving.batched import MAX_CUSTOMERS
from oferta_serving.deciding.bodies import (
    MAX_AMOUNT,
    MAX_CONTEXT,
    MAX_FILTER,
    MAX_N,
    MAX_OFFERS,
    MAX_PLACEMENTS,
    MAX_TEXT,
)
from oferta_serving.deciding.heard import MAX_ROWS

Schema = dict[str, Any]

_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}
_NAME: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
_AMOUNT: Final = {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT}


def _or_null(schema: Schema, about: str = "") -> Schema:
    found: Schema = {"anyOf": [schema, {"type": "null"}]}
    return {**found, "description": about} if about else found


_SHARED: Final[Schema] = {
    "request_id": _or_null(
        _ID, "The same one within 24 hours gives the same decision back and reserves nothing."
    ),
    "channel": {
        **_NAME,
        "description": "One of the policy's channels, or `any`: the engine picks.",
    },
    "placements": _or_null(
        {"type": "array", "items": _NAME, "maxItems": MAX_PLACEMENTS},
        "Filled in this order, no offer twice; none: all of the channel.",
    ),
    "n": _or_null(
        {"type": "integer", "minimum": 1, "maximum": MAX_N},
        "At most so many offers in all; else as the placements' sizes allow.",
    ),
    "context": _or_null(
        {
            "type": "object",
            "maxProperties": MAX_CONTEXT,
            "propertyNames": {"pattern": _NAME["pattern"]},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": MAX_TEXT},
                    {"type": "number"},
                    {"type": "boolean"},
                    {"type": "null"},
                ]
            },
        },
        "The fields that the placements declare.",
    ),
    "wish": _or_null(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "amount": _or_null(_AMOUNT),
                "months": _or_null({"type": "integer", "minimum": 1, "maximum": 600}),
                "deposit": _or_null(_AMOUNT),
                "instalment": _or_null(_AMOUNT, "The most they want to pay a month."),
                "excess": _or_null(_AMOUNT),
                "mileage_km_year": _or_null(
                    {"type": "integer", "minimum": 1, "maximum": 1_000_000}
                ),
                "product": _or_null(_ID, "The product or family they ask about."),
            },
        },
        "What the customer says they want, in the policy's currency.",
    ),
    "filter": _or_null(
        {"type": "string", "minLength": 1, "maxLength": MAX_FILTER},
        "A further rule over the facts of offer and customer.",
    ),
    "explain": {
        "type": "boolean",
        "default": False,
        "description": "With the schedule of payments of every offer.",
    },
    "personalise": {
        "type": "boolean",
        "default": True,
        "description": "False: an answer that does not depend on the customer.",
    },
    "offers": _or_null(
        {"type": "array", "items": _NAME, "maxItems": MAX_OFFERS},
        "Only these offers are candidates; none: all.",
    ),
}

ONE_BODY: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["customer_id", "channel"],
    "properties": {
        "customer_id": _ID,
        **_SHARED,
        "dry_run": {
            "type": "boolean",
            "default": False,
            "description": "Decide, and neither reserve nor store anything.",
        },
    },
    "example": {"customer_id": "c-1042", "channel": "app", "placements": ["home"]},
}

MANY_BODY: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["customer_ids", "channel"],
    "properties": {
        "customer_ids": {"type": "array", "minItems": 1, "maxItems": MAX_CUSTOMERS, "items": _ID},
        **_SHARED,
        "reserve": {
            "type": "boolean",
            "default": False,
            "description": "Store the decisions and take their places under the caps.",
        },
    },
    "example": {
        "customer_ids": ["c-1042", "c-7"],
        "channel": "email",
        "placements": ["newsletter"],
        "reserve": True,
    },
}

_ROW: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["decision_id", "offer_id", "type"],
    "properties": {
        "feedback_id": _or_null(_ID, "The same one is heard once; else the same said is."),
        "decision_id": _ID,
        "offer_id": _ID,
        "type": {"type": "string", "enum": list(FEEDBACK)},
        "value": _or_null({"type": "number"}, "Of a rating, or whatever is counted in money."),
        "occurred_at": _or_null(
            {"type": "string", "format": "date-time"}, "When it happened; else now."
        ),
        "until": _or_null(
            {"type": "string", "format": "date-time"}, "Of a `later`: when the customer wants it."
        ),
    },
}

FEEDBACK_BODY: Final[Schema] = {
    "anyOf": [
        _ROW,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["feedback"],
            "properties": {
                "feedback": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_ROWS,
                    "items": _ROW,
                }
            },
        },
    ],
    "example": {
        "feedback_id": "f-1",
        "decision_id": "d_0a35d1f2c3b4a5968778695a4b",
        "offer_id": "warranty-extension",
        "type": "impression",
    },
}


def body_of(schema: Schema) -> dict[str, object]:
    """The request body of a route, as OpenAPI has it."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
