"""Every process as its own user of Redis: on one server, old and new, and on a cluster.

What a user needs is granted, and nothing was denied on the way; what others may do is denied.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis_servers import CLUSTER, SERVERS, STORES, RedisCluster, RedisServer, binary
from release_worlds import write_scores
from serving.decision_worlds import CUSTOMERS, publish_seller, write_rules
from serving.decisions import ask, body, made

from oferta.clock import SystemClock
from oferta.errors import StoreForbidden, StoreUnavailable
from oferta.store.acl import USERS, users_acl
from oferta.store.blocking import BlockingWire
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta_training.publications import PublicationLog
from oferta_training.publish import publish
from oferta_training.releases import list_releases, rollback

SECRET = b"0123456789abcdef0123456789abcdef"
SPACE = KeySpace(SECRET)
NAMES = [user.name for user in USERS]
FOLDER = Path(__file__).parents[2] / "serving" / "redis"
OPERATOR = "operator"

pytestmark = pytest.mark.timeout(120)


def password(user: str) -> str:
    return user[::-1]


def with_passwords(*, read_only_keys: bool) -> list[str]:
    """The lines of the template, as somebody fills it in."""
    lines = users_acl(read_only_keys=read_only_keys).splitlines()
    digests = [hashlib.sha256(password(line.split()[1]).encode()).hexdigest() for line in lines]
    return [
        line.replace("SHA256-OF-THE-PASSWORD", digest)
        for line, digest in zip(lines, digests, strict=True)
    ]


@dataclass(frozen=True)
class Store:
    """A Redis that knows the users. `addresses`: of each server; `url`: of all, for a user."""

    template: str
    nodes: Sequence[str]

    def url(self, user: str) -> str:
        return self.template.format(user=f"{user}:{password(user)}")

    def clients(self) -> Iterator[Redis]:
        for address in self.nodes:
            with Redis.from_url(address, username=OPERATOR, password=password(OPERATOR)) as client:
                yield client

    def denied(self) -> list[str]:
        """What any user was denied since the last time.

        But for what is asked where it may be: redis-py tells newer servers its name, and serving
        looks for settings that a user of the template may not see.
        """
        found: list[str] = []
        for client in self.clients():
            found += [
                f"{line['username']}: {line['reason']} {line['object']} ({line['context']})"
                for line in client.acl_log()
                if not str(line["object"]).startswith(("client", "config", "acl"))
            ]
            client.acl_log_reset()
        return found


@pytest.fixture(params=STORES, scope="module")
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("redis")
    with ExitStack() as running:
        if request.param == CLUSTER:
            cluster = running.enter_context(RedisCluster(binary("path"), folder, replicas=False))
            hosts = ",".join(f"127.0.0.1:{port}" for port in cluster.ports)
            nodes = [f"redis://127.0.0.1:{port}" for port in cluster.ports]
            made = Store(f"redis://{{user}}@{hosts}/?cluster=true", nodes)
        else:
            server = running.enter_context(RedisServer(binary(request.param), folder))
            made = Store(f"unix://{{user}}@{server.socket}", [server.url])
        for node in made.nodes:
            with Redis.from_url(node) as client:
                old = str(client.info("server")["redis_version"]).startswith("6.")
                first, *lines = with_passwords(read_only_keys=not old)
                for line in [*lines, first]:  # the last turns us out
                    client.execute_command("ACL", "SETUSER", *line.split()[1:])
        yield made


@dataclass(frozen=True)
class Machine:
    """Where processes run: each with the password of its own user."""

    store: Store
    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self, user: str) -> dict[str, str]:
        return {
            **os.environ,
            "OFERTA_REDIS_URL": self.store.url(user),
            "OFERTA_KEY_SECRET": SECRET.decode(),
            "OFERTA_HOME": str(self.home),
        }

    def run(self, user: str, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "oferta", *words],
            env=self.environment(user),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    @contextmanager
    def running(self, user: str, *words: str) -> Iterator[str]:
        """A process that goes on until the end of the context; its first line."""
        with subprocess.Popen(
            [sys.executable, "-m", "oferta", *words],
            env=self.environment(user),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline()
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            finally:
                process.kill()


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_each_process_may_do_its_work_and_nothing_is_denied(store: Store, tmp_path: Path):
    machine = Machine(store, tmp_path)
    store.denied()
    _publish(machine)
    rules = write_rules(tmp_path / "rules").settings
    settings = tmp_path / "serving.toml"
    lines = [f'{name} = "{path}"' for name, path in rules.items()]
    settings.write_text("\n".join(["[decisions]", *lines, "[stop]", "notice_s = 0", ""]))
    with ExitStack() as processes:
        config = ("--config", str(settings))
        said = processes.enter_context(machine.running("serve", "serve", "--port", "0", *config))
        client = processes.enter_context(httpx.Client(base_url=said.split()[3], timeout=10))
        consuming = machine.running("events", "consume", *config)
        assert "consumes" in processes.enter_context(consuming)
        _serve(client, store)
        _consume(client, store)
        machine.run("privacy", "export-customer", "bela", "--out", str(tmp_path / "bela.json"))
        machine.run("privacy", "erase", "bela", "--wait")
        assert client.get("/v1/customers/bela/recommendations").json()["personalised"] is False
        machine.run("events", "replay-dead", *config)
    assert store.denied() == []


def _publish(machine: Machine) -> None:
    """A release of scores, a second one, back to the first, and then that of a seller."""
    writer = RedisWriter(machine.store.url("publish"), SPACE)
    publications = PublicationLog(machine.home / "ledger.jsonl", SystemClock())
    for version in (1, 2, 3):
        scores = write_scores(machine.folder / f"s{version}", version=version, profiles=True)
        publish(scores, writer, SPACE, clock=SystemClock(), publications=publications)
    rollback(writer, SPACE, clock=SystemClock(), publications=publications, reason="a try")
    assert len(list(list_releases(writer, SPACE, now=SystemClock().now()))) >= 2
    publish_seller(writer, SPACE, CUSTOMERS, created_at=time.time() - 60)
    writer.close()


def _serve(client: httpx.Client, store: Store) -> None:
    def is_served() -> bool:
        answer = client.get("/v1/customers/anna/recommendations?n=2")
        return bool(answer.json()["level"] == "L0")

    soon(is_served, store)
    answer = ask(client)
    assert made(answer)
    assert client.get(f"/v1/decisions/{answer['decision_id']}").status_code == 200
    told = {"decision_id": answer["decision_id"], "offer_id": made(answer)[0], "type": "decline"}
    assert client.post("/v1/feedback", json={"feedback": [told]}).status_code == 200
    many = {"requests": [body(name) for name in ("anna", "bela")]}
    client.post("/v1/decisions/batch", json=many)
    ids = {"customer_ids": ["anna", "bela", "nobody"]}
    assert client.post("/v1/recommendations/batch", json=ids).status_code == 200
    assert client.get("/v1/products/car-loan/similar").status_code == 200
    assert client.get("/v1/customers/anna/profile").status_code == 200
    said = {"purposes": {"marketing": False}, "source": "app"}
    consent = client.put("/v1/customers/anna/consent", json=said)
    assert consent.status_code in (200, 422), consent.text
    assert client.get("/v1/customers/anna/consent").status_code == 200


def _consume(client: httpx.Client, store: Store) -> None:
    events = [
        _event("event-000001", "anna", "car-loan", "view"),
        _event("event-000002", "bela", "warranty", "click"),
        _event("event-000003", "bela", "never-seen", "click"),
    ]
    for _ in range(2):  # the second time all are duplicates
        answer = client.post("/v1/events", json={"events": events})
        assert answer.status_code in (200, 202, 207), answer.text

    operator = BlockingWire(store.url(OPERATOR), timeout_s=5.0)
    shard = SPACE.shard(SPACE.digest("bela"))

    def are_applied() -> bool:
        applied = operator.one(b"EXISTS", SPACE.recent(SPACE.digest("bela")))
        return bool(applied and operator.one(b"XLEN", SPACE.parked(shard)))

    soon(are_applied, store)
    operator.close()


def _event(name: str, customer: str, product: str, kind: str) -> Mapping[str, object]:
    return {
        "event_id": name,
        "customer_id": customer,
        "product_id": product,
        "type": kind,
        "occurred_at": now(),
    }


@pytest.mark.parametrize("user", NAMES)
def test_what_is_nobody_s_work_is_denied(store: Store, user: str):
    wire = BlockingWire(store.url(user), timeout_s=5.0)
    key = SPACE.pointer()
    for command in (
        (b"FLUSHALL",),
        (b"FLUSHDB",),
        (b"KEYS", b"*"),
        (b"SCAN", b"0"),
        (b"RANDOMKEY",),
        (b"CONFIG", b"GET", b"requirepass"),
        (b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru"),
        (b"ACL", b"LIST"),
        (b"MONITOR",),
        (b"SHUTDOWN",),
        (b"REPLICAOF", b"127.0.0.1", b"1"),
        (b"MIGRATE", b"127.0.0.1", b"1", key, b"0", b"10"),
        (b"DUMP", key),
        (b"GET", b"elsewhere"),
        (b"EVAL", b"return redis.call('FLUSHALL')", b"0"),
    ):
        with pytest.raises(StoreUnavailable) as denied:
            wire.one(*command)
        assert isinstance(denied.value, StoreForbidden) or "script" in str(denied.value)
    wire.close()


def test_users_do_not_reach_into_each_other_s_keys(store: Store):
    customer = SPACE.digest("anna")
    wires = {user: BlockingWire(store.url(user), timeout_s=5.0) for user in NAMES}
    denied = {
        "publish": [SPACE.state(customer), SPACE.consent(customer), SPACE.recent(customer)],
        "events": [SPACE.state(customer), SPACE.total("all"), SPACE.fence() + b"s"],
    }
    for user, keys in denied.items():
        for key in keys:
            with pytest.raises(StoreForbidden):
                wires[user].one(b"GET", key)
    for client in store.clients():
        new = not str(client.info("server")["redis_version"]).startswith("6.")
    if new:  # keys that may only be read
        for user in ("serve", "events", "privacy"):
            wires[user].one(b"GET", SPACE.pointer())
            with pytest.raises(StoreForbidden):
                wires[user].one(b"SET", SPACE.pointer(), b"x")
    for wire in wires.values():
        wire.close()


@pytest.mark.parametrize("name", SERVERS)
def test_the_files_of_users_are_those_that_are_generated_and_redis_reads_them(
    name: str, tmp_path: Path
):
    program = binary(name)
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    old = "v=6." in asked.stdout
    path = FOLDER / ("users-6.2.acl" if old else "users.acl")
    assert path.read_text() == users_acl(read_only_keys=not old), "python -m oferta.store.acl"
    filled = tmp_path / "users.acl"
    filled.write_text("\n".join(with_passwords(read_only_keys=not old)) + "\n")
    command = [program, "--port", "0", "--unixsocket", "s", "--save", "", "--aclfile"]
    unfilled = subprocess.run(
        [*command, path], capture_output=True, cwd=tmp_path, timeout=10, check=False
    )
    assert unfilled.returncode != 0, "it started with passwords that anybody can read"
    with subprocess.Popen(
        [*command, filled], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "eady to accept" in line:
                break
        else:
            pytest.fail("it did not start")
        process.kill()


def soon(came: Callable[[], bool], store: Store) -> None:
    until = time.monotonic() + 15
    while not came():
        assert time.monotonic() < until, f"it did not happen in time: {store.denied()}"
        time.sleep(0.05)
