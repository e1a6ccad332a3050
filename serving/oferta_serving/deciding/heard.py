"""Reading feedback from JSON: each row for itself, so that one bad row costs the others nothing."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

import orjson

from oferta.ids import id_fault
from oferta.policy.feedback import FEEDBACK, FeedbackKind
from oferta_serving.instants import sent_instant
from oferta_serving.problems import ItemError, RequestRefused, nearest, unknown_field

MAX_ROWS: Final = 500
AHEAD_S: Final = 300.0
"""How far a sender's clock may be ahead of ours."""

_NEEDED: Final = ("decision_id", "offer_id", "type")
_SAID: Final = (*_NEEDED, "value", "occurred_at", "until")
_FIELDS: Final = frozenset({*_SAID, "feedback_id"})
_FAR_S: Final = timedelta(days=3660).total_seconds()
_MAX_VALUE: Final = 1e12


@dataclass(frozen=True, slots=True)
class Row:
    """One row of feedback as sent.

    Attributes:
        index: its position.
        id: the sender's, else one made of what it says: the same said twice is one.
        at: epoch seconds; the time of arrival where the sender told none.
        until: of a `later`: epoch seconds of the instant the customer named.
    """

    index: int
    id: str
    decision: str
    offer: str
    kind: FeedbackKind
    value: float | None
    at: float
    until: float | None


def read_rows(fields: Mapping[str, object], *, now: float) -> tuple[list[Row], list[ItemError]]:
    """The rows of `POST /v1/feedback`, a single one or those of `feedback`; and what is wrong.

    Raises:
        RequestRefused: there are none, or too many.
    """
    rows: list[Row] = []
    errors: list[ItemError] = []
    for index, one in enumerate(_listed(fields)):
        row = _row(index, one, now)
        if isinstance(row, str):
            errors.append(ItemError(index, row, _facts(row, one)))
        else:
            rows.append(row)
    return rows, errors


def _listed(fields: Mapping[str, object]) -> Sequence[object]:
    if "feedback" not in fields:
        return [fields]
    refused = unknown_field(fields, ("feedback",))
    if refused is not None:
        raise refused
    listed = fields["feedback"]
    if not isinstance(listed, list):
        raise RequestRefused("body.type", "feedback")
    if not listed:
        raise RequestRefused("feedback.empty", "feedback")
    if len(listed) > MAX_ROWS:
        raise RequestRefused("feedback.too_large", "feedback")
    return listed


def _row(index: int, fields: object, now: float) -> Row | str:
    """The row, or the code of what is wrong with it."""
    if not isinstance(fields, dict) or not _well_formed(fields):
        return "feedback.row"
    kind = cast("FeedbackKind", fields["type"])
    if kind not in FEEDBACK:
        return "feedback.type"
    at = _instant(fields.get("occurred_at"), now)
    until = _instant(fields.get("until"), None)
    soon = until is None or now - AHEAD_S < until < now + _FAR_S
    if at is None or at > now + AHEAD_S or not soon:
        return "feedback.time"
    told = orjson.dumps([fields.get(name) for name in _SAID])
    natural = f"={hashlib.blake2b(told, digest_size=12).hexdigest()}"
    given = cast("str | None", fields.get("feedback_id"))
    return Row(
        index=index,
        id=natural if given is None else given,
        decision=cast("str", fields["decision_id"]),
        offer=cast("str", fields["offer_id"]),
        kind=kind,
        value=cast("float | None", fields.get("value")),
        at=at,
        until=until,
    )


def _facts(code: str, fields: object) -> dict[str, object]:
    """What helps to mend a row: the field that is meant, and what it may be."""
    if not isinstance(fields, dict):
        return {}
    facts: dict[str, object] = {}
    if code == "feedback.type":
        near = nearest(str(fields["type"]), FEEDBACK)
        facts = {"where": "type", "nearest": near, "allowed": list(FEEDBACK)}
    elif code == "feedback.row":
        unknown = unknown_field(fields, _FIELDS)
        if unknown is not None:
            facts = {"where": unknown.where, "nearest": unknown.near}
        else:
            facts = {"where": next((n for n in _NEEDED if not _is_id(fields.get(n))), None)}
            if facts["where"] is None:
                facts["where"] = "feedback_id" if _is_value(fields.get("value")) else "value"
            if facts["where"] == "type":
                facts["allowed"] = list(FEEDBACK)
    return {name: fact for name, fact in facts.items() if fact is not None}


def _well_formed(fields: Mapping[str, object]) -> bool:
    """Whether a row has the fields it needs and no others, each of its type."""
    return (
        fields.keys() <= _FIELDS
        and all(_is_id(fields.get(name)) for name in _NEEDED)
        and (fields.get("feedback_id") is None or _is_id(fields["feedback_id"]))
        and _is_value(fields.get("value"))
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and id_fault(value) is None


def _is_value(value: object) -> bool:
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(cast("float", value)) <= _MAX_VALUE


def _instant(value: object, absent: float | None) -> float | None:
    """Epoch seconds; `absent` where nothing was sent; infinite where it is no instant."""
    if value is None:
        return absent
    at = sent_instant(value)
    return math.inf if at is None else at.timestamp()
