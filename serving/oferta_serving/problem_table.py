"""The table of all problems: what is wrong, with which HTTP status, and what to do about it.

Codes are stable and may be matched by programs; docs/api.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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
        "key.expired": Problem(
            401, "The API key is over", "Ask the operator for a new one (`oferta keys rotate`)."
        ),
        "key.revoked": Problem(401, "The API key was revoked", "Ask the operator for a new one."),
        "key.in_query": Problem(
            400,
            "An API key stands in the URL",
            "URLs end up in logs: have that key revoked, and send keys in the X-API-Key header.",
        ),
        "key.attempts": Problem(
            429, "Too many wrong keys came from here", "Try again after `Retry-After`."
        ),
        "key.scope": Problem(
            403, "The API key is not for this", "Use a key with the scope that the route needs."
        ),
        "key.tenant": Problem(
            403,
            "The API key's tenant is not served here",
            "Name the tenant in [tenants] of the settings, or ask where it is served.",
        ),
        "rate.exceeded": Problem(
            429, "Too many requests with this key", "Try again after `Retry-After`."
        ),
        "rate.customers": Problem(
            429,
            "Too many different customers were asked for with this key today",
            "Ask again tomorrow (UTC), or have `rate.customers_per_day` raised.",
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
            422,
            "The body has a field that means nothing here",
            "Send only documented fields: see `where`.",
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
        "parameter.boolean": Problem(422, "Neither true nor false", "Write true or false."),
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
        # Decisions: what was asked.
        "request_id.invalid": Problem(
            422, "Not a request id", "Send 1 to 128 characters without control characters."
        ),
        "request_id.reused": Problem(
            409,
            "The request id was used for another question",
            "Send a new request id, or exactly the request that it was first sent with.",
        ),
        "name.invalid": Problem(
            422, "Not a name", "Names are 1 to 64 of a-z, 0-9, '-' and '_', as in the catalogue."
        ),
        "channel.unknown": Problem(
            422, "The policy has no such channel", "See `nearest`; 'any' lets the engine choose."
        ),
        "placement.unknown": Problem(422, "The catalogue has no such placement", "See `nearest`."),
        "placement.channel": Problem(
            422, "The placement is on another channel", "Ask on its own channel, or on 'any'."
        ),
        "placement.repeated": Problem(
            422, "A placement stands twice", "Name every placement once."
        ),
        "placement.none": Problem(
            422, "The channel has no placement to fill", "Name one, or add it to the catalogue."
        ),
        "context.missing": Problem(
            422,
            "The placement needs a field of context that was not sent",
            "Send all fields that `missing` names, or name another placement.",
        ),
        "context.unknown": Problem(
            422, "No placement declares this field of context", "See `nearest`."
        ),
        "context.invalid": Problem(
            422,
            "A field of context has the wrong type",
            "Send it as the catalogue declares it; text has at most 256 characters.",
        ),
        "wish.unknown": Problem(
            422, "No product or family has this name", "Name a product or a family: see `nearest`."
        ),
        "offer.unknown": Problem(404, "The catalogue has no such offer", "See `nearest`."),
        "filter.invalid": Problem(
            422,
            "The filter is no rule over the facts of customer and offer",
            "`problem` says what is wrong, `position` where; see docs/rules.md.",
        ),
        "decision.unknown": Problem(
            404, "No such decision", "Ids are as answered; decisions are kept for `keep_d` days."
        ),
        "customer.unknown": Problem(
            404, "Nothing is known of this customer", "Neither the live release nor a decision."
        ),
        # Feedback, each row for itself.
        "feedback.empty": Problem(422, "No feedback was sent", "Send 1 to 500 rows."),
        "feedback.too_large": Problem(
            413, "Too much feedback in one call", "Send at most 500 rows; split the rest."
        ),
        "feedback.all_refused": Problem(
            422, "Not one row of feedback can be used", "`errors` gives the code for each position."
        ),
        "feedback.row": Problem(
            422, "A row of feedback has a wrong or missing field", "See docs/api.md for its fields."
        ),
        "feedback.type": Problem(
            422, "No such type of feedback", "`allowed` names all that there are."
        ),
        "feedback.offer": Problem(
            422, "The decision did not make this offer", "Name an offer of its answer."
        ),
        "feedback.time": Problem(
            422,
            "Not an instant at which this can have happened",
            "Send RFC 3339 with an offset, not before the decision and not in the future.",
        ),
        # Decisions: what they need and cannot have. Each may be tried again.
        "decisions.not_configured": Problem(
            404, "This service makes no decisions", "See [decisions] in docs/api.md."
        ),
        "decisions.rules_unavailable": Problem(
            503,
            "Policy, catalogue or rate cards have mistakes",
            "/health/status and the log name every one.",
        ),
        "decisions.store_unavailable": Problem(
            503, "Redis does not answer: no offer may be made", "Try again after `Retry-After`."
        ),
        "decisions.release_unavailable": Problem(
            503, "There is no usable release", "Publish one: /health/ready says what is wrong."
        ),
        "decisions.profile_unreadable": Problem(
            503, "The customer's profile is damaged", "Publish again; nothing is offered meanwhile."
        ),
        "decisions.state_unreadable": Problem(
            503, "What was said to the customer is damaged", "See docs/api.md for how to mend it."
        ),
        "decisions.contended": Problem(
            503, "Others decided for this customer all the time", "Try again after `Retry-After`."
        ),
        # Events.
        "events.empty": Problem(422, "No event was sent", "Send 1 to 500 events."),
        "events.too_large": Problem(
            413, "Too many events in one call", "Send at most 500; split the rest."
        ),
        "events.all_refused": Problem(
            422, "Not one event can be used", "`errors` gives the code for each position."
        ),
        "event.row": Problem(
            422, "An event has a wrong or missing field", "See `where`, and docs/events.md."
        ),
        "event.type": Problem(
            422, "No such type of event", "See `nearest`, or declare it in [events] types."
        ),
        "event.time": Problem(
            422,
            "Not an instant at which this can have happened",
            "Send RFC 3339 with an offset, at most `max_age_d` days old and not in the future.",
        ),
        "event.decision": Problem(
            422,
            "The customer was not made this decision",
            "Send the id as it was answered to this customer, or leave it out.",
        ),
        "event.offer": Problem(
            422, "The decision did not make this offer", "Name an offer of its answer."
        ),
        "event.conflict": Problem(
            409, "The event id was used for something else", "Give every event an id of its own."
        ),
        "customer.erased": Problem(
            410,
            "The customer was forgotten",
            "Send nothing of them any more; a new contract: `oferta erase --forget-tombstone`.",
        ),
        "events.backlog": Problem(
            503,
            "Too many events wait to be applied",
            "Send it again after `Retry-After`; nothing of it was stored.",
        ),
        "events.store_unavailable": Problem(
            503,
            "Redis does not take events now",
            "Send the same again after `Retry-After`: what was stored is recognised.",
        ),
        "day.invalid": Problem(422, "Not a day", "Write it as 2027-03-01."),
        "base.unavailable": Problem(
            503, "The scores of everybody are not here", "Name their folder: `decisions.base`."
        ),
        # Consent.
        "request_id.withdrawn": Problem(
            409,
            "The customer no longer agrees to what was decided for this request id",
            "Send a new request_id: it is decided anew.",
        ),
        "consent.invalid": Problem(
            422, "A word of consent cannot be used", "See `errors`; nothing was stored."
        ),
        "consent.word": Problem(
            422, "Not a word of consent", "Mend the field that `where` names; see docs/privacy.md."
        ),
        "consent.channel": Problem(
            422, "Only marketing has channels", "Leave `channel` out, or set purpose marketing."
        ),
        "consent.time": Problem(
            422,
            "Not an instant at which it can have been said",
            "Send RFC 3339, not in the future.",
        ),
        "consent.count": Problem(422, "Too few or too many words", "Send 1 to 50 words."),
        "consent.not_stored": Problem(
            503,
            "The word could not be stored",
            "Send it again after `Retry-After`: twice is harmless.",
        ),
        "consent.ledger_unavailable": Problem(
            503, "The consent ledger cannot be read", "Try again after `Retry-After`."
        ),
        "consent.not_kept_here": Problem(
            404, "Another machine keeps the consent ledger", "Send it there (`privacy.ledger`)."
        ),
        "reason.invalid": Problem(
            422, "Not a reason", "Send 1 to 128 characters without control characters."
        ),
        "erasure.unknown": Problem(404, "No such erasure", "Send the id as it was answered."),
        "erasure.not_stored": Problem(
            503, "The erasure could not be written down", "Try again after `Retry-After`."
        ),
        "format.unknown": Problem(422, "No such format", "Send `json` or `csv`."),
        "export.unavailable": Problem(
            503,
            "A place cannot be read now",
            "Try again: an export that lacks a place would be no answer.",
        ),
        # Ours.
        "overloaded": Problem(
            503, "Too much is going on", "Try again after `Retry-After`, not all at once."
        ),
        "deadline.invalid": Problem(
            422, "Not a deadline", "Send whole milliseconds, at most 6 digits, once."
        ),
        "internal": Problem(
            500, "The fault is ours", "Try again; report the request id if it stays."
        ),
    }
)
