"""Many callers, API processes that are killed, a Redis that is killed: caps hold, nothing doubles.

Real HTTP on unix sockets. Callers retry with the same request id until they are answered, as a
client should, at whichever process is there. What is counted in the end is what lies in Redis.
"""

import asyncio
import multiprocessing
import os
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import orjson
import uvicorn
from redis_servers import RedisServer, newest
from serving.decision_worlds import consenting, publish_seller, write_rules
from serving.worlds import SECRET

from oferta.clock import SystemClock
from oferta.decisions.record import unpack_record
from oferta.policy.state import decode_state
from oferta.store.decision_records import mark_of, open_decision, open_state
from oferta.store.decisions import Change, Outcome, Place
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.keys import TAGS, KeySpace
from oferta.store.redis import RedisReader, RedisWriter
from oferta_serving.app import create_app
from oferta_serving.ports import TenantPorts
from oferta_serving.protocol import guarded
from oferta_serving.settings import ServingSettings

SPACE = KeySpace(SECRET)
CUSTOMERS = [f"c{number}" for number in range(10)]
EACH, TOTAL = 12, 40
"""Limits: of each offer per customer, of the charger in total."""

SERVERS, CALLERS = 3, 6
VIOLATIONS = ("over the cap", "over the total", "doubled", "lost", "answered otherwise", "gaps")

_CONTEXT = multiprocessing.get_context("forkserver")


class Careless(RedisDecisions):
    """A store as one would write it without thinking: it writes what it was told to."""

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        stored = await self.fetch([SPACE.state(change.customer) for change in changes])
        return await super().apply(
            [
                replace(
                    change,
                    mark=mark_of(record),
                    decision=change.decision and replace(change.decision, request=None),
                )
                for change, record in zip(changes, stored, strict=True)
            ]
        )

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        return await super().take([place._replace(limit=10**6) for place in places], at=at)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where it all happens, and with which kind of store."""

    redis_url: str
    folder: Path
    rules: dict[str, str]
    careless: bool

    def socket(self, number: int) -> str:
        return str(self.folder / f"api{number}")


def serve(setting: Setting, number: int) -> None:
    """A child that serves until it is killed."""
    path = setting.socket(number)
    Path(path).unlink(missing_ok=True)
    settings = ServingSettings.model_validate({"decisions": setting.rules})
    store = Careless if setting.careless else RedisDecisions
    reader = RedisReader(setting.redis_url, SPACE)
    ports = TenantPorts(
        reader,
        SPACE,
        setting.folder / f"home{number}",
        decisions=store(setting.redis_url, SPACE, log_lines=TAGS * 5000, deadline_s=2.0),
        on_stop=reader.close,
    )
    app = create_app(settings, ports)
    http = guarded(settings.limits)
    uvicorn.run(app, uds=path, http=http, log_config=None, log_level="critical", ws="none")


class UnixClient(HTTPConnection):
    """One connection to a process on a unix socket, made anew when it broke off."""

    def __init__(self, path: str) -> None:
        super().__init__("api", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def post(self, path: str, body: dict) -> tuple[int, dict]:
        """Status and answer.

        Raises:
            OSError, HTTPException: the process went away.
        """
        try:
            self.request("POST", path, orjson.dumps(body), {"Content-Type": "application/json"})
            answer = self.getresponse()
            return answer.status, orjson.loads(answer.read())
        except (OSError, HTTPException):
            self.close()
            raise


class Callers:
    """Threads that ask, repeat and give feedback until they are told to stop."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting = setting
        self.stop = threading.Event()
        self.tally: Counter[str] = Counter()
        self.told: dict[str, str] = {}
        """Request id -> the decision that it was answered with."""
        self.offers: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self.call, args=(number, seed * 100 + number))
            for number in range(CALLERS)
        ]

    def call(self, number: int, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - whom to ask for
        clients = [UnixClient(self.setting.socket(each)) for each in range(SERVERS)]
        count = 0
        while not self.stop.is_set():
            count += 1
            self.one(clients, chance, f"{number}-{count}")
        for client in clients:
            client.close()

    def one(self, clients: list[UnixClient], chance: random.Random, request_id: str) -> None:
        body = {
            "customer_id": chance.choice(CUSTOMERS),
            "channel": "app",
            "placements": ["home"],
            "request_id": request_id,
        }
        answer = self.until_answered(clients, chance, "/v1/decisions", body)
        if answer is None:
            return
        self.note(request_id, answer)
        if chance.random() < 0.3:
            again = self.until_answered(clients, chance, "/v1/decisions", body)
            if again is not None:
                self.note(request_id, again)
        if answer["offers"] and chance.random() < 0.3:
            row = {
                "decision_id": answer["decision_id"],
                "offer_id": chance.choice(answer["offers"])["offer_id"],
                "type": chance.choice(["impression", "click"]),
            }
            self.until_answered(clients, chance, "/v1/feedback", row)

    def until_answered(
        self, clients: list[UnixClient], chance: random.Random, path: str, body: dict
    ) -> dict | None:
        while not self.stop.is_set():
            try:
                status, answer = chance.choice(clients).post(path, body)
            except (OSError, HTTPException):
                self.tally["broken off"] += 1
                time.sleep(0.02)
                continue
            if status == 200:
                self.tally[path] += 1
                return answer
            assert status == 503, answer
            self.tally[answer["code"]] += 1
            time.sleep(0.02)
        return None

    def note(self, request_id: str, answer: dict) -> None:
        with self.lock:
            was = self.told.setdefault(request_id, answer["decision_id"])
            self.tally["answered otherwise"] += was != answer["decision_id"]
            self.offers[was] = [offer["offer_id"] for offer in answer["offers"]]


def run(folder: Path, *, kills: int, seed: int, careless: bool = False) -> Counter[str]:
    """Callers on top of `kills` kills of API processes, every fourth of Redis; what was counted."""
    _warm_up()
    chance = random.Random(seed)  # noqa: S311 - when to kill
    rules = write_rules(folder / "rules")
    rules.replace("policy.toml", "limit = 3", f"limit = {EACH}")
    rules.replace("policy.toml", "limit = 5", f"limit = {TOTAL}")
    short = Path(tempfile.mkdtemp(prefix="oferta-caps-"))  # a socket's path has 107 characters
    with RedisServer(newest(), folder, "--appendonly", "yes") as redis:
        writer = RedisWriter(redis.url, SPACE)
        publish_seller(
            writer,
            SPACE,
            {name: consenting() for name in CUSTOMERS},
            created_at=SystemClock().now().timestamp(),
        )
        writer.close()
        setting = Setting(redis.url, short, rules.settings, careless)
        servers = [_start(setting, number) for number in range(SERVERS)]
        callers = Callers(setting, seed)
        for thread in callers.threads:
            thread.start()
        counts = callers.tally
        for kill in range(kills):
            time.sleep(chance.uniform(0.2, 0.5))
            if kill % 4 == 3:
                redis.kill()
                redis.start()
                counts["redis kills"] += 1
            else:
                number = chance.randrange(SERVERS)
                servers[number].kill()
                servers[number].join()
                servers[number] = _start(setting, number)
                counts["kills"] += 1
        _let_finish(callers)
        for server in servers:
            server.kill()
            server.join()
        counts += asyncio.run(_examine(redis.url, callers))
    shutil.rmtree(short)
    return counts


def _let_finish(callers: Callers) -> None:
    """Until the caps are full, so that the last places are fought for, too."""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        with callers.lock:
            last = [callers.offers[callers.told[one]] for one in list(callers.told)[-30:]]
            enough = len(callers.told) > 150
        if enough and not any("charger" in offers for offers in last):
            break
        time.sleep(0.1)
    callers.stop.set()
    for thread in callers.threads:
        thread.join()


async def _examine(url: str, callers: Callers) -> Counter[str]:
    """What lies in Redis, against what caps allow and callers were told."""
    counts: Counter[str] = Counter()
    store = RedisDecisions(url, SPACE, deadline_s=10.0)
    made: dict[str, list[str]] = {}
    by_request: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    contacts: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for decision_id in await _logged(store):
        (record,) = await store.fetch([SPACE.decision(decision_id)])
        if record is None:
            counts["gaps"] += 1
            continue
        found = unpack_record(open_decision(record).record)
        customer = found.request.customer_id
        made[decision_id] = [offer.offer for offer in found.decision.offers]
        by_request[customer, found.request.request_id].append(decision_id)
        contacts[customer] |= {(one.decision, one.offer) for one in found.decision.contacts}
    chargers = sum("charger" in offers for offers in made.values())
    counts["decisions"] = len(made)
    counts["chargers"] = chargers
    counts["over the total"] += max(0, chargers - TOTAL)
    counts["doubled"] += sum(len(ids) > 1 for ids in by_request.values())
    for customer in CUSTOMERS:
        (record,) = await store.fetch([SPACE.state(SPACE.digest(customer))])
        state = decode_state(open_state(record)) if record else None
        kept = {(one.decision, one.offer) for one in state.contacts} if state else set()
        counts["lost"] += len(contacts[customer] ^ kept)
        given = Counter(offer for _, offer in contacts[customer])
        counts["over the cap"] += sum(times > EACH for times in given.values())
        counts["full caps"] += sum(times == EACH for times in given.values())
    for decision_id, offers in callers.offers.items():
        counts["answered otherwise"] += made.get(decision_id) != offers
    await store.close()
    return counts


async def _logged(store: RedisDecisions) -> list[str]:
    found = []
    for customer in CUSTOMERS:
        lines = await store.log(SPACE.tag(SPACE.digest(customer)), count=100_000)
        said = [orjson.loads(line) for _, line in lines]
        found += [one["decision_id"] for one in said if one["kind"] == "decision"]
    return list(dict.fromkeys(found))


def _start(setting: Setting, number: int) -> BaseProcess:
    process = _CONTEXT.Process(target=serve, args=(setting, number))
    process.start()
    return process


def _warm_up() -> None:
    """Start the server that children are forked from, with everything imported."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    _CONTEXT.set_forkserver_preload(["chaos.caps_chaos", "oferta_serving.deciding.parts"])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def summary(counts: Counter[str]) -> str:
    """The counts in one line."""
    return "  ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
