"""The consent ledger's words in Redis before a release is: they may have been lost there."""

import asyncio
from pathlib import Path
from typing import Final

from oferta.clock import Clock
from oferta.privacy.ledger import Ledger, ledger_kept
from oferta.store.consent_copies import ConsentCopies, brought
from oferta.store.keys import KeySpace
from oferta.store.wire import Wire

_PATIENCE_S: Final = 5.0


def bring_consents(home: Path, url: str, space: KeySpace, *, clock: Clock) -> None:
    """Copy what Redis lacks of the ledger of a state folder, where there is one.

    Whoever serves on this machine asks the ledger; others hold back until all is copied.

    Raises:
        LedgerUnavailable: it is there and cannot be read.
    """
    path = ledger_kept(home)
    if path is None:
        return
    ledger = Ledger(path)
    try:
        asyncio.run(_brought(url, space, ledger, at=clock.now().timestamp()))
    finally:
        ledger.close()


async def _brought(url: str, space: KeySpace, ledger: Ledger, *, at: float) -> None:
    copies = ConsentCopies(Wire(url, connections=1, deadline_s=_PATIENCE_S), space)
    try:
        await brought(copies, ledger, at=at)
    finally:
        await copies.close()
