"""A store, a publication log, scores to publish; a test can damage what the store keeps."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from release_worlds import NOON, SECRET, write_scores

from oferta.clock import FixedClock
from oferta.errors import PublishRefused, StoreUnavailable
from oferta.store import reading
from oferta.store.contract import Capacity, Pointer
from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta_training.publications import PublicationLog
from oferta_training.publish import Options, Published, Step, publish
from oferta_training.scores import ScoresFolder

CLOCK = FixedClock(NOON + timedelta(hours=1))


class World:
    """A store, a publication log, and as many scores as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space = KeySpace(SECRET)
        self.store = MemoryStore(self.space, CLOCK)
        self.publications = PublicationLog(folder / "ledger.jsonl", CLOCK)
        self.made = 0

    def scores(self, **settings: object) -> ScoresFolder:
        self.made += 1
        settings = {"version": self.made, **settings}
        return write_scores(self.folder / f"scores{self.made}", **settings)

    def publish(
        self, scores: ScoresFolder | None = None, *, options: Options | None = None
    ) -> Published:
        return publish(
            scores or self.scores(),
            self.store,
            self.space,
            clock=CLOCK,
            publications=self.publications,
            options=options,
        )

    def refused(self, scores: ScoresFolder, **options: str) -> PublishRefused:
        before = dict(self.store.records_by_key)
        with pytest.raises(PublishRefused) as refused:
            self.publish(scores, options=Options(**options))
        assert self.store.records_by_key == before, "a refused release left something behind"
        return refused.value

    def rows(self, ids: Sequence[str]) -> list[object]:
        async def read() -> list[object]:
            pointer = await self.store.pointer()
            assert pointer is not None
            found = await reading.load_head(
                self.store, self.space, pointer.release, digest=pointer.manifest
            )
            return list(await reading.load_rows(self.store, self.space, found.manifest, ids))

        return asyncio.run(read())

    def live(self) -> tuple[int, int | None] | None:
        pointer = self.store.live()
        return None if pointer is None else (pointer.release, pointer.previous)

    def actions(self) -> list[str]:
        return [entry.action for _, entry in self.publications.entries()]


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it."""


def killing(step: Step) -> Callable[[Step], None]:
    """An observer that ends its publisher as `step` begins."""

    def kill(at: Step) -> None:
        if at == step:
            raise Killed

    return kill


class Meddling(MemoryStore):
    """A store to which something happens while a publisher works."""

    def __init__(self, space: KeySpace) -> None:
        super().__init__(space, CLOCK)
        self.lose: bytes | None = None
        self.damage: bytes | None = None
        self.exchange: tuple[bytes, bytes] | None = None
        self.room = Capacity("noeviction", 0, None, "7.0.15")
        self.lose_answer = False
        self.lose_swap = False

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        written = super().put(records, ttl_s=ttl_s)
        if self.lose in self.records_by_key:
            del self.records_by_key[self.lose]
        if self.damage in self.records_by_key:
            record, expiry = self.records_by_key[self.damage]
            self.records_by_key[self.damage] = (record[:40] + b"!" + record[41:], expiry)
        if self.exchange is not None:
            one, other = self.exchange
            if one in self.records_by_key and other in self.records_by_key:
                self.records_by_key[one] = self.records_by_key[other]
        return written

    def capacity(self) -> Capacity:
        return self.room

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        if self.lose_swap:
            raise StoreUnavailable("connection reset")
        swapped = super().swap(pointer, replacing=replacing)
        if self.lose_answer:
            raise StoreUnavailable("connection reset")
        return swapped
