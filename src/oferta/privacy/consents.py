"""What a customer agreed to, as every answer reads it: a small copy of the consent ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

from oferta.errors import RecordCorrupt

Purpose = Literal[
    "personalisation", "marketing", "email", "sms", "push", "phone", "training", "sharing"
]
PURPOSES: Final[tuple[Purpose, ...]] = (
    "personalisation",  # content may depend on the person
    "marketing",  # marketing at all
    "email",
    "sms",
    "push",
    "phone",  # marketing on that channel
    "training",  # models may be trained on what the person did
    "sharing",  # with affiliates
)


@dataclass(frozen=True, slots=True)
class Consents:
    """One customer's words, the newest of each purpose; at one instant the no.

    Attributes:
        said: purpose -> whether they agreed. What is not in it was never said here: the profile of
            the release, then the policy, say what holds.
        seq: number of the ledger's entry that was copied last.
        erased: they asked to be forgotten: nothing of them may be read, whatever still lies there.
    """

    said: Mapping[str, bool] = field(default_factory=dict)
    seq: int = 0
    erased: bool = False


NOTHING_SAID: Final = Consents()


def stricter(newer: Consents, other: Consents) -> Consents:
    """What holds where nobody can say which of the two was said last: a no on either side."""
    purposes = {**other.said, **newer.said}
    said = {one: newer.said.get(one, True) and other.said.get(one, True) for one in purposes}
    return Consents(said, max(newer.seq, other.seq), erased=newer.erased or other.erased)


def encode_consents(consents: Consents) -> bytes:
    """As bytes: JSON."""
    return orjson.dumps([consents.seq, consents.erased, dict(consents.said)])


def decode_consents(data: bytes) -> Consents:
    """What `encode_consents` wrote.

    Raises:
        RecordCorrupt: these bytes are none.
    """
    try:
        seq, erased, said = orjson.loads(data)
        return Consents({str(name): bool(word) for name, word in said.items()}, int(seq), erased)
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
        raise RecordCorrupt("a copy of the consent ledger does not have its shape") from error
