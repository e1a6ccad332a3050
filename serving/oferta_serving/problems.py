"""Everything a request can be refused for: one table, one shape (RFC 9457), one place.

A problem never repeats what was sent: it names the rule, and where one of *our* names is known
(a parameter, a field), that name. Codes are stable and may be matched by programs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from oferta.errors import InputError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table: the HTTP status, what is wrong, and what to do about it."""

    status: int
    title: str
    remedy: str


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        # The request as a whole.
        "request.malformed": Problem(
            400, "Not an HTTP request", "Send a well-formed HTTP/1.1 request."
        ),
        "request.timeout": Problem(
            408, "The request took too long to arrive", "Send head and body within 5 seconds each."
        ),
        "url.too_long": Problem(414, "The URL is too long", "Use at most 8 kB of URL."),
        "headers.too_large": Problem(
            431, "Too many or too large headers", "Send at most 100 headers and 16 kB of them."
        ),
        "route.unknown": Problem(404, "No such route", "See /openapi.json for what there is."),
        "method.not_allowed": Problem(
            405, "The route does not answer this method", "The Allow header names those it does."
        ),
        "accept.unsupported": Problem(
            406, "Only JSON is served", "Accept application/json, or leave the header out."
        ),
        # Who asks.
        "key.missing": Problem(401, "An API key is needed", "Send it in the X-API-Key header."),
        "key.invalid": Problem(
            401, "The API key is not known", "Ask the operator for a valid key."
        ),
        # The body.
        "content_type.unsupported": Problem(
            415, "The body must be JSON", "Send Content-Type: application/json."
        ),
        "encoding.unsupported": Problem(
            415, "Compressed bodies are refused", "Send the body without Content-Encoding."
        ),
        "body.too_large": Problem(413, "The body is too large", "Send at most 256 kB."),
        "json.encoding": Problem(
            400, "The body is not UTF-8", "Send UTF-8 without a byte-order mark."
        ),
        "json.malformed": Problem(400, "The body is not JSON", "Send one JSON object (RFC 8259)."),
        "json.duplicate_key": Problem(
            400, "A key stands twice in one JSON object", "Send every key once."
        ),
        "json.not_finite": Problem(
            400, "NaN and Infinity are not JSON", "Send finite numbers only."
        ),
        "json.too_deep": Problem(400, "The JSON is nested too deeply", "Nest at most 8 levels."),
        "body.not_object": Problem(422, "The body must be a JSON object", "See /openapi.json."),
        "body.unknown_field": Problem(
            422, "The body has a field that means nothing here", "Send only the documented fields."
        ),
        "body.missing_field": Problem(
            422, "A required field is missing", "Add the field that `where` names."
        ),
        "body.type": Problem(
            422, "A field has the wrong type", "See `where`; text is never read as a number."
        ),
        "number.too_large": Problem(422, "A number has too many digits", "Send at most 15 digits."),
        # Parameters and fields.
        "parameter.unknown": Problem(
            422, "A query parameter means nothing here", "Send only the documented parameters."
        ),
        "parameter.repeated": Problem(
            400, "A query parameter stands twice", "Send every parameter once."
        ),
        "parameter.encoding": Problem(
            422, "A query parameter is not percent-encoded UTF-8", "Encode it as %XX of UTF-8."
        ),
        "parameter.integer": Problem(
            422, "Not a whole number", "Write plain digits, as in n=10: no sign, point or space."
        ),
        "parameter.out_of_range": Problem(
            422, "The number is out of its bounds", "`bounds` gives the least and the most."
        ),
        "category.invalid": Problem(
            422, "Not a category name", "Send 1 to 128 characters without control characters."
        ),
        "category.unknown": Problem(
            422, "No product of the live release has this category", "See the catalogue's names."
        ),
        "segment.invalid": Problem(
            422, "Not a segment name", "Send 1 to 128 characters without control characters."
        ),
        "segment.unknown": Problem(
            422, "The live release has no such segment", "Leave it out for everybody's list."
        ),
        # Ids: the codes of `oferta.ids`, and one for what is no text at all.
        "id.empty": Problem(422, "The id is empty", "Send 1 to 128 characters."),
        "id.too_long": Problem(422, "The id is too long", "Send 1 to 128 characters."),
        "id.dots": Problem(422, "'.' and '..' are not ids", "They do not survive a URL."),
        "id.control": Problem(
            422, "The id has control characters", "Send it exactly as it was ingested."
        ),
        "id.surrogate": Problem(
            422, "The id has half of a surrogate pair", "Send whole Unicode characters."
        ),
        "id.encoding": Problem(
            422, "The id is not percent-encoded UTF-8", "Encode every other byte as %XX of UTF-8."
        ),
        "id.type": Problem(422, "The id is not text", "Send ids as JSON strings, also digits."),
        "product.unknown": Problem(
            404, "The live release has no such product", "See the catalogue for product ids."
        ),
        # Many customers in one call.
        "batch.empty": Problem(422, "No customer was named", "Name 1 to 500 customers."),
        "batch.too_large": Problem(
            413, "Too many customers in one call", "Name at most 500; split the rest."
        ),
        "batch.all_invalid": Problem(
            422, "Not one of the ids is valid", "`errors` gives the code for each position."
        ),
        # Ours.
        "internal": Problem(
            500, "The fault is ours", "Try again; report the request id if it stays."
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one position of a list in the body."""

    index: int
    code: str


class RequestRefused(InputError):
    """A request that is not served: `code` is a row of `PROBLEMS`.

    Attributes:
        where: the parameter or field of ours that is meant, never text of the caller.
        bounds: least and most, for a number out of range.
        errors: per position, for a list.
        headers: more response headers, as `Allow`.
    """

    def __init__(
        self,
        code: str,
        where: str | None = None,
        *,
        bounds: tuple[int, int] | None = None,
        errors: Sequence[ItemError] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.code = code
        self.where = where
        self.bounds = bounds
        self.errors = tuple(errors)
        self.headers = tuple(headers)
        super().__init__(f"{PROBLEMS[code].title} [{code}]")

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return PROBLEMS[self.code].status


def problem_fields(code: str, where: str | None = None) -> dict[str, object]:
    """The problem as RFC 9457 members; `type` is a name, not an address that must resolve."""
    row = PROBLEMS[code]
    fields: dict[str, object] = {
        "type": f"urn:oferta:problem:{code}",
        "title": row.title,
        "status": row.status,
        "detail": row.remedy,
        "code": code,
    }
    if where is not None:
        fields["where"] = where
    return fields


def problem_body(refused: RequestRefused, request_id: str) -> bytes:
    """The problem as the bytes of the answer."""
    fields = problem_fields(refused.code, refused.where)
    if refused.bounds is not None:
        fields["bounds"] = list(refused.bounds)
    if refused.errors:
        fields["errors"] = [{"index": one.index, "code": one.code} for one in refused.errors]
    fields["request_id"] = request_id
    return orjson.dumps(fields)


def problem_headers(refused: RequestRefused, length: int) -> list[tuple[bytes, bytes]]:
    """The headers that go with `problem_body`, the request id aside."""
    return [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(length).encode()),
        (b"cache-control", b"no-store"),
        *refused.headers,
    ]
