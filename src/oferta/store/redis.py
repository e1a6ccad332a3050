"""Redis: an impatient asynchronous reader and a patient blocking writer.

redis-py's defaults would hold a request for up to a minute (ten retries of five seconds), so the
reader has its own: 50 ms a socket operation, no retry, 60 ms over everything. The writer never
repeats a write either: a reply that was lost must not turn into a second effect.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar, cast

from redis import Redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError
from redis.retry import Retry

from oferta.errors import PublishRefused, RecordCorrupt, StoreError, StoreUnavailable
from oferta.store import head, scripts
from oferta.store.contract import Capacity, Pointer, swap_refused
from oferta.store.keys import KeySpace
from oferta.store.wire import FETCH_KEYS

DEADLINE_S: Final = 0.06
"""Over one call of the reader, waiting for a connection included."""

STEP_SHARE: Final = 5 / 6
"""Of the deadline, for one socket operation: 50 ms."""

READER_CONNECTIONS: Final = 32
WRITER_TIMEOUT_S: Final = 30.0

BATCH_RECORDS: Final = 256
"""Records a pipeline: about 1 MB of buckets. Neither side ever holds more than that in flight."""

_T = TypeVar("_T")
_P = ParamSpec("_P")


class RedisReader:
    """The reader's port, for one asyncio loop. Any number of calls may run at once."""

    def __init__(
        self,
        url: str,
        space: KeySpace,
        *,
        connections: int = READER_CONNECTIONS,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._space = space
        self._deadline_s = deadline_s
        step_s = deadline_s * STEP_SHARE
        # The blocking pool: the usual one raises at its limit instead of waiting its turn.
        pool = aioredis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=step_s,
            socket_timeout=step_s,
            socket_connect_timeout=step_s,
            retry=AsyncRetry(NoBackoff(), 0),
            health_check_interval=15,
        )
        self._redis = aioredis.Redis.from_pool(pool)

    async def pointer(self) -> Pointer | None:
        """See `contract.Reader`."""
        return _pointer(await _within(self._deadline_s, self._redis.get(self._space.pointer())))

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Reader`. MGET, which answers nil for a key of another type too.

        Many keys are asked for in turns of 128, each with the whole deadline: 500 buckets are
        1.6 MB, which a busy machine does not move within the time that one answer has.
        """
        found: list[bytes | None] = []
        for start in range(0, len(keys), FETCH_KEYS):
            turn = self._redis.mget(keys[start : start + FETCH_KEYS])
            found += _records(await _within(self._deadline_s, turn))
        return found

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


class RedisWriter:
    """The publisher's ports. One thread at a time."""

    def __init__(self, url: str, space: KeySpace, *, timeout_s: float = WRITER_TIMEOUT_S) -> None:
        self._space = space
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    def reserve_fence(self, *, above: int = 0) -> int:
        """See `contract.Writer`."""
        return int(self._script(scripts.RESERVE, [self._space.fence()], [above]))

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        """See `contract.Writer`. Up to 2 MB in flight: one batch is packed while Redis takes one.

        The commands are spelled out: redis-py's own pipeline takes as long as all else together.
        """
        expiry = b"$2\r\nEX\r\n$%d\r\n%d\r\n" % (len(str(ttl_s)), ttl_s)
        pool = self._redis.connection_pool
        connection = _call(pool.get_connection)
        sent: list[int] = []
        try:
            for batch in _batches(records):
                command = b"".join(
                    b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b"
                    % (len(key), key, len(record), record, expiry)
                    for key, record in batch
                )
                _call(connection.send_packed_command, [command])
                sent.append(len(batch))
                if len(sent) > 1:
                    _call(_read_answers, connection, sent[-2])
            if sent:
                _call(_read_answers, connection, sent[-1])
        except BaseException:
            # Answers may be outstanding, and nobody else may read them.
            connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py has no types here
            raise
        finally:
            pool.release(connection)
        return sum(sent)

    def remove(self, keys: Iterable[bytes]) -> int:
        """See `contract.Writer`."""
        return sum(_call(self._redis.unlink, *batch) for batch in _batches(keys))

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        """See `contract.Writer`."""
        key = self._space.manifest(pointer.release)
        (manifest,) = self.records([key])
        if manifest is None:
            raise swap_refused(pointer.release, "missing")
        if head.manifest_digest(manifest) != pointer.manifest:
            raise swap_refused(pointer.release, "differs")
        outcome = self._script(
            scripts.SWAP,
            [self._space.pointer(), key],
            [
                pointer.release,
                pointer.fence,
                head.pointer_instant(pointer.swapped_at),
                pointer.manifest,
                hashlib.sha1(manifest, usedforsecurity=False).hexdigest(),
                "" if replacing is None else replacing,
            ],
        )
        if outcome in (b"missing", b"differs"):
            raise swap_refused(pointer.release, outcome.decode())
        return bool(outcome == b"swapped")

    def live(self) -> Pointer | None:
        """See `contract.Inspector`."""
        return _pointer(_call(self._redis.get, self._space.pointer()))

    def records(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Inspector`."""
        found: list[bytes | None] = []
        for batch in _batches(keys):
            found += _records(_call(self._redis.mget, batch))
        return found

    def count(self, keys: Iterable[bytes]) -> int:
        """See `contract.Inspector`."""
        return sum(_call(self._redis.exists, *batch) for batch in _batches(keys))

    def capacity(self) -> Capacity:
        """See `contract.Inspector`."""
        facts = _call(self._redis.info)
        limit = int(facts["maxmemory"])
        return Capacity(
            policy=str(facts["maxmemory_policy"]),
            used_bytes=int(facts["used_memory"]),
            limit_bytes=limit or None,
            version=str(facts["redis_version"]),
            replicas=int(facts["connected_slaves"]),
        )

    def announce(self, release: int, note: bytes) -> None:
        """See `contract.Announcements`."""
        _call(self._redis.hset, self._space.releases(), str(release), note)

    def announced(self) -> dict[int, bytes]:
        """See `contract.Announcements`."""
        notes = _call(self._redis.hgetall, self._space.releases())
        return {int(release): _bytes(note) for release, note in notes.items()}

    def withdraw(self, release: int) -> None:
        """See `contract.Announcements`."""
        _call(self._redis.hdel, self._space.releases(), str(release))

    def replicated(self, replicas: int, *, timeout_s: float) -> int:
        """See `contract.Announcements`."""
        return int(_call(self._redis.wait, replicas, round(timeout_s * 1000)))

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()

    def _script(self, script: str, keys: list[bytes], values: list[str | int]) -> Any:  # noqa: ANN401 - a script answers what it likes
        sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            return self._redis.evalsha(sha, len(keys), *keys, *values)
        except NoScriptError:  # nothing has run yet, so this is no repetition
            return _call(self._redis.eval, script, len(keys), *keys, *values)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


async def _within(deadline_s: float, answer: Awaitable[_T]) -> _T:
    try:
        # Every operation may be short enough alone, connecting included, and their sum not.
        async with asyncio.timeout(deadline_s):
            return await answer
    except (RedisError, OSError, TimeoutError) as error:
        raise _unavailable(error) from error


def _call(ask: Callable[_P, _T], *values: _P.args, **named: _P.kwargs) -> _T:
    try:
        return ask(*values, **named)
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def _read_answers(connection: ConnectionInterface, count: int) -> None:
    for _ in range(count):
        try:
            connection.read_response()
        except OutOfMemoryError:
            raise PublishRefused(
                "store.full", "write rows", "Redis is full: raise its maxmemory"
            ) from None


def _pointer(reply: bytes | str | None) -> Pointer | None:
    return None if reply is None else head.read_pointer(_bytes(reply))


def _records(replies: Iterable[bytes | str | None]) -> list[bytes | None]:
    return cast("list[bytes | None]", list(replies))  # nothing here asks redis-py to decode


def _bytes(reply: bytes | str) -> bytes:
    return cast("bytes", reply)


def _unavailable(error: Exception) -> StoreError:
    if str(error).startswith("WRONGTYPE"):
        return RecordCorrupt("what lies at the pointer's key is no pointer")
    return StoreUnavailable(f"Redis did not answer: {str(error) or type(error).__name__}")


def _batches(source: Iterable[_T]) -> Iterator[list[_T]]:
    left = iter(source)
    while batch := list(islice(left, BATCH_RECORDS)):
        yield batch
