"""Reading words from JSON: all of them or none, so that a mistake is met before one is stored."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from oferta.ids import MAX_ID_CHARS, id_fault
from oferta.privacy.consents import PURPOSES, Purpose
from oferta.privacy.word import CHANNELS, STATES, Channel, State, Word
from oferta_serving.instants import sent_instant
from oferta_serving.problems import ItemError, RequestRefused, nearest, unknown_field

MAX_WORDS: Final = 50
SKEW: Final = timedelta(minutes=5)
"""How far a sender's clock may be off."""

_FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_NEEDED: Final = ("purpose", "state", "source")
_FIELDS: Final = (*_NEEDED, "channel", "at", "proof", "policy_version")

_NAMED: Final[Mapping[str, Sequence[str]]] = {
    "purpose": PURPOSES,
    "state": STATES,
    "channel": CHANNELS,
}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}

WORD_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": list(_NEEDED),
    "additionalProperties": False,
    "properties": {
        "purpose": {"enum": list(PURPOSES)},
        "state": {"enum": list(STATES), "description": "`in`: they agree; `out`: they do not."},
        "source": {**_TEXT, "description": "Where it was said.", "example": "app"},
        "channel": {
            "enum": [*CHANNELS, None],
            "description": "With the purpose `marketing` only: marketing on that channel.",
        },
        "at": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
            "description": "When it was said, RFC 3339 with an offset; else now.",
        },
        "proof": {"anyOf": [_TEXT, {"type": "null"}], "description": "Where the proof lies."},
        "policy_version": {
            "anyOf": [_TEXT, {"type": "null"}],
            "description": "Of the text that they were shown.",
        },
    },
}

BODY_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        WORD_SCHEMA,
        {
            "type": "object",
            "required": ["consents"],
            "additionalProperties": False,
            "properties": {
                "consents": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_WORDS,
                    "items": WORD_SCHEMA,
                }
            },
        },
    ],
    "examples": [{"purpose": "personalisation", "state": "out", "source": "app"}],
}


def read_words(customer_id: str, fields: Mapping[str, object], *, now: datetime) -> list[Word]:
    """The words of `PUT .../consent`: a single one, or those of `consents`.

    Raises:
        RequestRefused: any of them cannot be used; none is stored.
    """
    words: list[Word] = []
    errors: list[ItemError] = []
    for index, one in enumerate(_listed(fields)):
        error = _error(index, one, now)
        if error is None:
            words.append(_word(customer_id, cast("Mapping[str, Any]", one), now))
        else:
            errors.append(error)
    if errors:
        raise RequestRefused("consent.invalid", errors=errors)
    return words


def _listed(fields: Mapping[str, object]) -> Sequence[object]:
    if "consents" not in fields:
        return [fields]
    refused = unknown_field(fields, ("consents",))
    if refused is not None:
        raise refused
    listed = fields["consents"]
    if not isinstance(listed, list):
        raise RequestRefused("body.type", "consents")
    if not 1 <= len(listed) <= MAX_WORDS:
        raise RequestRefused("consent.count", "consents", bounds=(1, MAX_WORDS))
    return listed


def _word(customer_id: str, fields: Mapping[str, Any], now: datetime) -> Word:
    at = None if fields.get("at") is None else datetime.fromisoformat(fields["at"])
    state: State = fields["state"]
    # Senders' clocks differ. A no that is said now must not lose to a yes of a faster clock, and
    # one from the future has a wrong clock and not a wrong mind: both count from their arrival.
    if at is not None and at > (now - SKEW if state == "out" else now):
        at = None
    return Word(
        customer_id,
        cast("Purpose", fields["purpose"]),
        state,
        fields["source"],
        channel=cast("Channel | None", fields.get("channel")),
        at=at,
        proof=fields.get("proof"),
        policy_version=fields.get("policy_version"),
    )


def _error(index: int, fields: object, now: datetime) -> ItemError | None:
    """What is wrong with a word, and what its field may be."""
    if not isinstance(fields, dict):
        return ItemError(index, "consent.word", {})
    unknown = unknown_field(fields, _FIELDS)
    if unknown is not None:
        return ItemError(index, "consent.word", _facts(unknown.where, unknown.near))
    for name in _FIELDS:
        facts = _wrong(name, fields.get(name))
        if facts is not None:
            return ItemError(index, "consent.word", facts)
    if fields.get("channel") is not None and fields["purpose"] != "marketing":
        return ItemError(index, "consent.channel", {"where": "channel"})
    if fields.get("at") is not None and not _said_then(fields["at"], fields["state"], now):
        return ItemError(index, "consent.time", {"where": "at"})
    return None


def _wrong(name: str, value: object) -> dict[str, object] | None:
    """What helps to mend a field; None: there is nothing wrong with it."""
    if value is None and name not in _NEEDED:
        return None
    allowed = _NAMED.get(name)
    if not isinstance(value, str) or id_fault(value) is not None:
        return {"where": name} if allowed is None else {"where": name, "allowed": [*allowed]}
    if allowed is None or value in allowed:
        return None
    return {**_facts(name, nearest(value, allowed)), "allowed": [*allowed]}


def _facts(where: str | None, near: str | None) -> dict[str, object]:
    facts = {"where": where, "nearest": near}
    return {name: fact for name, fact in facts.items() if fact is not None}


def _said_then(text: str, state: State, now: datetime) -> bool:
    at = sent_instant(text)
    return at is not None and at >= _FIRST and (state == "out" or at <= now + SKEW)
