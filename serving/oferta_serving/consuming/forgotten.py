"""Events of customers who were forgotten: dropped, whenever they were accepted."""

from collections.abc import Sequence
from pathlib import Path

from oferta.errors import LedgerUnavailable
from oferta.privacy.consents import Consents
from oferta.privacy.ledger import Ledger, ledger_kept, ledger_path
from oferta.store.events import Effects
from oferta.store.keys import KeySpace
from oferta.store.reading import consents_of
from oferta_serving.consent.words import CopiedWords, LedgerWords, Words
from oferta_serving.consuming.deeds import Deed
from oferta_serving.consuming.metrics import ConsumerMetrics


class Forgetting:
    """Tells events of who was forgotten from the others. For one event loop.

    Where this machine keeps the consent ledger it is asked; else the copies in Redis.
    """

    def __init__(
        self, store: Effects, space: KeySpace, *, home: Path, metrics: ConsumerMetrics
    ) -> None:
        self._store = store
        self._space = space
        self._home = home
        self._asked = False
        self._ledger: Ledger | None = None
        self._metrics = metrics

    async def split(self, deeds: Sequence[Deed]) -> tuple[list[Deed], list[Deed]]:
        """The events to apply, and those of who was forgotten, whose claims are settled.

        A claim that is settled so keeps the event out of the archive, and its entry is to be
        acknowledged like any other.

        Raises:
            StoreUnavailable: no answer in time; to be repeated.
            LedgerUnavailable: nobody can say who was forgotten.
        """
        owners = {
            deed.owner: deed.event.customer_id
            for deed in deeds
            if deed.event.customer_id is not None
        }
        if not owners:
            return list(deeds), []
        keys = [self._space.consent(owner) for owner in owners]
        records = dict(zip(keys, await self._store.fetch(keys), strict=True))
        words = self._words()
        gone: set[bytes] = set()
        for owner, customer_id in owners.items():
            copied = consents_of(records[self._space.consent(owner)])
            said = words.of(customer_id, owner, copied)
            if isinstance(said, Consents) and said.erased:
                gone.add(owner)
        dropped = [deed for deed in deeds if deed.owner in gone]
        if dropped:
            await self._store.settle([(deed.claim, None) for deed in dropped], "dead")
            self._metrics.forgotten.inc(len(dropped))
        return [deed for deed in deeds if deed.owner not in gone], dropped

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def _words(self) -> Words:
        if self._ledger is not None and not self._ledger.in_place():
            self._ledger.close()
            self._ledger = None
        if self._ledger is None:
            path = ledger_kept(self._home)
            if path is None and self._asked:  # its whole folder went
                raise LedgerUnavailable(ledger_path(self._home), "has vanished")
            if path is None:
                return CopiedWords()
            self._ledger, self._asked = Ledger(path), True
        return LedgerWords(self._ledger)
