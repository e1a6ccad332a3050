"""What is asked for: lists, decisions, events, and the three mixed as an app mixes them.

Half of the customers never do anything: their lists are the release's. The others send the events,
so that each of theirs is worked out anew once events were asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from oferta_experiments.bench.load import Asked

CUSTOMERS: Final = 20_000
LISTED: Final = 10
REQUESTS: Final = 40_000
"""Of each kind in one round: so many that hardly any comes twice."""

LISTS_ASKED: Final = 400
"""Customers whose lists are asked for, of either half."""

_MIX: Final = ("list",) * 7 + ("event",) * 2 + ("decision",)
"""Of ten requests of an app: seven lists, two events, one decision."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of load: ours, the anchor's, and the bar of their ratio where there is one."""

    name: str
    ours: Sequence[Asked]
    anchor: Sequence[Asked]
    bar: float | None = None


def kinds(products: Sequence[str], *, round_: int) -> list[Kind]:
    """All kinds; another `round_` asks for the same with other event ids."""
    lists, bare_lists = _lists(still)
    fresh, bare_fresh = _lists(active)
    decisions = [_decision(n + 997 * round_) for n in range(REQUESTS // 4)]
    bare_decisions = [Asked("/bare/decisions", one.body) for one in decisions]
    events = [_event(n, products, round_) for n in range(REQUESTS)]
    bare_events = [Asked("/bare/events", one.body) for one in events]
    more = [_event(REQUESTS + n, products, round_) for n in range(REQUESTS)]
    bare_more = [Asked("/bare/events", one.body) for one in more]
    return [
        Kind("lists", lists, bare_lists, 0.6),
        Kind("decisions", decisions, bare_decisions),
        Kind("events", events, bare_events),
        Kind("fresh lists", fresh, bare_fresh, 0.6),
        Kind("mix", _mixed(fresh, more, decisions), _mixed(bare_fresh, bare_more, bare_decisions)),
    ]


def _mixed(
    lists: Sequence[Asked], events: Sequence[Asked], decisions: Sequence[Asked]
) -> list[Asked]:
    turns = {"list": _again(lists), "event": iter(events), "decision": _again(decisions)}
    return list(islice((next(turns[name]) for _ in range(REQUESTS) for name in _MIX), REQUESTS))


def _again(asked: Sequence[Asked]) -> Iterator[Asked]:
    while True:
        yield from asked


def still(number: int) -> str:
    """A customer who does nothing."""
    return f"c{number * 7 % (CUSTOMERS // 2):08d}"


def active(number: int) -> str:
    """A customer who sends events: all of them do within a few seconds."""
    return f"c{CUSTOMERS // 2 + number * 7 % (CUSTOMERS // 2):08d}"


def _lists(of: Callable[[int], str]) -> tuple[list[Asked], list[Asked]]:
    names = [of(number) for number in range(LISTS_ASKED)]
    ours = [Asked(f"/v1/customers/{name}/recommendations?n={LISTED}") for name in names]
    return ours, [Asked(f"/bare/{name}") for name in names]


def _decision(number: int) -> Asked:
    asked = {"customer_id": active(number), "channel": "app", "placements": ["home"]}
    return Asked("/v1/decisions", orjson.dumps(asked))


def _event(number: int, products: Sequence[str], round_: int) -> Asked:
    event = {
        "event_id": f"load-{round_}-{number:08d}",
        "customer_id": active(number),
        "product_id": products[number % len(products)],
        "type": "view",
        "channel": "app",
        "placement": "home",
    }
    return Asked("/v1/events", orjson.dumps(event))
