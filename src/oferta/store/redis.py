"""Redis, or a Redis Cluster: an impatient asynchronous reader and a patient blocking writer.

redis-py's defaults would hold a request for up to a minute (ten retries of five seconds), so the
reader has its own: 60 ms over everything, no retry. The writer never repeats a write either: a
reply that was lost must not turn into a second effect.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from redis.exceptions import OutOfMemoryError, ResponseError

from oferta.errors import PublishRefused, RecordCorrupt, StoreError, StoreUnavailable
from oferta.store import head, scripts
from oferta.store.blocking import BlockingWire, checked
from oferta.store.contract import Capacity, Pointer, swap_refused
from oferta.store.keys import KeySpace
from oferta.store.node import unavailable
from oferta.store.wire import Script, Wire, number

DEADLINE_S: Final = 0.06
"""Over one call of the reader, waiting for a connection included."""

READER_CONNECTIONS: Final = 32
WRITER_TIMEOUT_S: Final = 30.0

BATCH_RECORDS: Final = 256
"""Records a pipeline: about 1 MB of buckets. Neither side ever holds more than that in flight."""

_T = TypeVar("_T")


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
        self._wire = Wire(url, connections=connections, deadline_s=deadline_s, record_s=0.0)

    async def pointer(self) -> Pointer | None:
        """See `contract.Reader`."""
        (reply,) = await self._wire.ask([(b"GET", self._space.pointer())], refusals=True)
        return _pointer(reply)

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Reader`. MGET, which answers nil for a key of another type too.

        Many keys are asked for in turns of 128, each with the whole deadline: 500 buckets are
        1.6 MB, which a busy machine does not move within the time that one answer has.
        """
        return await self._wire.fetch(keys)

    async def close(self) -> None:
        """Close all connections."""
        await self._wire.close()


class RedisWriter:
    """The publisher's ports. One thread at a time."""

    def __init__(self, url: str, space: KeySpace, *, timeout_s: float = WRITER_TIMEOUT_S) -> None:
        self._space = space
        self._wire = BlockingWire(url, timeout_s=timeout_s)

    def reserve_fence(self, *, above: int = 0) -> int:
        """See `contract.Writer`. A full Redis is told here, before anything was written."""
        try:
            return int(self._wire.run(_RESERVE, ([self._space.fence()], [number(above)])))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, OutOfMemoryError):
                raise PublishRefused(
                    "store.full", "fence", "Redis is full: raise its maxmemory"
                ) from None
            raise

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        """See `contract.Writer`. Up to 2 MB in flight: one batch is packed while Redis takes one.

        The commands are spelled out: redis-py's own pipeline takes as long as all else together.
        """
        expiry = b"$2\r\nEX\r\n$%d\r\n%d\r\n" % (len(str(ttl_s)), ttl_s)
        put = 0
        try:
            for batch in _batches(records):
                replies = self._wire.post(
                    (
                        key,
                        b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b"
                        % (len(key), key, len(record), record, expiry),
                    )
                    for key, record in batch
                )
                put += _written(replies)
            return put + _written(self._wire.posted())
        except BaseException:
            self._wire.drop()
            raise

    def remove(self, keys: Iterable[bytes]) -> int:
        """See `contract.Writer`."""
        return self._counted(b"UNLINK", keys)

    def replace(self, key: bytes, was: bytes, record: bytes) -> bool:
        """See `contract.Writer`."""
        digest = hashlib.sha1(was, usedforsecurity=False).hexdigest().encode()
        return bool(self._wire.run(_REPLACE, ([key], [digest, record])))

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        """See `contract.Writer`."""
        key = self._space.manifest(pointer.release)
        (manifest,) = self.records([key])
        if manifest is None:
            raise swap_refused(pointer.release, "missing")
        if head.manifest_digest(manifest) != pointer.manifest:
            raise swap_refused(pointer.release, "differs")
        values: list[str | int] = [
            pointer.release,
            pointer.fence,
            head.pointer_instant(pointer.swapped_at),
            pointer.manifest,
            hashlib.sha1(manifest, usedforsecurity=False).hexdigest(),
            "" if replacing is None else replacing,
        ]
        call = [self._space.pointer(), key], [str(value).encode() for value in values]
        outcome = self._wire.run(_SWAP, call)
        if outcome in (b"missing", b"differs"):
            raise swap_refused(pointer.release, outcome.decode())
        return bool(outcome == b"swapped")

    def live(self) -> Pointer | None:
        """See `contract.Inspector`."""
        (reply,) = self._wire.ask([(b"GET", self._space.pointer())])
        return _pointer(reply)

    def records(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Inspector`."""
        found: list[bytes | None] = []
        for batch in _batches(keys):
            turn: dict[bytes, bytes | None] = {}
            for asked, records in self._wire.spread(b"MGET", batch):
                turn.update(zip(asked, records, strict=True))
            found += [turn[key] for key in batch]
        return found

    def count(self, keys: Iterable[bytes]) -> int:
        """See `contract.Inspector`."""
        return self._counted(b"EXISTS", keys)

    def capacity(self) -> Capacity:
        """See `contract.Inspector`. Of a cluster: all of it, as if all were as full as the fullest.

        Rows spread evenly over a cluster, so what has no room in one node has none in any.
        """
        nodes = [_facts(reply) for reply in self._wire.everywhere(b"INFO")]
        used = sum(int(facts["used_memory"]) for facts in nodes)
        limits = [(int(facts["maxmemory"]), int(facts["used_memory"])) for facts in nodes]
        left = [limit - taken for limit, taken in limits if limit]
        policies = [facts["maxmemory_policy"] for facts in nodes]
        return Capacity(
            policy=next((each for each in policies if each != "noeviction"), "noeviction"),
            used_bytes=used,
            limit_bytes=used + len(nodes) * min(left) if left else None,
            version=min((facts["redis_version"] for facts in nodes), key=_in_order),
            replicas=min(int(facts["connected_slaves"]) for facts in nodes),
        )

    def announce(self, release: int, note: bytes) -> None:
        """See `contract.Announcements`."""
        self._wire.one(b"HSET", self._space.releases(), number(release), note)

    def announced(self) -> dict[int, bytes]:
        """See `contract.Announcements`."""
        notes = self._wire.one(b"HGETALL", self._space.releases())
        pairs = notes.items() if isinstance(notes, dict) else zip(*[iter(notes)] * 2, strict=True)
        return {int(release): note for release, note in pairs}

    def withdraw(self, release: int) -> None:
        """See `contract.Announcements`."""
        self._wire.one(b"HDEL", self._space.releases(), number(release))

    def replicated(self, replicas: int, *, timeout_s: float) -> int:
        """See `contract.Announcements`. Of a cluster: on the node that has the fewest."""
        wait = (b"WAIT", number(replicas), number(round(timeout_s * 1000)))
        return min(int(reply) for reply in self._wire.everywhere(*wait))

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def _counted(self, name: bytes, keys: Iterable[bytes]) -> int:
        return sum(
            int(reply) for batch in _batches(keys) for _, reply in self._wire.spread(name, batch)
        )


_RESERVE: Final = Script(scripts.RESERVE)
_SWAP: Final = Script(scripts.SWAP)
_REPLACE: Final = Script(scripts.REPLACE)


def _written(replies: Iterable[object]) -> int:
    count = 0
    for reply in replies:
        if isinstance(reply, OutOfMemoryError):
            raise PublishRefused(
                "store.full", "write rows", "Redis is full: raise its maxmemory"
            ) from None
        checked(reply)
        count += 1
    return count


def _pointer(reply: object) -> Pointer | None:
    if isinstance(reply, ResponseError):
        raise _unreadable(reply) from reply
    return None if reply is None else head.read_pointer(bytes(reply))  # type: ignore[call-overload]  # a string is all that GET gives


def _unreadable(error: ResponseError) -> StoreError:
    if str(error).startswith("WRONGTYPE"):
        return RecordCorrupt("what lies at the pointer's key is no pointer")
    return unavailable(error)


def _facts(reply: Any) -> Mapping[str, str]:  # noqa: ANN401 - INFO's bytes, or text by the protocol
    text = reply.decode() if isinstance(reply, bytes) else str(reply)
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in lines}


def _in_order(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _batches(source: Iterable[_T]) -> Iterator[list[_T]]:
    left = iter(source)
    while batch := list(islice(left, BATCH_RECORDS)):
        yield batch
