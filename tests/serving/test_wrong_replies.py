"""A reply is never given to anybody but who asked, whoever goes away while it is on its way (67).

Calls are called off at random moments while replies come late and in bursts: a connection on which
a reply is outstanding must never be used again. (The same of a cluster: tests/core/store.)
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from fault_proxy import FaultProxy
from redis import Redis
from redis.asyncio.connection import AbstractConnection
from redis_servers import RedisServer, newest
from serving.worlds import SECRET

from oferta.errors import StoreUnavailable
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisReader
from oferta.store.wire import Wire

READS = 1200
AT_ONCE = 12
KEYS = [b"{k%d}:%d" % (number, number) for number in range(64)]

Fetch = Callable[[list[bytes]], Awaitable[list[bytes | None]]]


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis whose replies come up to 6 ms late."""
    folder = tmp_path_factory.mktemp("redis")
    with RedisServer(newest(), folder) as server, FaultProxy(str(server.socket)) as proxy:
        with Redis.from_url(server.url) as client:
            client.mset({key: key for key in KEYS})
        proxy.set("jitter")
        yield proxy.url


async def wrong_replies(fetch: Fetch, *, seed: int, patience_s: float) -> tuple[int, int]:
    """How many replies were another's, and how many came: every second call is called off."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    wrong = came = 0

    async def one() -> None:
        nonlocal wrong, came
        asked = chance.sample(KEYS, chance.randint(1, 3))
        call = asyncio.ensure_future(fetch(asked))
        if chance.random() < 0.5:
            await asyncio.sleep(chance.uniform(0, patience_s))
            call.cancel()
        try:
            found = await call
        except (asyncio.CancelledError, StoreUnavailable):
            return
        except ValueError:  # more or fewer records than were asked for
            found = []
        came += 1
        wrong += found != asked

    for _ in range(READS // AT_ONCE):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return wrong, came


def test_the_readers(late: str):
    async def read() -> tuple[int, int]:
        reader = RedisReader(late, KeySpace(SECRET), connections=4)
        found = await wrong_replies(reader.fetch, seed=1, patience_s=0.006)
        await reader.close()
        return found

    wrong, came = asyncio.run(read())
    assert wrong == 0
    assert came > READS / 4


def test_the_wires(late: str):
    async def read() -> tuple[int, int]:
        wire = Wire(late, connections=4)
        found = await wrong_replies(wire.fetch, seed=2, patience_s=0.006)
        await wire.close()
        return found

    wrong, came = asyncio.run(read())
    assert wrong == 0
    assert came > READS / 4


def test_the_test_notices_a_connection_that_is_used_again(
    late: str, monkeypatch: pytest.MonkeyPatch
):
    """Else the tests above would mean nothing."""

    async def kept(_self: AbstractConnection, *, nowait: bool = False, **_: object) -> None:
        del nowait

    async def read() -> int:
        wire = Wire(late, connections=4)
        with monkeypatch.context() as patched:
            patched.setattr(AbstractConnection, "disconnect", kept)
            wrong, _ = await wrong_replies(wire.fetch, seed=2, patience_s=0.006)
        await wire.close()
        return wrong

    assert asyncio.run(read()) > 0
