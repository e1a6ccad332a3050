"""Erasures as the API takes them: written down and in force before they are answered.

What hangs on the customer's hash alone goes at once, in the background; files, streams, the second
look and the receipt are the runner's (`oferta erase --resume`), which finds whatever is left when
this process dies.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from oferta.errors import LedgerUnavailable, OfertaError
from oferta.privacy.consents import Consents
from oferta.privacy.erasures import Erasure, Erasures
from oferta.privacy.places import Subject
from oferta_serving.erasing.places import Ground, forget_here, own_places, tell_copy
from oferta_serving.problems import RequestRefused

WRITE_S: Final = 2.5
"""How long a request may take to reach the disk until its sender is told that it did not."""

COPY_S: Final = 0.2
"""How long a request waits for the copy of other machines; it is brought all the same."""

RETRY: Final = ((b"retry-after", b"1"),)
ID_BYTES: Final = 12

_T = TypeVar("_T")

log = structlog.get_logger()


def new_id() -> str:
    """A random id of an erasure."""
    return f"er_{secrets.token_hex(ID_BYTES)}"


class Erasing:
    """Takes requests. For one event loop; calls may run at once."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._erasures: Erasures | None = None
        self._thread = ThreadPoolExecutor(1, "erasing")
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, customer_id: str, reason: str) -> Erasure:
        """Write a request down and let it take effect; it goes on in the background.

        Raises:
            RequestRefused: `erasure.not_stored`.
        """
        ground = self.ground
        subject = ground.subject(customer_id)
        at = ground.clock.now().timestamp()

        def written(erasures: Erasures) -> tuple[Erasure, Consents]:
            made = erasures.request(new_id(), subject, reason, at=at)
            return made, forget_here(ground, subject)

        made, consents = await self._asked(written)
        log.info("erasure.requested", erasure_id=made.id)
        telling = self._started(tell_copy(ground, subject, consents))
        await asyncio.wait({telling}, timeout=COPY_S)
        self._started(self._begin(made.id, subject))
        return made

    async def of(self, id_: str) -> Erasure | None:
        """How far a request came; None: there is none such.

        Raises:
            RequestRefused: `erasure.not_stored`: the ledger cannot be read.
        """
        return await self._asked(lambda erasures: erasures.of(id_))

    def receipt(self, erasure: Erasure) -> dict[str, object] | None:
        """The receipt of an erasure that is done."""
        return None if erasure.receipt is None else self.ground.receipts.read(erasure.receipt)

    async def close(self) -> None:
        """Leave what is under way to the runner, and close the file."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._thread.shutdown)
        if self._erasures is not None:
            self._erasures.close()

    def _started(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _begin(self, id_: str, subject: Subject) -> None:
        for place in own_places(self.ground):
            try:
                count = await place.erase(subject)
                if count:
                    await self._asked(partial(self._count, id_, place.name, count))
            except OfertaError as error:
                log.warning("erasure.later", place=place.name, problem=type(error).__name__)

    def _count(self, id_: str, place: str, count: int, erasures: Erasures) -> None:
        erasures.removed(id_, place, count, at=self.ground.clock.now().timestamp())

    async def _asked(self, ask: Callable[[Erasures], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WRITE_S):
                return await asyncio.shield(loop.run_in_executor(self._thread, self._ask, ask))
        except (LedgerUnavailable, TimeoutError):
            log.exception("erasure.not_stored")
            raise RequestRefused("erasure.not_stored", headers=RETRY) from None

    def _ask(self, ask: Callable[[Erasures], _T]) -> _T:
        if self._erasures is None:
            self._erasures = Erasures(self.ground.ledger)
        return ask(self._erasures)
