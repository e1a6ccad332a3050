"""A seller who holds something of two customers in every place: one is forgotten, one is not."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import polars as pl
from redis import Redis
from redis_servers import RedisServer
from release_worlds import NOON, SECRET, write_scores

from oferta.clock import SystemClock
from oferta.events.archive import NOWHERE, Archived, append, archive_folder, rows_of
from oferta.events.event import Event, Position, encode_event
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.interactions.texts import pack_texts
from oferta.policy.contact import CustomerState
from oferta.policy.state import encode_state
from oferta.privacy.erasures import Erasure
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.word import Word
from oferta.profile.recent import Recent, RecentEvent
from oferta.progress import Silent
from oferta.scoring.artefact import Meta, write_artefact
from oferta.store.customer_records import seal_recent
from oferta.store.decision_records import StoredDecision, seal_decision, seal_state
from oferta.store.decisions import Change, Done, NewDecision
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.keys import SHARDS, KeySpace
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.wire import Wire
from oferta_serving.erasing.places import Ground
from oferta_serving.erasing.requests import new_id
from oferta_serving.erasing.runner import Runner, running
from oferta_training.publications import PublicationLog
from oferta_training.publish import publish

ANNA: Final = "c0000017"
"""Who is forgotten."""

BELA: Final = "c0000018"
"""Who stays."""

SESSION: Final = "session-of-anna"
ALONE: Final = "before-the-login"
"""The id of an event that the session did before anybody knew whose it was."""

_T = TypeVar("_T")


class Ahead(SystemClock):
    """The machine's clock, a while later: what must settle has settled."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=1)


@dataclass
class Seller:
    """A state folder and a Redis; `home` holds the append-only file, too."""

    home: Path
    server: RedisServer
    space: KeySpace = field(default_factory=lambda: KeySpace(SECRET))

    @property
    def archive(self) -> Path:
        return archive_folder(self.home)

    def client(self) -> Redis:
        return Redis.from_url(self.server.url)

    def publish(self, version: int) -> None:
        """Score everybody and make that the live release."""
        scores = write_scores(self.home / f"scores/model-{version}", version=version, profiles=True)
        self.publish_scores(scores.path)

    def publish_scores(self, folder: Path) -> None:
        from oferta_training.scores import ScoresFolder  # noqa: PLC0415

        clock = SystemClock()
        writer = RedisWriter(self.server.url, self.space)
        try:
            publish(
                ScoresFolder.open(folder),
                writer,
                self.space,
                clock=clock,
                publications=PublicationLog(self.home / "ledger.jsonl", clock),
            )
        finally:
            writer.close()

    def ask(self, work: Callable[[Ground], Awaitable[_T]]) -> _T:
        """Work on connections of its own."""

        async def run() -> _T:
            async with self.ground() as ground:
                return await work(ground)

        return asyncio.run(run())

    @asynccontextmanager
    async def ground(self) -> "Iterator[Ground]":
        wire = Wire(self.server.url, deadline_s=10.0)
        reader = RedisReader(self.server.url, self.space, deadline_s=10.0)
        try:
            yield Ground(self.home, self.space, wire, reader, Ahead())
        finally:
            await wire.close()
            await reader.close()

    def run(self, work: Callable[[Runner], Awaitable[_T]], *, on_step: Callable[[str], None]) -> _T:
        async def on(ground: Ground) -> _T:
            with running(ground, on_step=on_step) as runner:
                return await work(runner)

        return self.ask(on)

    def erase(
        self, customer_id: str = ANNA, *, on_step: Callable[[str], None] = lambda _step: None
    ) -> Erasure:
        """As `oferta erase --wait` does, but for the waiting: the request is a minute old."""

        async def work(runner: Runner) -> Erasure:
            subject = runner.ground.subject(customer_id)
            # `Ahead` is a minute late at both ends, so the request is backdated instead.
            at = runner.ground.clock.now().timestamp() - 60
            made = runner.erasures.request(new_id(), subject, "asked", at=at)
            await runner.run()
            return runner.erasures.of(made.id) or made

        return self.run(work, on_step=on_step)

    def resume(self, *, on_step: Callable[[str], None] = lambda _step: None) -> list[Erasure]:
        async def work(runner: Runner) -> list[Erasure]:
            return list((await runner.run()).erasures)

        return self.run(work, on_step=on_step)

    def traces(self, *needles: bytes) -> list[str]:
        """The files of the state folder, and the dump of Redis, that hold any of these bytes."""
        with self.client() as client:
            # As archivers do with what is settled: Redis keeps the bytes of a removed entry as
            # long as any of about a hundred around it is there.
            for shard in range(SHARDS):
                client.xtrim(self.space.events(shard), maxlen=0, approximate=False)
            client.bgrewriteaof()
            while client.info("persistence")["aof_rewrite_in_progress"]:
                pass
            client.save()
        return [
            str(path.relative_to(self.home))
            for path in sorted(self.home.rglob("*"))
            if path.is_file() and any(needle in path.read_bytes() for needle in needles)
        ]


@contextmanager
def seller(folder: Path, binary: str) -> Iterator[Seller]:
    """Something of Anna and of Bela in every place there is."""
    home = folder / "home"
    (home / "redis").mkdir(parents=True)
    (home / "key-secret").write_bytes(SECRET)
    os.chmod(home / "key-secret", 0o600)  # noqa: PTH101
    server = RedisServer(binary, home / "redis", "--appendonly", "yes", "--rdbcompression", "no")
    with server:
        world = Seller(home, server)
        fill(world)
        yield world


def fill(world: Seller) -> None:
    """Put both into every place, each in a way that tells them apart."""
    world.publish(1)
    world.publish(2)
    asyncio.run(_fill_store(world, (ANNA, BELA)))
    _fill_ledger(world)
    _fill_archive(world)
    _fill_dataset(world)
    write_model(world.home / "mlflow-artifacts/models/m-1/artifacts/artefact")


def fill_customer(world: Seller, customer: str) -> None:
    """Put a further customer into every place of the store, into the archive and a model."""
    asyncio.run(_fill_store(world, (customer,)))
    now = SystemClock().now().timestamp()
    event = Event(f"of-{customer}", "view", now, now, customer, None, "p001")
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    append(world.archive, rows_of([Archived(0, Position(2, 1), event)]), positions=NOWHERE, day=day)
    write_model(
        world.home / f"mlflow-artifacts/models/{customer}/artefact",
        customers=("x", customer, BELA, "y"),
    )


async def _fill_store(world: Seller, customers: tuple[str, ...]) -> None:
    space = world.space
    now = SystemClock().now().timestamp()
    store = RedisDecisions(world.server.url, space)
    wire = Wire(world.server.url)
    try:
        for customer in customers:
            digest = space.digest(customer)
            changes = [
                Change(
                    digest,
                    b"",
                    seal_state(encode_state(CustomerState(version=1)), version=1, at=now),
                    3600,
                    NewDecision(
                        space.decision_id(digest, os.urandom(11)),
                        seal_decision(
                            StoredDecision(now, "bundle", {}, customer.encode()), release=2
                        ),
                        3600,
                        space.request(digest, f"request of {customer}"),
                    ),
                    [b'{"kind":"feedback","decision_id":"d_other"}'],
                )
            ]
            decision = changes[0].decision
            assert decision is not None
            line = b'{"kind":"decision","decision_id":"%s"}' % decision.id.encode()
            changes[0] = Change(
                digest, b"", changes[0].state, 3600, decision, [*changes[0].log, line]
            )
            assert await store.apply(changes) == [Done()]
            event = RecentEvent(Position(1, 1), "view", "p001", now, "app", None, {})
            recent = seal_recent(Recent(1, (event,)), at=now)
            await wire.ask([(b"SET", space.recent(digest), recent)])
            shard = space.shard(digest)
            said = Event(f"event-{customer}", "view", now, now, customer, product_id="p001")
            data = encode_event(said)
            for stream in (space.events(shard), space.parked(shard), space.dead(shard)):
                await wire.ask([(b"XADD", stream, b"*", b"e", data)])
            await wire.ask([(b"SET", space.event(digest, said.id), b"p" + b"0" * 24)])
        session = space.session(SESSION)
        recent = seal_recent(Recent(1, merged_into=space.digest(ANNA).hex()), at=now)
        await wire.ask([(b"SET", space.recent(session), recent)])
        await wire.ask([(b"SET", space.event(session, ALONE), b"p" + b"0" * 24)])
    finally:
        await store.close()
        await wire.close()


def _fill_ledger(world: Seller) -> None:
    ledger = Ledger(ledger_path(world.home))
    words = [
        Word(customer, "marketing", "in", "app", proof=f"call of {customer}")
        for customer in (ANNA, BELA)
    ]
    ledger.append(words, received_at=SystemClock().now())
    ledger.close()


def _fill_archive(world: Seller) -> None:
    world.archive.mkdir(parents=True)
    now = SystemClock().now().timestamp()
    events = [
        Event(ALONE, "view", now, now, None, SESSION, "p002"),
        Event("login", "view", now, now, ANNA, SESSION, "p001"),
        Event("other", "view", now, now, BELA, None, "p003"),
        Event("stranger", "view", now, now, None, "session-of-nobody", "p003"),
    ]
    rows = rows_of([Archived(0, Position(1, at), one) for at, one in enumerate(events)])
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    append(world.archive, rows, positions=NOWHERE, day=day)


def write_source(folder: Path) -> Path:
    """A source with both customers in every table, and a rejected row of each."""
    folder.mkdir(parents=True, exist_ok=True)
    both = (ANNA, BELA)
    days = [(1, "2026-05-02"), (2, "2026-05-03")]
    events = [f"{one},p00{at},purchase,{day}T10:00:00Z" for one in both for at, day in days]
    events += [f"{one},p001,purchase,never" for one in both]
    events += [f"x{at},p001,purchase,2026-05-01T10:00:00Z" for at in range(90)]
    (folder / "events.csv").write_text(
        "customer_id,product_id,event_type,timestamp\n" + "\n".join(events) + "\n"
    )
    consent = [f"{one},marketing,,in,2026-05-09T10:00:00Z,app" for one in both]
    (folder / "consent.csv").write_text(
        "customer_id,purpose,channel,state,at,source\n" + "\n".join(consent) + "\n"
    )
    return folder


def _fill_dataset(world: Seller) -> None:
    source = write_source(world.home.parent / "source")
    ingest(
        source,
        world.home / "datasets/shop",
        options=IngestOptions(),
        clock=SystemClock(),
        progress=Silent(),
    )


def write_model(folder: Path, *, customers: tuple[str, ...] = ("x", ANNA, BELA, "y")) -> None:
    """A stored model of four customers and three products, whose pasts are 1, 2, 3 and 0 long."""
    lengths = np.array([1, 2, 3, 0])
    count = int(lengths.sum())
    ids = pl.Series("id", customers)
    products = pl.Series("id", ["p001", "p002", "p003"])
    arrays = {
        "past.indptr": np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        "past.product": np.arange(count, dtype=np.int32) % 3,
        "past.weight": np.arange(1, count + 1, dtype=np.float32),
        "past.recency": np.arange(count, dtype=np.int32),
        "past.segment": np.array([0, 1, 0, 1], np.int32),
        "embeddings.customers": np.arange(1, 9, dtype=np.float32).reshape(4, 2),
        "embeddings.products": np.ones((3, 2), np.float32),
        "model.customers": np.arange(1, 9, dtype=np.float32).reshape(4, 2),
        **{f"customers.{name}": array for name, array in pack_texts(ids).items()},
        **{f"products.{name}": array for name, array in pack_texts(products).items()},
    }
    meta = Meta("als", {}, 1, "data", "code", NOON.isoformat(), {})
    write_artefact(folder, arrays, meta)
