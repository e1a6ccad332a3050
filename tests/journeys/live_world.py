"""A real Redis, `oferta serve` and `oferta consume`; releases as the oracle makes them."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from journeys.live_oracle import LENGTH, ONCE_ONLY, POPULAR, PRODUCTS, WEIGHTS, Deed, Release
from redis.exceptions import ResponseError
from serving.conftest import RealRedis
from serving.consumers import EVENTS, environment
from serving.worlds import World, entry, listed

from oferta.clock import SystemClock
from oferta.events.event import START
from oferta.interactions.amounts import UNDATED, Amounts
from oferta.scoring.fresh import Weighing
from oferta.scoring.live import NeighbourScorer
from oferta.store import codec
from oferta.store.contract import Pointer
from oferta.store.head import ManifestRecord, manifest_digest, manifest_record, pack_head
from oferta.store.keys import SHARDS, TAGS, KeySpace, rest, rests
from oferta.store.packing import pack_rows as pack_lists
from oferta.store.pasts import PastColumns, pack_past_buckets, pack_rows
from oferta.store.redis import RedisWriter
from oferta.store.release import CustomerRow
from oferta.store.scorer import Carried, digest_of, seal_parts
from oferta_training.publications import PublicationLog
from oferta_training.releases import Announcement, rollback

CATALOGUE: Final = tuple(entry(f"p{at}", repeatable=at not in ONCE_ONLY) for at in range(PRODUCTS))
WEIGHING: Final = Weighing({**WEIGHTS, "decline": 0.0}, None, "binary", None)
COLUMNS: Final = ("back",)
TTL_S: Final = 3600
_AGE: Final = re.compile(rb'"age_s":\d+')


@dataclass
class Live:
    """What runs, and how to act on it as sellers, staff and customers do.

    Attributes:
        store: the publisher's.
        api: the served API.
    """

    redis: RealRedis
    store: RedisWriter
    publications: PublicationLog
    api: httpx.Client
    sent: int = 0
    touched: set[int] = field(default_factory=set)
    """Shards with events that may not be applied yet."""

    @property
    def space(self) -> KeySpace:
        """How keys are made."""
        return self.redis.space

    def ask(self, kind: str, name: str, query: str = "") -> tuple[dict[str, Any], bytes]:
        """The list of a customer or session; and its bytes without id and age."""
        answer = self.api.get(f"/v1/{kind}/{name}/recommendations?n={PRODUCTS}{query}")
        assert answer.status_code == 200, answer.text
        bare = _AGE.sub(b"", answer.content.replace(name.encode(), b""))
        return answer.json(), bare

    def event(self, kind: str, product: int, **who: str) -> httpx.Response:
        """Tell that something happened."""
        self.sent += 1
        digests = [self.space.digest(who["customer_id"])] if "customer_id" in who else []
        digests += [self.space.session(who["session_id"])] if "session_id" in who else []
        self.touched |= {self.space.shard(digest) for digest in digests}
        fields = {"event_id": f"event-{os.getpid()}-{self.sent}", "type": kind, **who}
        return self.api.post(EVENTS, json={**fields, "product_id": f"p{product}"})

    def consent(self, name: str, purpose: str, state: str) -> None:
        """Say it."""
        word = {"purpose": purpose, "state": state, "source": "app"}
        answer = self.api.put(f"/v1/customers/{name}/consent", json=word)
        assert answer.status_code == 200, answer.text

    def erase(self, name: str) -> None:
        """Ask to be forgotten."""
        answer = self.api.delete(f"/v1/customers/{name}?reason=a+letter")
        assert answer.status_code == 202, answer.text

    def until_applied(self, *, seconds: float = 15.0) -> None:
        """Wait until no event waits: effects that nothing shows are there, too."""
        deadline = time.monotonic() + seconds
        while self.touched:
            self.touched = {shard for shard in self.touched if self._waits(shard)}
            assert time.monotonic() < deadline, "an event was never applied"
            time.sleep(0.005)

    def _waits(self, shard: int) -> bool:
        key = self.space.events(shard)
        with self.redis.client() as client:
            try:
                (group,) = client.xinfo_groups(key)
                last = client.xinfo_stream(key)["last-generated-id"]
            except (ResponseError, ValueError):  # not yet made by a consumer
                return True
        return bool(group["pending"]) or group["last-delivered-id"] != last

    def positions(self) -> tuple[str, ...]:
        """Where each shard's stream ends."""
        found = [str(START)] * SHARDS
        with self.redis.client() as client:
            for shard in range(SHARDS):
                with suppress(ResponseError):  # nothing came through it
                    last = client.xinfo_stream(self.space.events(shard))["last-generated-id"]
                    found[shard] = last.decode()
        return tuple(found)

    def reserve(self) -> int:
        """The number of the next release."""
        return self.store.reserve_fence(above=self.publications.last_fence())

    def publish(self, release: Release, *, covered: Sequence[str]) -> None:
        """Write what the oracle made, as a publisher does, and make it live."""
        now = time.time()
        number = release.number
        packed = _carried(release).to_bytes()
        head = World(
            CATALOGUE,
            listed(POPULAR),
            {},
            {name: _row(release, name) for name in release.known},
            model=f"model/{number}",
            created_at=now,
        ).head(number, self.space)
        manifest = replace(
            head.manifest,
            dataset_at=now,
            data_until=now,
            covered=tuple(covered),
            scorer="neighbours",
            scorer_parts=1,
            scorer_bytes=len(packed),
            scorer_sha256=digest_of(packed),
            past_buckets_per_tag=1,
            past_columns=COLUMNS,
        )
        head = replace(head, manifest=manifest)
        mark = codec.stamp(manifest)
        parts, size, digest = pack_head(head)
        self.store.announce(
            number,
            Announcement(
                *(manifest.model, now, manifest.customers, PRODUCTS, 1, len(parts)),
                scorer_parts=1,
                pasts_per_tag=1,
            ).to_bytes(),
        )
        rows = [*self._lists(release, mark), *self._pasts(release, mark)]
        record = manifest_record(
            ManifestRecord(
                manifest=manifest,
                rows=len(rows),
                row_bytes=0,
                head_parts=len(parts),
                head_bytes=size,
                head_sha256=digest,
            )
        )
        rows += [(self.space.head(number, at), part) for at, part in enumerate(parts)]
        (part,) = seal_parts(packed, mark)
        rows += [(self.space.scorer(number, 0), part), (self.space.manifest(number), record)]
        self.store.put(rows, ttl_s=TTL_S)
        assert self.store.swap(Pointer(number, None, number, now, manifest_digest(record)))

    def roll_back(self) -> int:
        """As `oferta rollback`; which release is live again."""
        done = rollback(
            self.store,
            self.space,
            reason="a test",
            clock=SystemClock(),
            publications=self.publications,
        )
        return done.manifest.release

    def _lists(self, release: Release, mark: codec.Stamp) -> Iterator[tuple[bytes, bytes]]:
        buckets: dict[bytes, dict[int, CustomerRow]] = {
            key: {} for key in self.space.buckets(release.number, 1)
        }
        for name in release.known:
            digest = self.space.digest(name)
            key = self.space.bucket(release.number, 1, digest)
            buckets[key][rest(digest)] = _row(release, name)
        empty = pack_lists(mark, {}, products=PRODUCTS)
        for key, rows in buckets.items():
            yield key, pack_lists(mark, rows, products=PRODUCTS) if rows else empty

    def _pasts(self, release: Release, mark: codec.Stamp) -> Iterator[tuple[bytes, bytes]]:
        names = [name for name, known in release.known.items() if not known.closed]
        digests = [self.space.digest(name) for name in names]
        hashes = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
        tags = np.array([self.space.tag(digest) for digest in digests], np.uint32)
        order = np.lexsort((rests(hashes), tags))
        amounts = _amounts([release.known[names[at]].deeds for at in order.tolist()])
        columns = PastColumns(
            tags[order],
            rests(hashes)[order],
            np.full(len(names), -1, np.int32),
            np.diff(amounts.indptr),
            pack_rows(amounts, COLUMNS, position_bytes=2),
        )
        records = pack_past_buckets(mark, columns, first=0, last=TAGS, position_bytes=2)
        yield from zip(self.space.pasts(release.number, 1), records, strict=True)


def _row(release: Release, name: str) -> CustomerRow:
    known = release.known[name]
    if known.closed:
        return CustomerRow(None, (), closed=True)
    had = [one for one in ONCE_ONLY if _pieces(known.deeds, one) > 0]
    if not known.listed:
        return CustomerRow(None, listed(POPULAR[:LENGTH]), tuple(sorted(had)), cold=True)
    return CustomerRow(None, listed(known.listed, "bought_together"), tuple(sorted(had)))


def _pieces(deeds: Sequence[Deed], product: int) -> int:
    kinds = [one.kind for one in deeds if one.product == product]
    return kinds.count("purchase") - kinds.count("return")


def _amounts(everybodys: Sequence[Sequence[Deed]]) -> Amounts:
    """What training would count of these customers' deeds, a row each."""
    ends, products, had, back = [0], [], [], []
    for deeds in everybodys:
        told = [one for one in deeds if one.kind in WEIGHTS]
        for product in sorted({one.product for one in told}):
            each = [WEIGHTS[one.kind] for one in told if one.product == product]
            products.append(product)
            had.append(sum(one for one in each if one > 0))
            back.append(sum(one for one in each if one < 0))
        ends.append(len(products))
    return Amounts(
        indptr=np.array(ends, np.int64),
        product=np.array(products, np.int32),
        amount=np.array(had, np.float64),
        had=np.array(had, np.float64),
        back=np.array(back, np.float64),
        recency=np.zeros(len(products), np.int32),
        time_us=np.full(len(products), UNDATED, np.int64),
    )


def _carried(release: Release) -> Carried:
    scorer = NeighbourScorer(
        indptr=np.arange(PRODUCTS + 1, dtype=np.int64) * PRODUCTS,
        neighbour=np.tile(np.arange(PRODUCTS), PRODUCTS).astype(np.int32),
        weight=np.array(release.weights, np.float32).ravel(),
        base=np.array([release.base], np.float32),
        step_decay=1.0,
        binary=True,
    )
    places = np.arange(PRODUCTS, dtype=np.int32)
    return Carried(scorer, "bought_together", LENGTH, WEIGHING, places)


@contextmanager
def running(plant: str | None = None) -> Iterator[Live]:
    """Everything started, and ended afterwards; `plant`: a fault of `planted_live`."""
    with tempfile.TemporaryDirectory(prefix="oferta-") as name:
        folder = Path(name)
        redis = RealRedis(folder)
        processes: list[subprocess.Popen[str]] = []
        redis.start()
        store = RedisWriter(redis.url, redis.space)
        try:
            home = ("--home", str(folder / "home"))
            serve = _start(redis, ("serve", "--port", "0", *home), plant, processes)
            _start(redis, ("consume", *home), plant, processes)
            with httpx.Client(base_url=serve.split()[3], timeout=10) as api:
                publications = PublicationLog(folder / "ledger.jsonl", SystemClock())
                yield Live(redis, store, publications, api)
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            store.close()
            redis.kill()


def _start(
    redis: RealRedis,
    command: Sequence[str],
    plant: str | None,
    processes: list[subprocess.Popen[str]],
) -> str:
    """Start it; its first line."""
    program = ["-c", "from oferta.cli import main; main()"]
    if plant is not None:
        program = ["-m", "journeys.planted_live", plant]
    tests = str(Path(__file__).parents[1])
    log = redis.folder / f"{command[0]}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *program, *command],
            env={**environment(redis), "PYTHONPATH": tests},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    processes.append(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("oferta "), log.read_text()
    return line
