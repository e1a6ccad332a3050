"""What was said to customers of the base, and places under caps over everybody, as stored."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from oferta.decisions.engine import Engine
from oferta.errors import RecordCorrupt
from oferta.policy.contact import CustomerState
from oferta.policy.state import decode_state
from oferta.store.connecting import StoreSettings, connect
from oferta.store.decision_records import open_state
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.keys import KeySpace
from oferta_serving.deciding.totals import counters

_PATIENCE_S = 5.0
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Contacts:
    """States by customer; who was never spoken to is left out.

    Attributes:
        unreadable: customers whose state is damaged: nobody knows what was said to them, so
            nothing may be.
    """

    states: Mapping[str, CustomerState] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()


class Past(Protocol):
    """Where contacts are read."""

    async def contacts(self, customers: Sequence[str]) -> Contacts:
        """Those with these customers.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def totals(self, engine: Engine, *, at: float) -> Mapping[str, int]:
        """Places taken under caps over everybody, by counter.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class NoPast:
    """As if nothing had ever been said to anybody."""

    async def contacts(self, customers: Sequence[str]) -> Contacts:
        """None."""
        del customers
        return Contacts()

    async def totals(self, engine: Engine, *, at: float) -> Mapping[str, int]:
        """No place taken."""
        del engine, at
        return {}


class StoredPast:
    """The states of a store. For one event loop."""

    def __init__(self, store: RedisDecisions, space: KeySpace) -> None:
        self._store = store
        self._space = space

    async def contacts(self, customers: Sequence[str]) -> Contacts:
        """See `Past`."""
        states: dict[str, CustomerState] = {}
        unreadable: set[str] = set()
        for start in range(0, len(customers), _AT_ONCE):
            some = customers[start : start + _AT_ONCE]
            keys = [self._space.state(self._space.digest(customer)) for customer in some]
            for customer, record in zip(some, await self._store.fetch(keys), strict=True):
                if record is None:
                    continue
                try:
                    states[customer] = decode_state(open_state(record))
                except RecordCorrupt:
                    unreadable.add(customer)
        return Contacts(states, frozenset(unreadable))

    async def totals(self, engine: Engine, *, at: float) -> Mapping[str, int]:
        """See `Past`."""
        names = list(counters(engine))
        if not names:
            return {}
        taken = await self._store.taken(names, at=at)
        return {name: count for name, count in zip(names, taken, strict=True) if count}


@asynccontextmanager
async def stored_past(home: Path, *, redis_url: str | None) -> AsyncIterator[StoredPast]:
    """The past in a store: the Redis that is named, else the embedded one under `home`.

    Raises:
        StoreUnavailable: the embedded Redis cannot be started.
    """
    store = connect(StoreSettings(home, redis_url))
    try:
        decisions = RedisDecisions(store.url, store.space, deadline_s=_PATIENCE_S)
        try:
            yield StoredPast(decisions, store.space)
        finally:
            await decisions.close()
    finally:
        await store.aclose()
