"""What a customer agreed to, as an answer must respect it; or why that is not known.

Where this machine keeps the ledger, the ledger is asked, for every answer: 3 us. What lies in Redis
may be older, after it was restored, or missing, after it was emptied. Elsewhere the copy in Redis
is all there is, and it is believed as long as its marker is where it was last.
"""

from pathlib import Path
from typing import Literal, Protocol

from oferta.errors import LedgerUnavailable
from oferta.privacy.consents import Consents, stricter
from oferta.privacy.ledger import Ledger, ledger_kept
from oferta.store.reading import Damage
from oferta.store.release import CustomerRow
from oferta_serving.settings import ServingSettings

Unknown = Literal["consent_unknown", "consent_unreadable"]
"""Why nobody can say what a customer agreed to: the ledger, or its copy, cannot be relied on; or
their own record is damaged."""


def refused(consents: Consents) -> bool:
    """Whether lists must not depend on who agreed to this: they said so, or are forgotten."""
    return consents.erased or consents.said.get("personalisation") is False


def closed(row: CustomerRow | None, consents: Consents | None) -> bool:
    """Whether the release says that they refused, and they have not agreed here since."""
    return (
        row is not None
        and row.closed
        and (consents is None or consents.said.get("personalisation") is not True)
    )


class Words(Protocol):
    """Who knows what customers agreed to."""

    def of(self, customer_id: str, digest: bytes, copied: Consents | Damage) -> Consents | Unknown:
        """What a customer, with their `KeySpace.digest`, agreed to; `copied`: by their record."""
        ...


class LedgerWords:
    """Asks the ledger of this machine. `ledger` is None while it cannot be opened."""

    __slots__ = ("ledger",)

    def __init__(self, ledger: Ledger | None) -> None:
        self.ledger = ledger

    def of(self, customer_id: str, digest: bytes, copied: Consents | Damage) -> Consents | Unknown:
        """See `Words`."""
        if self.ledger is None:
            return "consent_unknown"
        try:
            written = self.ledger.consents_of(customer_id, digest.hex())
        except LedgerUnavailable:
            return "consent_unknown"
        if isinstance(copied, Consents) and copied.seq > written.seq:
            # Of a ledger that was restored from a backup the copy knows more; and the ledger may
            # have been told since, under a number that was given before.
            return stricter(copied, written)
        return written


def words_here(settings: ServingSettings, home: Path) -> Words:
    """Who a command asks: the ledger, where this machine keeps it, else the copies.

    Where the ledger has vanished, nobody.
    """
    try:
        path = ledger_kept(home) if settings.privacy.ledger else None
        return CopiedWords() if path is None else LedgerWords(Ledger(path))
    except LedgerUnavailable:
        return LedgerWords(None)


class CopiedWords:
    """Believes the copies. `reliable` is whether all that was ever copied is still there."""

    __slots__ = ("reliable",)

    def __init__(self, *, reliable: bool = True) -> None:
        self.reliable = reliable

    def of(self, customer_id: str, digest: bytes, copied: Consents | Damage) -> Consents | Unknown:
        """See `Words`."""
        del customer_id, digest
        if isinstance(copied, Damage):
            return "consent_unreadable"
        return copied if self.reliable else "consent_unknown"
