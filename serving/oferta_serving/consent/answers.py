"""A customer's consent as JSON, and its shape as the API documents it."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson

from oferta.clock import instant
from oferta.privacy.consents import PURPOSES, Consents
from oferta.privacy.word import Entry, State
from oferta_serving.consent.keeping import Kept
from oferta_serving.schemas import Documented


class Spoken(Documented):
    """One entry of the ledger. `source` is null, as `proof`, where the customer was forgotten."""

    seq: int
    purpose: str
    channel: str | None
    state: State
    at: str
    received_at: str
    source: str | None
    proof: str | None
    policy_version: str | None


class Stored(Spoken):
    """An entry that was written, or was there before (`repeated`)."""

    repeated: bool


class ConsentAnswer(Documented):
    """What a customer agreed to, and everything they ever said.

    `consents` names every purpose: true, agreed; false, refused; null, never said here: then the
    source's consent and the policy's default hold.
    """

    customer_id: str
    consents: dict[str, bool | None]
    erased: bool
    history: list[Spoken]


class ConsentStored(Documented):
    """What was stored, and what holds now.

    `applied` is `now`, or `pending` where Redis is away: this machine respects it all the same,
    others as soon as Redis is back.
    """

    customer_id: str
    consents: dict[str, bool | None]
    erased: bool
    stored: list[Stored]
    applied: Literal["now", "pending"]


def told(customer_id: str, consents: Consents, history: Sequence[Entry]) -> bytes:
    """The answer to a question for consent."""
    return orjson.dumps(
        {
            "customer_id": customer_id,
            "consents": _by_purpose(consents),
            "erased": consents.erased,
            "history": [_spoken(entry) for entry in history],
        }
    )


def stored(customer_id: str, kept: Kept) -> bytes:
    """The answer to words that were stored."""
    return orjson.dumps(
        {
            "customer_id": customer_id,
            "consents": _by_purpose(kept.consents),
            "erased": kept.consents.erased,
            "stored": [_spoken(entry) | {"repeated": entry.repeated} for entry in kept.entries],
            "applied": kept.applied,
        }
    )


def _by_purpose(consents: Consents) -> dict[str, bool | None]:
    return {purpose: consents.said.get(purpose) for purpose in PURPOSES}


def _spoken(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "purpose": entry.purpose,
        "channel": entry.channel,
        "state": entry.state,
        "at": instant(entry.at),
        "received_at": instant(entry.received_at),
        "source": entry.source,
        "proof": entry.proof,
        "policy_version": entry.policy_version,
    }
