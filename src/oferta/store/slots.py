"""A cluster's slots: which a command's key lies in, who serves it, where a reply sends us instead.

Pure: nothing here speaks to anybody. The slot of a key is the CRC16 of its hash tag modulo 16384
(Redis Cluster specification, "Key distribution model").
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS

SLOTS_OF_NODES: Final = (b"CLUSTER", b"SLOTS")
"""The command whose reply `read_slots` reads. Redis 7 has a newer one, which 6.2 does not know."""

ASKING: Final = (b"ASKING",)
"""Sent before a command that an ASK sent to another node, which does not own the slot yet."""

_KEY_AT: Final = {b"EVALSHA": 3, b"EVAL": 3, b"XGROUP": 2, b"XINFO": 2, b"OBJECT": 2}
_AFTER_STREAMS: Final = frozenset({b"XREAD", b"XREADGROUP"})
_WITHOUT_KEY: Final = frozenset(
    {b"PING", b"INFO", b"TIME", b"CONFIG", b"WAIT", b"WAITAOF", b"CLUSTER", b"ACL", b"ROLE"}
    | {b"PUBLISH", b"CLIENT", b"LATENCY", b"SCRIPT"}
)


class Where(NamedTuple):
    """The address of a node."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Range:
    """Slots from `first` to `last`, both included, and the primary that serves them."""

    first: int
    last: int
    where: Where


@dataclass(frozen=True, slots=True)
class Redirect:
    """What a reply says of a command that was therefore not executed: ask there, or again."""

    where: Where | None  # None: ask the same node again
    asking: bool = False  # to be preceded by ASKING
    moved: bool = False  # the slot has another owner for good


def slot_of(command: Sequence[bytes]) -> int | None:
    """The slot of the command's key; None for a command without a key.

    All keys of one command lie in one slot, so the first tells.
    """
    name = command[0]
    at = _KEY_AT.get(name, 1)
    if name in _AFTER_STREAMS:
        at = list(command).index(b"STREAMS") + 1
    if name in _WITHOUT_KEY or at >= len(command):
        return None
    return key_slot(command[at])


def by_slot(keys: Iterable[bytes]) -> list[list[bytes]]:
    """The keys, those of one slot together."""
    groups: dict[int, list[bytes]] = {}
    for key in keys:
        groups.setdefault(key_slot(key), []).append(key)
    return list(groups.values())


def redirect(reply: object, *, asked: Where) -> Redirect | None:
    """Where the reply of the node `asked` sends us; None for a reply that is an answer.

    An address without a host stands for the host that said it.
    """
    if isinstance(reply, AskError):
        there = Where(str(reply.host) or asked.host, int(reply.port))
        moved = isinstance(reply, MovedError)
        return Redirect(there, asking=not moved, moved=moved)
    if isinstance(reply, TryAgainError):
        return Redirect(None)
    return None


def is_down(reply: object) -> bool:
    """Whether the reply says that nobody serves the key at present."""
    return isinstance(reply, ClusterDownError)


def read_slots(reply: object, *, asked: Where) -> list[Range]:
    """The ranges that a reply to `SLOTS_OF_NODES` names, each with its primary's address.

    Raises:
        ValueError: it is no such reply, or names nobody.
    """
    try:
        found = list(_ranges(cast("Sequence[Sequence[object]]", reply), asked))
    except (TypeError, IndexError, AttributeError) as error:
        raise ValueError("this is no map of slots") from error
    if not found:
        raise ValueError("no node of the cluster has any slots")
    return found


def _ranges(reply: Sequence[Sequence[object]], asked: Where) -> Iterator[Range]:
    for first, last, primary, *_replicas in reply:
        host, port = cast("Sequence[object]", primary)[:2]
        # "?" and nothing: a node that does not know its own name; the one we asked has one.
        named = host.decode() if isinstance(host, bytes) else ""
        where = Where(named if named not in ("", "?") else asked.host, int(cast("int", port)))
        yield Range(int(cast("int", first)), int(cast("int", last)), where)
