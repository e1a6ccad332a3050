"""Faults of Redis itself, each as a real process has it: full, no disk, loading, altered, torn."""

import asyncio
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis_servers import RedisServer, newest
from serving.conftest import make_app, serving
from serving.decision_worlds import RuleSet, publish_seller
from serving.worlds import NOON, SECRET, shop
from serving.worlds import publish as publish_shop

from oferta.errors import PublishRefused
from oferta.profile.recent import Recent
from oferta.store.customer_records import seal_recent
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta_serving.metrics import Metrics
from oferta_serving.store_watch import StoreWatch

LIST = "/v1/customers/anna/recommendations?n=3"
SPACE = KeySpace(SECRET)


@dataclass
class Store:
    """What `make_app` needs of a Redis."""

    url: str
    space: KeySpace = SPACE


@contextmanager
def api(server: RedisServer, home: Path, rules: RuleSet) -> Iterator[httpx.Client]:
    """The API of the small seller over this Redis, with the seller's release."""
    writer = RedisWriter(server.url, SPACE)
    publish_seller(writer, SPACE)
    writer.close()
    app = make_app(Store(server.url), home, decisions=rules.settings)  # type: ignore[arg-type] # its url
    with serving(app) as client:
        until(lambda: client.get(LIST).json()["level"] == "L0")
        yield client


def until(true: Callable[[], bool], *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


NUMBERS = iter(range(10**9))


def decided(client: httpx.Client, *, dry: bool = False) -> httpx.Response:
    fields = {"customer_id": "anna", "channel": "web", "dry_run": dry}
    return client.post("/v1/decisions", json=fields)


def happened(client: httpx.Client) -> httpx.Response:
    fields = {"event_id": f"fault-{next(NUMBERS):08d}", "customer_id": "anna", "type": "view"}
    return client.post("/v1/events", json={**fields, "product_id": "roadside"})


def refused_sharing(client: httpx.Client) -> httpx.Response:
    fields = {"purpose": "sharing", "state": "out", "source": "test"}
    return client.put("/v1/customers/anna/consent", json=fields)


def reads_and_writes(client: httpx.Client) -> dict[str, int]:
    """The status of each."""
    return {
        "list": client.get(LIST).status_code,
        "dry": decided(client, dry=True).status_code,
        "decision": decided(client).status_code,
        "event": happened(client).status_code,
        "consent": refused_sharing(client).status_code,
    }


WRITABLE = {"list": 200, "dry": 200, "decision": 200, "event": 202, "consent": 200}
UNWRITABLE = {**WRITABLE, "decision": 503, "event": 503}


def test_fault_72_a_full_redis_is_read_and_says_what_it_cannot_take(tmp_path: Path, rules: RuleSet):
    with (
        RedisServer(newest(), tmp_path) as server,
        api(server, tmp_path, rules) as client,
        Redis.from_url(server.url) as redis,
    ):
        assert reads_and_writes(client) == WRITABLE
        redis.config_set("maxmemory", "1")
        for _ in range(8):  # far more than the breaker takes of a Redis that is away
            assert decided(client).status_code == 503
            time.sleep(0.03)
        assert reads_and_writes(client) == UNWRITABLE
        assert client.get(LIST).json()["level"] == "L0"
        said = client.get("/v1/customers/anna/consent").json()
        assert "sharing" in str(said)
        writer = RedisWriter(server.url, SPACE)
        before = redis.dbsize()
        with pytest.raises(PublishRefused):
            publish_shop(writer, SPACE, shop())
        assert redis.dbsize() == before
        writer.close()
        redis.config_set("maxmemory", "0")
        until(lambda: reads_and_writes(client) == WRITABLE)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], check=False).returncode != 0:
        pytest.skip("no disk can be mounted here: a full disk is NOT tested")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_fault_73_a_full_disk_under_redis_costs_writes_only_and_heals(
    tmp_path: Path, rules: RuleSet, small_disk: Path
):
    with (
        RedisServer(newest(), small_disk, "--save", "3600 1") as server,
        api(server, tmp_path, rules) as client,
        Redis.from_url(server.url) as redis,
    ):
        assert reads_and_writes(client) == WRITABLE
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(65_536))
                file.flush()
        redis.bgsave()
        until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert reads_and_writes(client) == UNWRITABLE  # MISCONF
        assert client.get(LIST).json()["level"] == "L0"
        ballast.unlink()
        redis.bgsave()
        until(lambda: reads_and_writes(client) == WRITABLE)


def test_fault_70_a_redis_that_is_loading_is_away_until_it_has_loaded(
    tmp_path: Path, rules: RuleSet
):
    slow = ("--appendonly", "yes", "--key-load-delay", "400")
    with RedisServer(newest(), tmp_path, *slow) as server, api(server, tmp_path, rules) as client:
        server.kill()
        server.process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL)
        seen: set[str] = set()
        began = time.monotonic()
        while True:
            answer = client.get(LIST)
            assert answer.status_code == 200
            seen.add(answer.json().get("degraded_reason", "none"))
            assert decided(client).status_code in (200, 503)
            if answer.json()["level"] == "L0":
                break
            assert time.monotonic() - began < 30
        assert seen == {"store_unavailable", "none"}
        with Redis.from_url(server.url) as redis:
            assert redis.info("persistence")["loading"] == 0
        until(lambda: reads_and_writes(client) == WRITABLE, seconds=2)


def families(redis: Redis) -> dict[str, list[bytes]]:
    """The keys of Redis by their family's letter or name."""
    found: dict[str, list[bytes]] = {}
    for key in redis.keys("*"):
        letter = re.match(rb"\{[^}]*\}:([a-z]+)", key)
        assert letter is not None, key
        found.setdefault(letter[1].decode(), []).append(key)
    return found


def wrong_type(redis: Redis, key: bytes) -> None:
    was = redis.type(key)
    redis.delete(key)
    if was == b"string":
        redis.lpush(key, "foreign")
    else:
        redis.set(key, "foreign")


def flipped(redis: Redis, key: bytes) -> None:
    if redis.type(key) != b"string":
        return
    value = bytearray(redis.get(key))
    value[len(value) // 2] ^= 1
    value[-1] ^= 1
    redis.set(key, bytes(value), keepttl=True)


SERVED = {"list": {200}, "dry": {200, 503}, "decision": {200, 503}}
SERVED |= {"event": {202, 503}, "consent": {200}}


@pytest.mark.parametrize("damage", [wrong_type, flipped])
def test_faults_81_and_82_damage_in_any_family_of_keys_is_no_fault_of_ours(
    tmp_path: Path, rules: RuleSet, damage: Callable[[Redis, bytes], None]
):
    """Each family alone: lists are answered, the rest is answered or says that it cannot be."""
    levels: dict[str, str] = {}
    with (
        RedisServer(newest(), tmp_path) as server,
        Redis.from_url(server.url) as redis,
        api(server, tmp_path, rules) as client,
    ):
        digest = SPACE.digest("anna")
        redis.set(SPACE.recent(digest), seal_recent(Recent(version=1), at=NOON))
        assert reads_and_writes(client) == WRITABLE
        made = decided(client).json()["decision_id"]
        whole = {key: (redis.dump(key), redis.pttl(key)) for key in redis.keys("*")}
        for family, keys in families(redis).items():
            for key in keys:
                damage(redis, key)
            time.sleep(0.3)  # the pointer is read
            statuses = reads_and_writes(client)
            for kind, status in statuses.items():
                assert status in SERVED[kind], (family, kind, status)
            levels[family] = client.get(LIST).json()["level"]
            receipt = client.get(f"/v1/decisions/{made}").status_code
            assert receipt in (200, 404, 503), (family, receipt)
            for path in ("/v1/popular", "/v1/products/car-loan/similar", "/health/ready"):
                assert client.get(path).status_code == 200, (family, path)
            redis.flushall()
            for key, (value, ttl) in whole.items():
                redis.restore(key, max(ttl, 0), value, replace=True)
            until(lambda: client.get(LIST).json()["level"] == "L0")
        assert "oferta_records_damaged_total" in client.get("/metrics").text
    assert levels["r"] == "L3"
    assert levels["y"] == "L1" if damage is flipped else levels["y"] in ("L0", "L1")
    assert levels["pointer"] in ("L0", "L3")
    assert {"r", "p", "y", "c", "d", "pointer"} <= set(levels)


def test_fault_83_a_torn_tail_is_loaded_and_a_torn_middle_is_not(tmp_path: Path, rules: RuleSet):
    with (
        RedisServer(newest(), tmp_path, "--appendonly", "yes") as server,
        api(server, tmp_path, rules) as client,
    ):
        assert decided(client).status_code == 200
        server.kill()
        log = max(tmp_path.rglob("*.aof"), key=lambda path: path.stat().st_size)
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 5)
        server.start()
        until(lambda: client.get(LIST).json()["level"] == "L0", seconds=3)
        server.kill()
        content = bytearray(log.read_bytes())
        middle = content.index(b"\r\n*", len(content) // 2) + 2
        content[middle : middle + 4] = b"!!!!"
        log.write_bytes(bytes(content))
        process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL)
        assert process.wait(10) != 0  # it refuses to start
        answer = client.get(LIST)
        assert (answer.status_code, answer.json()["level"]) == (200, "L3")


@pytest.mark.needs_tool("strace")
def test_fault_83b_redis_whose_disk_fails_exits_and_is_away(tmp_path: Path, rules: RuleSet):
    always = ("--appendonly", "yes", "--appendfsync", "always")
    with (
        RedisServer(newest(), tmp_path, *always) as server,
        api(server, tmp_path, rules) as client,
    ):
        inject = "inject=fdatasync:error=EIO:when=1+"
        tracer = subprocess.Popen(
            ["strace", "-f", "-q", "-e", inject, "-p", str(server.process.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(0.5)
            if tracer.poll() is not None:
                pytest.skip("no process may be traced here: a failing disk is NOT tested")
            assert decided(client).status_code == 503
            until(lambda: server.process.poll() is not None)
        finally:
            tracer.send_signal(signal.SIGTERM)
            tracer.wait()
        answer = client.get(LIST)
        assert (answer.status_code, answer.json()["level"]) == (200, "L3")
        server.start()
        until(lambda: decided(client).status_code == 200, seconds=3)


def test_fault_79_an_evicting_redis_is_told_within_half_a_minute(tmp_path: Path):
    with RedisServer(newest(), tmp_path) as server, Redis.from_url(server.url) as redis:

        async def watched() -> list[bool]:
            metrics = Metrics()
            watch = StoreWatch(server.url, metrics, every_s=0.05)
            following = asyncio.create_task(watch.follow())
            seen = []
            for policy in ("noeviction", "allkeys-lru", "noeviction"):
                redis.config_set("maxmemory-policy", policy)
                async with asyncio.timeout(5):
                    while watch.policy != policy:  # noqa: ASYNC110 - it is another's to tell
                        await asyncio.sleep(0.01)
                seen.append(watch.evicts)
            following.cancel()
            return seen

        assert asyncio.run(asyncio.wait_for(watched(), 10)) == [False, True, False]


@dataclass
class Jumping:
    """A clock that is set wrong meanwhile."""

    by: timedelta = timedelta()
    began: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        passed = timedelta(seconds=time.monotonic() - self.began)
        return datetime.fromtimestamp(NOON, UTC) + passed + self.by


def test_fault_95_a_clock_that_jumps_a_day_stops_nobody(tmp_path: Path, rules: RuleSet):
    """Deadlines, breaker and turns go by a clock that cannot be set."""
    clock = Jumping()
    with RedisServer(newest(), tmp_path) as server:
        writer = RedisWriter(server.url, SPACE)
        publish_seller(writer, SPACE)
        writer.close()
        app = make_app(Store(server.url), tmp_path, clock=clock, decisions=rules.settings)  # type: ignore[arg-type] # its url
        with serving(app) as client:
            for by in (timedelta(), timedelta(days=1), timedelta(days=-1), timedelta()):
                clock.by = by
                answer = client.get(LIST).json()
                assert (answer["level"], answer["age_s"] >= 0) == ("L0", True)
                assert decided(client).status_code == 200
                assert happened(client).status_code == 202
                assert refused_sharing(client).status_code == 200
