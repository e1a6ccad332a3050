"""What is kept of one customer between releases, as records: what they did lately, their consent.

Sealed like all records: magic, kind and checksum. The header of what they did is its mark, as a
state's is: a script compares it without reading the rest.
"""

from typing import Final

from oferta.privacy.consents import Consents, decode_consents, encode_consents
from oferta.profile.recent import Recent, decode_recent, encode_recent
from oferta.store import codec
from oferta.store.codec import Stamp

RECENT: Final = 19
CONSENT: Final = 20


def seal_recent(recent: Recent, *, at: float) -> bytes:
    """The record of what somebody did lately, written at the instant `at` (epoch seconds)."""
    return codec.seal(
        RECENT, Stamp(recent.version, at), count=len(recent.events), body=encode_recent(recent)
    )


def open_recent(record: bytes) -> Recent:
    """What `seal_recent` sealed.

    Raises:
        RecordCorrupt: it is no intact record of it.
    """
    codec.unseal(record, RECENT)
    return decode_recent(record[codec.HEADER.size :])


def seal_consents(consents: Consents, *, at: float) -> bytes:
    """The record of what a customer agreed to, written at the instant `at` (epoch seconds)."""
    return codec.seal(CONSENT, Stamp(consents.seq, at), count=1, body=encode_consents(consents))


def open_consents(record: bytes) -> Consents:
    """What `seal_consents` sealed.

    Raises:
        RecordCorrupt: it is no intact record of it.
    """
    codec.unseal(record, CONSENT)
    return decode_consents(record[codec.HEADER.size :])
