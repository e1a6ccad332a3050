"""Following the live release: what it leaves behind in the process and in the file."""

import asyncio
import gc
import weakref
from dataclasses import replace
from pathlib import Path

from serving.conftest import CLOCK
from serving.worlds import SECRET, World, entry, listed, publish, shop

from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta_serving import lasthead
from oferta_serving.breaker import Breaker
from oferta_serving.live import Releases
from oferta_serving.metrics import Metrics

SPACE = KeySpace(SECRET)


class Knot:
    """Garbage that counting cannot free."""

    def __init__(self) -> None:
        self.itself = self


def follower(store: MemoryStore, folder: Path) -> Releases:
    breaker = Breaker(open_after=5, probe_s=0.5, clock=lambda: 0.0)
    return Releases(store, SPACE, breaker=breaker, metrics=Metrics(), folder=folder, refresh_s=0.2)


def test_garbage_is_collected_before_a_release_is_set_aside(tmp_path: Path):
    """What is frozen is never looked at again: garbage among it would stay for good."""
    store = MemoryStore(SPACE, CLOCK)
    publish(store, SPACE, shop())

    async def load() -> weakref.ref[Knot]:
        releases = follower(store, tmp_path)
        gc.collect()
        gc.disable()
        garbage = weakref.ref(Knot())
        assert garbage() is not None
        await releases.refresh()
        await releases.close()
        return garbage

    try:
        garbage = asyncio.run(load())
        assert gc.get_freeze_count()
        gc.collect()
        assert garbage() is None
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_release_is_kept_after_the_one_before_it_however_long_that_takes(tmp_path: Path):
    """Else the file ends with an older release than was served last."""
    store = MemoryStore(SPACE, CLOCK)
    large = World(
        catalogue=tuple(entry(f"product-{at}") for at in range(30_000)),
        popular=listed([0]),
        segments={},
        customers={},
    )
    publish(store, SPACE, large)

    async def follow() -> None:
        releases = follower(store, tmp_path)
        await releases.refresh()
        publish(store, SPACE, replace(shop(), model="small/2"))
        await releases.refresh()
        assert releases.current.live is not None
        assert releases.current.live.head.manifest.model == "small/2"
        await releases.close()

    asyncio.run(follow())
    kept = lasthead.restore(tmp_path, SPACE)
    assert kept is not None
    assert kept.manifest.model == "small/2"
