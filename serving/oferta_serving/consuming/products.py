"""Which products the live release has: an event about any other waits."""

import asyncio

import structlog

from oferta.errors import RecordCorrupt, ReleaseMissing
from oferta.store.contract import Pointer, Reader
from oferta.store.keys import KeySpace
from oferta.store.reading import load_head

log = structlog.get_logger()


class LiveProducts:
    """Follows the live release. For one event loop.

    Attributes:
        known: set once it was asked which release is live.
    """

    def __init__(self, reader: Reader, space: KeySpace) -> None:
        self.known = asyncio.Event()
        self._reader = reader
        self._space = space
        self._pointer: Pointer | None = None
        self._ids: frozenset[str] | None = None

    def has(self, product_id: str) -> bool:
        """Whether the live release has the product. Where none is live, nobody can deny it."""
        return self._ids is None or product_id in self._ids

    async def look(self) -> bool:
        """Look which release is live; whether its products are others than before.

        Raises:
            StoreUnavailable: no answer in time.
        """
        pointer = await self._reader.pointer()
        if pointer is None or pointer == self._pointer:
            self.known.set()
            return False
        try:
            head = await load_head(
                self._reader, self._space, pointer.release, digest=pointer.manifest
            )
        except (RecordCorrupt, ReleaseMissing) as error:
            log.warning("release.unreadable", problem=str(error))
            return False  # the products before it stay known
        finally:
            self.known.set()
        self._pointer = pointer
        before, self._ids = self._ids, frozenset(each.product_id for each in head.catalogue)
        return self._ids != before
