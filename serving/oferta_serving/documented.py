"""How routes describe themselves in OpenAPI, from the same tables that they work by."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.convertors import StringConvertor, register_url_convertor

from oferta_serving.access.scopes import BEARER, needed
from oferta_serving.problem_table import PROBLEMS
from oferta_serving.problems import MEDIA_TYPE, problem_fields

COMMON = (
    "request.malformed",
    "request.timeout",
    "url.too_long",
    "headers.too_large",
    "accept.unsupported",
    "key.missing",
    "key.invalid",
    "key.expired",
    "key.revoked",
    "key.in_query",
    "key.attempts",
    "key.scope",
    "key.tenant",
    "rate.exceeded",
    "rate.customers",
    "overloaded",
    "deadline.invalid",
    "internal",
)
"""What any route under /v1 may answer."""

IDS = ("id.empty", "id.too_long", "id.dots", "id.control", "id.surrogate", "id.encoding")
QUERY = (
    "parameter.unknown",
    "parameter.repeated",
    "parameter.encoding",
    "parameter.integer",
    "parameter.out_of_range",
)
BODY = (
    "content_type.unsupported",
    "encoding.unsupported",
    "body.too_large",
    "json.encoding",
    "json.malformed",
    "json.duplicate_key",
    "json.not_finite",
    "json.too_deep",
    "body.not_object",
    "body.unknown_field",
    "body.missing_field",
    "body.type",
    "number.too_large",
    "parameter.out_of_range",
)


class SegmentConvertor(StringConvertor):
    """A path segment, the empty one too: an empty id is refused as an id, not as a route."""

    regex = "[^/]*"


register_url_convertor("segment", SegmentConvertor())


def problems(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may refuse with `codes`, an example for each."""
    examples: dict[int, dict[str, Any]] = {}
    for code in dict.fromkeys((*COMMON, *codes)):
        value = {**problem_fields(code), "request_id": "4f1d6c2a90be7358"}
        examples.setdefault(PROBLEMS[code].status, {})[code] = {"value": value}
    return {
        status: {
            "description": ", ".join(sorted(named)),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemAnswer"},
                    "examples": named,
                }
            },
        }
        for status, named in examples.items()
    }


def with_problem_schema(document: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with more component schemas, and which key each route needs.

    The key stands as an array of one scope: roles, where the scheme is no OAuth (OpenAPI 3.1).
    """
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = {
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "From `oferta keys create`; the route names the scope that it needs.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The same key, for Prometheus.",
        },
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = needed(method.upper(), path)
            operation["security"] = [] if scope is None else [{"apiKey": [scope]}]
            if path == BEARER:
                operation["security"].append({"bearer": [scope]})
    return document
