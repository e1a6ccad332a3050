"""`oferta serve` as one would write consent without thinking: the chaos test must notice each.

As a program: python -m chaos.planted_consent PLANT serve ...
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from oferta.cli import main
from oferta.privacy.consents import Consents
from oferta.privacy.word import Word
from oferta.store.reading import Damage
from oferta_serving.consent.keeping import Keeping, Kept
from oferta_serving.consent.words import LedgerWords

_NAP_S: Final = 1.5


def believe_the_copies() -> None:
    """What lies in Redis is taken for what customers said."""

    def of(_self: LedgerWords, _name: str, _digest: bytes, copied: Consents | Damage) -> Consents:
        return Consents() if isinstance(copied, Damage) else copied

    LedgerWords.of = of  # type: ignore[method-assign]


def acknowledge_first() -> None:
    """Copied into Redis, answered, and written down when there is time."""
    keep = Keeping.keep

    async def later(self: Keeping, words: Sequence[Word]) -> None:
        await asyncio.sleep(_NAP_S)
        await keep(self, words)

    async def hasty(self: Keeping, words: Sequence[Word]) -> Kept:
        consents = Consents({word.subject: word.state == "in" for word in words}, 1)
        applied = await self._copied(words[0].customer_id, consents, [])
        _LATER.append(asyncio.create_task(later(self, words)))
        return Kept([], consents, applied)

    Keeping.keep = hasty  # type: ignore[method-assign]


_LATER: list["asyncio.Task[None]"] = []

PLANTS: Final[Mapping[str, Callable[[], None]]] = {
    "believes the copies": believe_the_copies,
    "acknowledges first": acknowledge_first,
}

if __name__ == "__main__":
    PLANTS[sys.argv.pop(1)]()
    main()
