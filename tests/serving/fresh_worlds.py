"""Releases that follow events, published from events alone; and who is asked about them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from serving.worlds import NOON, SECRET, World, entry, listed, publish

from oferta.clock import Clock, FixedClock
from oferta.events.event import Event, Position
from oferta.events.types import BUILT_IN
from oferta.interactions.events import read_events
from oferta.interactions.histories import Histories
from oferta.interactions.holdings import held_pairs
from oferta.interactions.idmap import IdMap
from oferta.interactions.weighting import Weighting, amounts_of, histories_of
from oferta.profile.recent import NOTHING_RECENT, Recent, applied
from oferta.scoring.fresh import Weighing
from oferta.scoring.live import LiveScorer, NeighbourScorer
from oferta.scoring.topk import ProductMask, top_k
from oferta.store import codec
from oferta.store.customer_records import seal_recent
from oferta.store.keys import SHARDS, TAGS, KeySpace, rests
from oferta.store.memory import MemoryStore
from oferta.store.pasts import PastColumns, columns_for, pack_past_buckets, pack_rows
from oferta.store.release import CatalogueEntry, CustomerRow, Head, Suggestion
from oferta.store.scorer import Carried, digest_of, seal_parts
from oferta_serving.answers import Answers
from oferta_serving.breaker import Breaker
from oferta_serving.consent.words import CopiedWords
from oferta_serving.fresh import Freshener
from oferta_serving.live import Releases
from oferta_serving.lookup import Found, Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.parameters import Wanted
from oferta_serving.settings import FallbackSettings, FreshnessSettings

SPACE = KeySpace(SECRET)
PRODUCTS = tuple(f"p{at:02}" for at in range(12))
ONCE = frozenset({"p03", "p07"})
CATALOGUE = tuple(entry(one, repeatable=one not in ONCE) for one in PRODUCTS)
LENGTH = 5
CLOCK = FixedClock(datetime.fromtimestamp(NOON, UTC))
WEIGHTING = Weighting(half_life_days=30)


def scorer(seed: int = 1) -> NeighbourScorer:
    """A full matrix of random weights: no two pasts have the same list."""
    rng = np.random.default_rng(seed)
    width = len(PRODUCTS)
    return NeighbourScorer(
        indptr=np.arange(width + 1, dtype=np.int64) * width,
        neighbour=np.tile(np.arange(width), width).astype(np.int32),
        weight=rng.standard_normal(width * width).astype(np.float32),
        base=rng.random((1, width)).astype(np.float32) / 10,
        step_decay=0.8,
        binary=False,
    )


@dataclass(frozen=True)
class Live(World):
    """A world whose release carries a scorer and pasts."""

    manifest: Mapping[str, Any] = field(default_factory=dict)

    def head(self, release: int, space: KeySpace) -> Head:
        """See `World.head`."""
        head = super().head(release, space)
        return replace(head, manifest=replace(head.manifest, **self.manifest))


@dataclass
class Shop:
    """What happened so far, and what a serving process answers.

    Attributes:
        home: a folder.
        scorer: of the next release; `scorers`: of those that there are.
        events: everything that was accepted, by customer, in order.
        clock: now.
    """

    home: Path
    scorer: LiveScorer = field(default_factory=scorer)
    clock: Clock = CLOCK
    events: dict[str, list[tuple[Position, Event]]] = field(default_factory=dict)
    catalogue: tuple[CatalogueEntry, ...] = CATALOGUE
    suppress_declined_d: float = 30.0

    def __post_init__(self) -> None:
        self.scorers: dict[int, LiveScorer] = {}
        self.store = MemoryStore(SPACE, self.clock)
        breaker = Breaker(open_after=5, probe_s=0.5, clock=lambda: 0.0)
        self.metrics = Metrics()
        self.releases = Releases(
            self.store,
            SPACE,
            breaker=breaker,
            metrics=self.metrics,
            folder=self.home,
            refresh_s=0.2,
        )
        self.freshener = Freshener(
            self.store,
            SPACE,
            self.releases,
            types=BUILT_IN,
            suppress_declined_d=self.suppress_declined_d,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.lookup = Lookup(
            self.store,
            SPACE,
            self.releases,
            words=CopiedWords(),
            personal=True,
            freshener=self.freshener,
            breaker=breaker,
            metrics=self.metrics,
        )
        self.answers = Answers(
            self.clock, self.metrics, FreshnessSettings(), FallbackSettings(once_only="show")
        )

    def did(
        self, customer: str, kind: str, product: str | None, *, at: float = 0, ms: int | None = None
    ) -> None:
        """Apply an event, `at` seconds from noon, as a consumer would."""
        mine = self.events.setdefault(customer, [])
        position = Position(round((NOON + at) * 1000) if ms is None else ms, len(mine))
        event = Event(
            f"event-{customer}-{len(mine)}",
            kind,
            NOON + at,
            NOON + at,
            customer_id=customer,
            product_id=product,
        )
        mine.append((position, event))
        self.keep(customer, applied(self.recent(customer), mine, now=NOON))

    def recent(self, customer: str) -> Recent:
        """What was applied of a customer."""
        return applied(NOTHING_RECENT, self.events.get(customer, [])[:-1], now=NOON)

    def keep(self, customer: str, recent: Recent) -> None:
        """Store it."""
        key = SPACE.recent(SPACE.digest(customer))
        self.store.put([(key, seal_recent(recent, at=NOON))], ttl_s=10_000)

    def known(self, customers: Sequence[str], covered: Mapping[int, Position]) -> pl.LazyFrame:
        """The events that data up to `covered` hold, as a dataset has them."""
        rows = [
            (customer, event.product_id, event.type, round(event.at * 1e6))
            for customer in customers
            for position, event in self.events.get(customer, [])
            if position <= covered[SPACE.shard(SPACE.digest(customer))]
            and event.product_id is not None
        ]
        names = ["customer_id", "product_id", "event_type", "timestamp"]
        schema = dict.fromkeys(names[:3], pl.String) | {"timestamp": pl.Int64}
        return (
            pl.DataFrame(rows, schema=schema, orient="row")
            .with_columns(pl.from_epoch("timestamp", "us").dt.replace_time_zone("UTC"))
            .lazy()
        )

    def publish(
        self,
        customers: Sequence[str],
        covered: Mapping[int, Position],
        *,
        tell: bool = True,
        carry: bool = True,
    ) -> int:
        """A release of the data up to `covered`, made as training makes it.

        Args:
            customers: who is in it.
            covered: by shard, up to where the data reach.
            tell: whether the release says so.
            carry: whether it carries scorer and pasts.
        """
        ids, products = IdMap.of(list(customers)), IdMap.of(list(PRODUCTS))
        frame = self.known(customers, covered)
        log = read_events(
            frame, customers=ids, products=products, types=WEIGHTING.apply(dict(BUILT_IN))
        )
        now_us = log.last_us
        amounts = amounts_of(log, WEIGHTING, n_customers=len(ids), now_us=now_us)
        past = histories_of(log, WEIGHTING, n_customers=len(ids), now_us=now_us)
        held = self._held(frame)
        rows = {
            one: self._row(past.take(np.array([at])), held.get(one, frozenset()), self.scorer)
            for at, one in enumerate(ids.ids)
        }
        columns = columns_for(amounts, fades=True, ordered=True)
        weights = {name: kind.weight for name, kind in WEIGHTING.apply(dict(BUILT_IN)).items()}
        weighing = Weighing(weights, WEIGHTING.half_life_days, WEIGHTING.saturation, now_us)
        places = np.arange(len(PRODUCTS), dtype=np.int32)
        packed = Carried(self.scorer, "bought_together", LENGTH, weighing, places).to_bytes()
        manifest: dict[str, Any] = {"dataset_at": NOON - 50_000, "data_until": NOON - 60_000}
        if tell:
            manifest["covered"] = tuple(str(covered[shard]) for shard in range(SHARDS))
        if carry:
            manifest |= {
                "scorer": "neighbours",
                "scorer_parts": 1,
                "scorer_bytes": len(packed),
                "scorer_sha256": digest_of(packed),
                "past_buckets_per_tag": 1,
                "past_columns": columns,
            }
        popular = listed(range(len(self.catalogue)))
        world = Live(self.catalogue, popular, {}, rows, manifest=manifest)
        release = publish(self.store, SPACE, world)
        self.scorers[release] = self.scorer
        if carry:
            mark = codec.Stamp(release, world.created_at)
            digests = np.frombuffer(b"".join(map(SPACE.digest, ids.ids)), np.uint8).reshape(-1, 16)
            tags = np.array([SPACE.tag(SPACE.digest(one)) for one in ids.ids], np.uint32)
            order = np.lexsort((rests(digests), tags))
            ordered = amounts.take(order)
            buckets = PastColumns(
                tags[order],
                rests(digests)[order],
                np.full(len(ids), -1, np.int32),
                np.diff(ordered.indptr),
                pack_rows(ordered, columns, position_bytes=2),
            )
            records = pack_past_buckets(mark, buckets, first=0, last=TAGS, position_bytes=2)
            self.store.put(zip(SPACE.pasts(release, 1), records, strict=True), ttl_s=10_000)
            (part,) = seal_parts(packed, mark)
            self.store.put([(SPACE.scorer(release, 0), part)], ttl_s=10_000)
        return release

    def expected(self, customer: str, *, release: int | None = None) -> list[str]:
        """The list that training on everything that ever happened gives a customer.

        By the scorer of `release`; None: of the next one.
        """
        everything = dict.fromkeys(range(SHARDS), Position(10**15, 0))
        frame = self.known([customer], everything)
        log = read_events(
            frame,
            customers=IdMap.of([customer]),
            products=IdMap.of(list(PRODUCTS)),
            types=WEIGHTING.apply(dict(BUILT_IN)),
        )
        past = histories_of(log, WEIGHTING, n_customers=1, now_us=log.last_us)
        held = self._held(frame).get(customer, frozenset())
        scored_by = self.scorer if release is None else self.scorers[release]
        row = self._row(past, held | self.declined(customer), scored_by)
        return [PRODUCTS[each.product] for each in row.suggestions]

    def declined(self, customer: str) -> frozenset[str]:
        """What they said no to last."""
        said: dict[str, str] = {}
        for _, event in self.events.get(customer, []):
            if event.product_id is not None and event.type in {"decline", "purchase"}:
                said[event.product_id] = event.type
        return frozenset(one for one, kind in said.items() if kind == "decline")

    async def found(self, *customers: str) -> list[Found]:
        """What the process finds of customers, after it looked which release is live."""
        await self.releases.refresh()
        found = await self.lookup.customers(customers)
        await self.releases.close()
        self.releases._keeping = None  # the next call has a loop of its own
        return found

    async def found_session(self, session: str) -> Found:
        """What the process finds of a session."""
        await self.releases.refresh()
        found = await self.lookup.session(session)
        await self.releases.close()
        self.releases._keeping = None
        return found

    def session_answer(self, session: str) -> dict[str, Any]:
        """What the process answers a session."""
        found = asyncio.run(self.found_session(session))
        made = self.answers.for_session(session, found, Wanted(n=LENGTH))
        answer: dict[str, Any] = json.loads(made)
        return answer

    def keep_session(self, session: str, recent: Recent) -> None:
        """Store what a session did."""
        key = SPACE.recent(SPACE.session(session))
        self.store.put([(key, seal_recent(recent, at=NOON))], ttl_s=10_000)

    def answer(self, customer: str, *, n: int = LENGTH) -> dict[str, Any]:
        """What the process answers."""
        (found,) = asyncio.run(self.found(customer))
        made = self.answers.for_customer(customer, found, Wanted(n=n))
        answer: dict[str, Any] = json.loads(made)
        return answer

    def _held(self, frame: pl.LazyFrame) -> dict[str, frozenset[str]]:
        pairs = held_pairs(frame, BUILT_IN).collect()
        held: dict[str, set[str]] = {}
        for customer, product in pairs.select("customer_id", "product_id").iter_rows():
            if product in ONCE:
                held.setdefault(customer, set()).add(product)
        return {customer: frozenset(had) for customer, had in held.items()}

    def _row(self, past: Histories, without: frozenset[str], scored_by: LiveScorer) -> CustomerRow:
        if not len(past.product):
            return CustomerRow(None, listed(range(3)), (), cold=True)
        barred = np.array([PRODUCTS.index(one) for one in sorted(without)], np.int32)
        sold = np.ones(len(PRODUCTS), np.bool_)
        mask = ProductMask(sold, np.array([0, len(barred)]), barred)
        best = top_k(scored_by.score(past), LENGTH, mask=mask)
        because = scored_by.because(past, best.products)
        columns = best.products[0], best.scores[0], because[0]
        found = zip(*(column.tolist() for column in columns), strict=True)
        held = tuple(PRODUCTS.index(one) for one in sorted(without & ONCE))
        return CustomerRow(
            None,
            tuple(
                Suggestion(product, score, "bought_together", None if named < 0 else named)
                for product, score, named in found
            ),
            held,
        )


def listed_in(answer: Mapping[str, Any]) -> list[str]:
    """The products of an answer that were scored for the customer."""
    return [one["product_id"] for one in answer["items"] if one["source"] == "personalised"]


def everywhere(position: Position) -> dict[int, Position]:
    """All shards up to one position."""
    return dict.fromkeys(range(SHARDS), position)
