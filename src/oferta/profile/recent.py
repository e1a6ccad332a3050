"""What a customer, or an anonymous session, did lately: a value that every answer is freshened by.

It holds events, not conclusions: a list, a fact or a suppression is computed from it and from the
release when somebody asks. So a new release never has to catch up, and nothing is computed twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import inf
from typing import Final, NamedTuple

import orjson

from oferta.errors import RecordCorrupt
from oferta.events.event import START, AttributeValue, Event, Position
from oferta.events.types import BUILT_IN, EventType

WISHES: Final = frozenset(
    {"wished_amount", "wished_months", "wished_deposit", "wished_instalment", "wished_model"}
)
"""The names of `columns.WISHES`, without its data frames, which serving does not load."""

KEPT: Final = 200
"""Events kept of one customer: the newest."""

SETTLING_KEPT: Final = 100
"""Of them the newest that settle something are never pushed out by mere looking around."""

KEPT_S: Final = 90 * 86_400
"""An event that both happened and came in longer ago is dropped: releases know of it."""

_SETTLING: Final = frozenset({"conversion", "rejection", "reversal"})


class RecentEvent(NamedTuple):
    """An event as it is kept.

    Attributes:
        wishes: what was typed into a calculator (`WISHES`).
        quantity: pieces; None: one.
        shard: whose stream `position` is of; None: that of the record's own customer or session.
        tied: of what a session did: position, in the customer's own stream, of the event that told
            whose the session was. Data without that event do not have this one as the customer's.
        named: hash of its id: sent by a session, and again by the customer that it turned out to
            be, it is one event; None: of a record of before there were such.
    """

    position: Position
    type: str
    product: str | None
    at: float
    channel: str | None
    value: float | None
    wishes: Mapping[str, AttributeValue]
    quantity: float | None = None
    shard: int | None = None
    tied: Position | None = None
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Recent:
    """What is kept of one customer or session.

    Attributes:
        version: grows by one with every change; 0 is somebody who did nothing lately.
        events: the newest `KEPT`, in the order of their positions.
        merged_into: of a session: hash of the customer it turned out to be, hexadecimal.
        newest: position of the newest event of the own shard ever applied.
    """

    version: int = 0
    events: tuple[RecentEvent, ...] = ()
    merged_into: str | None = None
    newest: Position = field(default=START)

    def since(
        self,
        covered: Position | None,
        cut: float,
        *,
        elsewhere: Mapping[int, Position] | None = None,
        read_at: float = inf,
    ) -> Sequence[RecentEvent]:
        """The events that a release does not know of.

        Args:
            covered: position up to which its data held this shard's events; None: not known.
            cut: where that is not known, the epoch seconds of its training cut.
            elsewhere: `covered` of other shards, for what a session brought from there.
            read_at: when its data were read, epoch seconds: what came in later is new to it,
                whenever it happened.
        """
        known = elsewhere or {}

        def is_new(event: RecentEvent) -> bool:
            if covered is not None and event.tied is not None and event.tied > covered:
                return True
            until = covered if event.shard is None else known.get(event.shard)
            if until is None:
                return event.at > cut or event.position.ms / 1000 > read_at
            return event.position > until

        return [event for event in self.events if is_new(event)]


NOTHING_RECENT: Final = Recent()


def applied(
    recent: Recent,
    events: Sequence[tuple[Position, Event]],
    *,
    now: float,
    types: Mapping[str, EventType] = BUILT_IN,
) -> Recent:
    """`recent` with `events` of its own shard, whatever their order; itself where none is new.

    An event that is there already changes nothing, so what is delivered twice is applied once, as
    long as it is kept. See `KEPT`, `SETTLING_KEPT` and `KEPT_S` for what gives way.

    Args:
        recent: of the customer or session that did all `events`.
        events: with their positions in the shard's stream.
        now: epoch seconds.
        types: by which an event settles something; one that is not there is a conversion.
    """
    kept = _with(recent, [_recent_event(*each) for each in events], now=now, types=types)
    newest = max([recent.newest, *(position for position, _ in events)])
    if kept == recent.events and newest == recent.newest:
        return recent
    return replace(recent, version=recent.version + 1, events=kept, newest=newest)


def merge(
    customer: Recent,
    session: Recent,
    *,
    shard: int,
    now: float,
    tied: Position | None = None,
    types: Mapping[str, EventType] = BUILT_IN,
) -> Recent:
    """`customer` with what the session did, which turned out to be theirs.

    What a session did keeps its shard's positions and says whose they are, so that `since` holds
    them against what a release knows of that shard. Merged twice is merged once.

    Args:
        customer: whose it becomes; itself is given back where the session brings nothing new.
        session: what was kept of it.
        shard: the session's (`KeySpace.shard`).
        now: epoch seconds.
        tied: position, in the customer's stream, of the event that told whose the session is.
        types: as for `applied`.
    """
    brought = [
        one if one.shard is not None else one._replace(shard=shard, tied=tied)
        for one in session.events
    ]
    kept = _with(customer, brought, now=now, types=types)
    if kept == customer.events:
        return customer
    return replace(customer, version=customer.version + 1, events=kept)


def _with(
    recent: Recent, events: Iterable[RecentEvent], *, now: float, types: Mapping[str, EventType]
) -> tuple[RecentEvent, ...]:
    known = {_place(one): one for one in recent.events}
    names = {one.named for one in recent.events if one.named is not None}
    fresh: dict[tuple[Position, int], RecentEvent] = {}
    for one in sorted(events, key=_place):
        if _place(one) in known or one.named in names:
            continue
        fresh[_place(one)] = one
        if one.named is not None:
            names.add(one.named)
    if not fresh:
        return recent.events
    known |= fresh
    young = [one for one in known.values() if max(one.at, one.position.ms / 1000) > now - KEPT_S]
    young.sort(key=_place)
    if len(young) <= KEPT:
        return tuple(young)
    settling = [at for at, one in enumerate(young) if _settles(one, types)][-SETTLING_KEPT:]
    first = set(settling)
    others = [at for at in range(len(young)) if at not in first][-(KEPT - len(settling)) :]
    return tuple(young[at] for at in sorted([*settling, *others]))


def _place(event: RecentEvent) -> tuple[Position, int]:
    """What tells two events apart, and their order."""
    return event.position, -1 if event.shard is None else event.shard


def _settles(event: RecentEvent, types: Mapping[str, EventType]) -> bool:
    kind = types.get(event.type)
    return kind is None or kind.meaning in _SETTLING


def _recent_event(position: Position, event: Event) -> RecentEvent:
    return RecentEvent(
        position,
        event.type,
        event.product_id,
        event.at,
        event.channel,
        event.value,
        {name: said for name, said in event.attributes.items() if name in WISHES},
        event.quantity,
        named=blake2b(event.id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
    )


def encode_recent(recent: Recent) -> bytes:
    """As bytes: JSON."""
    plain = [recent.version, recent.newest, recent.merged_into, recent.events]
    return orjson.dumps(plain, default=list)  # it does not know named tuples


def decode_recent(data: bytes) -> Recent:
    """What `encode_recent` wrote.

    Raises:
        RecordCorrupt: these bytes are none.
    """
    try:
        version, newest, merged_into, events = orjson.loads(data)
        return Recent(
            int(version),
            tuple(_decoded(RecentEvent(*event)) for event in events),
            merged_into,
            Position(*newest),
        )
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise RecordCorrupt("what a customer did lately does not have its shape") from error


def _decoded(event: RecentEvent) -> RecentEvent:
    """`event` with what JSON made lists of as positions again."""
    place = event._replace(position=Position(*event.position))
    return place if place.tied is None else place._replace(tied=Position(*place.tied))
