"""A machine without the ledger remembers how complete its copies were; tenants tell apart."""

import asyncio
import time
from pathlib import Path

from serving.conftest import RealRedis

from oferta.clock import SystemClock
from oferta.privacy.ledger import ledger_path
from oferta.store.consent_copies import ConsentCopies
from oferta.store.wire import Wire
from oferta_serving.consent.following import Following
from oferta_serving.consent.keeping import Keeping
from oferta_serving.metrics import Metrics


def test_older_copies_are_not_believed_after_a_restart_either(
    redis_process: RealRedis, tmp_path: Path
):
    key = redis_process.space.consents()

    async def work() -> list[bool]:
        wire = Wire(redis_process.url, deadline_s=5.0)
        copies = ConsentCopies(wire, redis_process.space)
        believed = []
        for marker in (b"7-00000000", b"6-00000000", b"7-00000000"):
            await wire.ask([(b"SET", key, marker)])
            seen = tmp_path / "privacy" / "copies-seen"
            started = Following(copies, metrics=Metrics(), follow_s=0.2, seen=seen)
            await started.look()
            believed.append(started.words.reliable)
        await wire.ask([(b"DEL", key)])
        await wire.close()
        return believed

    assert asyncio.run(work()) == [True, False, True]


def test_whose_copies_are_behind_is_told_by_tenant():
    metrics = Metrics()
    metrics.of("north").consent_behind.set(1)
    metrics.of("south").consent_behind.set(0)
    exposed = metrics.exposed().decode()
    assert 'oferta_consent_copy_behind{tenant="north"} 1.0' in exposed
    assert 'oferta_consent_copy_behind{tenant="south"} 0.0' in exposed


def test_a_ledger_that_is_opened_anew_leaves_no_file_open(redis_process: RealRedis, tmp_path: Path):
    path = ledger_path(tmp_path)

    def opened() -> int:
        names = []
        for file in Path("/proc/self/fd").iterdir():
            try:
                names.append(str(file.readlink()))
            except OSError:
                continue
        return sum(str(path) in name for name in names)

    async def work() -> None:
        keeping = Keeping(
            path, None, redis_process.space, clock=SystemClock(), metrics=Metrics(), follow_s=0.2
        )
        for _ in range(20):
            away = path.rename(path.with_name("away"))
            await keeping.look()
            away.rename(path)
            await keeping.look()
            assert keeping.trouble is None
        deadline = time.monotonic() + 10
        # Two connections, each with the file, its log and the index of that. SQLite keeps the file
        # of a closed one for the next, while another of this process has a lock on it.
        while opened() >= 20:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)  # writers are closed in their thread
        await keeping.close()

    asyncio.run(work())
