"""The ledger of this machine as a serving process uses it: written first, copied then, followed.

    word ─▶ ledger, synced ─▶ copy in Redis, marker ─▶ 200
                          └─▶ (Redis away) 200, `pending`; brought when it is back

Every process follows the marker in Redis: where it is behind the ledger, or gone, one of them
brings what is missing. On this machine nothing waits for that, since answers ask the ledger.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog

from oferta.clock import Clock
from oferta.durable import lock_if_free
from oferta.errors import LedgerUnavailable, StoreUnavailable
from oferta.privacy.consents import Consents
from oferta.privacy.ledger import Ledger
from oferta.privacy.word import Entry, Word
from oferta.store.consent_copies import ConsentCopies
from oferta.store.keys import KeySpace
from oferta_serving.consent.repeated import repeated
from oferta_serving.consent.words import LedgerWords
from oferta_serving.metrics import Metrics
from oferta_serving.problems import RequestRefused

STORE_S: Final = 2.5
"""How long a word may take to reach the disk until its sender is told that it did not."""

RETRY: Final = ((b"retry-after", b"1"),)

Applied = Literal["now", "pending"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """Words that are on disk.

    Attributes:
        entries: of the ledger, one for each word.
        consents: what is in force now.
        applied: whether other machines see it already, or when Redis is back.
    """

    entries: Sequence[Entry]
    consents: Consents
    applied: Applied


class Keeping:
    """Writes words, and brings them to Redis. For one event loop; calls may run at once."""

    def __init__(
        self,
        path: Path,
        copies: ConsentCopies | None,
        space: KeySpace,
        *,
        clock: Clock,
        metrics: Metrics,
        follow_s: float,
    ) -> None:
        self.words = LedgerWords(None)
        self.trouble: str | None = None
        self._path = path
        self._copies = copies
        self._space = space
        self._clock = clock
        self._metrics = metrics
        self._follow_s = follow_s
        self._writer: Ledger | None = None
        # One thread of its own: no other work may keep an opt-out waiting.
        self._writing = ThreadPoolExecutor(1, "consent")
        self._redis_away = False
        self._had = False
        self._open()

    async def keep(self, words: Sequence[Word]) -> Kept:
        """Write words of one customer down, then copy them; all are on disk when this returns.

        Raises:
            RequestRefused: `consent.not_stored`; `customer.erased`: nothing is kept of them.
        """
        customer_id = words[0].customer_id
        copied = await self._copy_of(customer_id)
        try:
            writing = asyncio.get_running_loop().run_in_executor(
                self._writing, self._append, words, copied
            )
            async with asyncio.timeout(STORE_S):
                entries = await asyncio.shield(writing)
            consents = self._in_force(customer_id)
        except (LedgerUnavailable, TimeoutError) as error:
            log.exception("consent.not_stored", problem=type(error).__name__)
            raise RequestRefused("consent.not_stored", headers=RETRY) from None
        return Kept(entries, consents, await self._copied(customer_id, consents, entries))

    def history(self, customer_id: str) -> tuple[Consents, list[Entry]]:
        """What is in force of a customer, and all they ever said, oldest first.

        Raises:
            RequestRefused: `consent.ledger_unavailable`.
        """
        ledger = self.words.ledger
        try:
            if ledger is not None:
                return self._in_force(customer_id), ledger.history(customer_id)
        except LedgerUnavailable:
            pass
        raise RequestRefused("consent.ledger_unavailable", headers=RETRY)

    async def follow(self) -> None:
        """Keep the copy complete until cancelled."""
        await repeated(self.look, every_s=self._follow_s)

    async def look(self) -> None:
        """Bring what the copy lacks now, unless another process of this machine is at it."""
        ledger = self.words.ledger
        if ledger is None or not ledger.in_place():
            self._open()
            return
        if self._copies is None:
            return
        try:
            behind = await self._copies.marker() != ledger.snapshot().id
            if behind:
                with lock_if_free(self._path.with_name("copying.lock")) as alone:
                    behind = alone is None or not await self._bring(self._copies)
            self._tell_redis(away=False)
        except StoreUnavailable:
            behind = True
            self._tell_redis(away=True)
        except LedgerUnavailable:
            self._open()
            return
        self._metrics.consent_behind.set(int(behind))

    async def close(self) -> None:
        """Finish what is being written, and close the file."""
        await asyncio.to_thread(self._writing.shutdown)
        for ledger in (self._writer, self.words.ledger):
            if ledger is not None:
                ledger.close()

    async def _copy_of(self, customer_id: str) -> Consents | None:
        """What Redis says of a customer, if it says anything now."""
        if self._copies is None or self._redis_away:
            return None
        try:
            (copied,) = await self._copies.held([self._space.digest(customer_id)])
        except StoreUnavailable:
            self._tell_redis(away=True)  # until the follower finds it again: a word waits once
            return None
        return copied

    def _append(self, words: Sequence[Word], copied: Consents | None) -> list[Entry]:
        """In the writing thread. First what a ledger from a backup lost, and the copy knows."""
        writer = self._writer  # the loop may leave it meanwhile; it is closed after this
        if writer is None or not writer.in_place():
            raise LedgerUnavailable(self._path, "is not there")
        customer_id, now = words[0].customer_id, self._clock.now()
        tombstone = self._space.digest(customer_id).hex()
        if copied is not None and writer.take_back(customer_id, tombstone, copied, at=now):
            log.error("consent.taken_back")
        if writer.consents_of(customer_id, tombstone).erased:
            raise RequestRefused("customer.erased")
        return writer.append(words, received_at=now)

    def _in_force(self, customer_id: str) -> Consents:
        if self.words.ledger is None:
            raise LedgerUnavailable(self._path, "is not there")
        tombstone = self._space.digest(customer_id).hex()
        return self.words.ledger.consents_of(customer_id, tombstone)

    async def _copied(
        self, customer_id: str, consents: Consents, entries: Sequence[Entry]
    ) -> Applied:
        if self._copies is None:
            return "now"
        if self._redis_away or self.words.ledger is None:
            return "pending"
        at = self._clock.now().timestamp()
        try:
            await self._copies.put([(self._space.digest(customer_id), consents)], at=at)
            new = [entry.seq for entry in entries if not entry.repeated]
            if new:
                # Where somebody else's word is not copied yet, the follower moves the marker.
                before = self.words.ledger.snapshot(upto=new[0] - 1).id
                after = self.words.ledger.snapshot(upto=new[-1]).id
                await self._copies.mark(before, after)
        except (StoreUnavailable, LedgerUnavailable):
            return "pending"
        return "now"

    async def _bring(self, copies: ConsentCopies) -> bool:
        ledger = Ledger(self._path)  # the two others are busy in their threads
        try:
            return await copies.catch_up(ledger, at=self._clock.now().timestamp())
        finally:
            ledger.close()

    def _open(self) -> None:
        """Open the ledger; where that fails it is tried again, and nothing is personal meanwhile.

        A file that vanished under a running process is not made anew: that would be a ledger in
        which nobody ever refused anything.
        """
        self._leave()
        had, trouble = self.trouble, None
        if self._had and not self._path.exists():
            trouble = f"the consent ledger {self._path} has vanished: restore it from its backup"
        else:
            try:
                self._writer, self.words.ledger = Ledger(self._path), Ledger(self._path)
                self._had = True
            except LedgerUnavailable as error:
                trouble = str(error)
        self.trouble = trouble
        if trouble is not None and had is None:
            log.error("consent.ledger_unavailable", problem=trouble)
        elif trouble is None and had is not None:
            log.info("consent.ledger_back")

    def _leave(self) -> None:
        """Close what is open: the writer in its thread, which may be at work with it."""
        if self.words.ledger is not None:
            self.words.ledger.close()
        if self._writer is not None:
            self._writing.submit(self._writer.close)
        self._writer = self.words.ledger = None

    def _tell_redis(self, *, away: bool) -> None:
        if away != self._redis_away:
            self._redis_away = away
            log.warning("consent.copy_behind" if away else "consent.copy_resumed")
