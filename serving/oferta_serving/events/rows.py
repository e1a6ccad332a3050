"""Reading events from JSON: each row for itself, so that one bad row costs the others nothing."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from oferta.events.event import AttributeValue, Event
from oferta.ids import id_fault
from oferta.store.event_claims import SAID_CHARS
from oferta_serving.instants import sent_instant
from oferta_serving.problems import ItemError, RequestRefused, nearest, unknown_field

MAX_ROWS: Final = 500
MIN_EVENT_ID: Final = 8
MAX_EVENT_ID: Final = 64
MAX_ATTRIBUTES: Final = 20
MAX_TEXT: Final = 256
MAX_NUMBER: Final = 1e12
AHEAD_S: Final = 300.0
"""How far a sender's clock may be ahead of ours."""

_LENGTH: Final = f"needed, {MIN_EVENT_ID} to {MAX_EVENT_ID} characters"
_NOBODY: Final = "needed: customer_id, session_id, or both"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MAX_RELEASE: Final = 10**15

FIELDS: Final = (
    *("event_id", "type", "customer_id", "session_id", "product_id", "occurred_at", "channel"),
    *("value", "quantity", "placement", "release", "decision_id", "offer_id", "attributes"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One event as sent.

    Attributes:
        index: its position.
        said: hash of what was said, whatever order the fields had.
    """

    index: int
    event: Event
    said: bytes


class _Wrong(Exception):
    """What is wrong with a row."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = {name: fact for name, fact in facts.items() if fact is not None}


def read_rows(
    fields: Mapping[str, object],
    *,
    now: float,
    max_age_s: float,
    types: Sequence[str],
) -> tuple[list[Row], list[ItemError]]:
    """The rows of `POST /v1/events`, a single one or those of `events`; and what is wrong.

    Raises:
        RequestRefused: there are none, or too many.
    """
    rows: list[Row] = []
    errors: list[ItemError] = []
    for index, one in enumerate(listed(fields)):
        try:
            rows.append(_row(index, one, now=now, max_age_s=max_age_s, types=types))
        except _Wrong as wrong:
            errors.append(ItemError(index, wrong.code, wrong.facts))
    return rows, errors


def listed(fields: Mapping[str, object]) -> Sequence[object]:
    """The rows of a body: those of `events`, or itself.

    Raises:
        RequestRefused: there are none, or too many, or `events` is no list.
    """
    if "events" not in fields:
        return [fields]
    refused = unknown_field(fields, ("events",))
    if refused is not None:
        raise refused
    rows = fields["events"]
    if not isinstance(rows, list):
        raise RequestRefused("body.type", "events")
    if not rows:
        raise RequestRefused("events.empty", "events")
    if len(rows) > MAX_ROWS:
        raise RequestRefused("events.too_large", "events")
    return rows


def _row(index: int, fields: object, *, now: float, max_age_s: float, types: Sequence[str]) -> Row:
    if not isinstance(fields, dict):
        raise _Wrong("event.row")
    unknown = unknown_field(fields, FIELDS)
    if unknown is not None:
        raise _Wrong("event.row", where=unknown.where, nearest=unknown.near)
    event_id = _id(fields, "event_id")
    if event_id is None or not MIN_EVENT_ID <= len(event_id) <= MAX_EVENT_ID:
        raise _Wrong("event.row", where="event_id", problem=_LENGTH)
    customer_id, session_id = _id(fields, "customer_id"), _id(fields, "session_id")
    if customer_id is None and session_id is None:
        raise _Wrong("event.row", where="customer_id", problem=_NOBODY)
    decision_id = _id(fields, "decision_id")
    if decision_id is not None and customer_id is None:
        raise _Wrong("event.row", where="customer_id")
    event = Event(
        id=event_id,
        type=_type(fields, types),
        at=_instant(fields, now=now, max_age_s=max_age_s),
        received_at=now,
        customer_id=customer_id,
        session_id=session_id,
        product_id=_id(fields, "product_id"),
        channel=_name(fields, "channel"),
        value=_number(fields, "value"),
        quantity=_number(fields, "quantity"),
        placement=_name(fields, "placement"),
        release=_release(fields),
        decision_id=decision_id,
        offer_id=_name(fields, "offer_id"),
        attributes=_attributes(fields),
    )
    told = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    said = hashlib.blake2b(told, digest_size=SAID_CHARS // 2).hexdigest().encode()
    return Row(index, event, said)


def _id(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or id_fault(value) is not None:
        raise _Wrong("event.row", where=name)
    return value


def _name(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _Wrong("event.row", where=name)
    return value


def _type(fields: Mapping[str, object], types: Sequence[str]) -> str:
    value = fields.get("type")
    if not isinstance(value, str):
        raise _Wrong("event.row", where="type", allowed=list(types))
    if value not in types:
        raise _Wrong("event.type", where="type", nearest=nearest(value, types), allowed=list(types))
    return value


def _number(fields: Mapping[str, object], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise _Wrong("event.row", where=name)
    return float(cast("float", value))


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(cast("float", value)) <= MAX_NUMBER


def _release(fields: Mapping[str, object]) -> int | None:
    value = fields.get("release")
    if value is None:
        return None
    if type(value) is not int or not 0 < value < _MAX_RELEASE:  # to isinstance, True is an int
        raise _Wrong("event.row", where="release")
    return value


def _attributes(fields: Mapping[str, object]) -> dict[str, AttributeValue]:
    value = fields.get("attributes")
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_ATTRIBUTES:
        raise _Wrong("event.row", where="attributes")
    for name, said in value.items():
        text = isinstance(said, str) and len(said) <= MAX_TEXT and not _is_torn(said)
        if not _ATTRIBUTE.fullmatch(name):
            raise _Wrong("event.row", where="attributes")
        if not (text or isinstance(said, bool) or _is_number(said)):
            raise _Wrong("event.row", where=f"attributes.{name}")
    return value


def _is_torn(text: str) -> bool:
    """Whether it holds half of a surrogate pair: not text in any encoding."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _instant(fields: Mapping[str, object], *, now: float, max_age_s: float) -> float:
    """Epoch seconds; now where nothing was sent."""
    value = fields.get("occurred_at")
    if value is None:
        return now
    sent = sent_instant(value)
    at = now if sent is None else sent.timestamp()
    if sent is None:
        problem = "no instant: send RFC 3339 with an offset, as 2027-03-01T10:00:00+01:00"
    elif at > now + AHEAD_S:
        problem = "in the future"
    elif at < now - max_age_s:
        problem = "too long ago"
    else:
        return at
    raise _Wrong("event.time", where="occurred_at", problem=problem)
