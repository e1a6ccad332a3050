"""Consumers, in this process or as one of their own, and what they leave in Redis."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.conftest import RealRedis
from serving.worlds import SECRET

from oferta.clock import SystemClock
from oferta.profile.recent import NOTHING_RECENT, Recent
from oferta.store.customer_records import open_recent
from oferta.store.event_claims import Claim, read_claim
from oferta_serving.consuming.consumer import Consuming, run
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.event_settings import EventSettings

EVENTS = "/v1/events"
COMMAND = (sys.executable, "-c", "from oferta.cli import main; main()")


def environment(redis: RealRedis) -> dict[str, str]:
    return {
        **os.environ,
        "OFERTA_REDIS_URL": redis.url,
        "OFERTA_KEY_SECRET": SECRET.decode(),
    }


@contextmanager
def consumer(redis: RealRedis, folder: Path, **events: object) -> Iterator[ConsumerMetrics]:
    """A consumer in a thread of this process; what it counts. Stopped as it stops by itself."""
    metrics = ConsumerMetrics()
    settings = EventSettings.model_validate({"archive": False, "take_over_s": 0.3, **events})
    consuming = Consuming(settings, redis.url, redis.space, folder / "home", SystemClock())
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete,
        args=(run(consuming, "a-consumer", metrics=metrics, stop=stop),),
    )
    thread.start()
    try:
        yield metrics
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()


def counted(metrics: ConsumerMetrics, name: str) -> float:
    """A counter of a consumer, all labels together."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    )


@contextmanager
def consuming_process(redis: RealRedis, folder: Path) -> Iterator[str]:
    """`oferta consume`, stopped at the end as an operator stops it; where its metrics are."""
    command = [*COMMAND, "consume", "--metrics-port", "0", "--home", str(folder / "home")]
    process = subprocess.Popen(
        command, env=environment(redis), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("oferta consumes as "), process.communicate()
        yield line.split()[5]
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        print(said)  # noqa: T201 - shown where the test fails
    assert process.returncode == 0


def until(holds: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def recent_of(redis: RealRedis, who: str, *, session: bool = False) -> Recent:
    """What is kept of a customer, or of a session."""
    space = redis.space
    digest = space.session(who) if session else space.digest(who)
    with redis.client() as client:
        record = client.get(space.recent(digest))
    return NOTHING_RECENT if record is None else open_recent(record)


def claim_of(redis: RealRedis, who: str, event_id: str) -> Claim | None:
    """What is known of a customer's event id."""
    with redis.client() as client:
        return read_claim(client.get(redis.space.event(redis.space.digest(who), event_id)))


def forget_events(redis: RealRedis) -> None:
    """Remove all that events left, and who archives them."""
    with redis.client() as client:
        for pattern in ("*}:i:*", "*}:y:*", "*}:e", "*}:w", "*}:x", "*}:archive"):
            for key in client.scan_iter(pattern):
                client.delete(key)
