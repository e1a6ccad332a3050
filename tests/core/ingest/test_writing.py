"""A dataset is whole or absent, whatever happens while it is written; memory stays flat."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from core.ingest.shops import Shop

from oferta.errors import SourceRefused

HEADER = "event_id,customer_id,product_id,event_type,timestamp,value\n"

RUN = """
import resource, signal, sys
from pathlib import Path
from oferta.clock import SystemClock
from oferta.errors import OfertaError
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.progress import Silent

source, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    ingest(source, out, options=IngestOptions(replace=True), clock=SystemClock(), progress=Silent())
except OfertaError as error:
    print(type(error).__name__, error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_rows(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.write(HEADER)
        for n in range(count):
            file.write(
                f"e{n},c{n % 997},p{n % 89},purchase,2024-05-01 10:00:{n % 60:02d},{n % 777}\n"
            )


def start(shop: Shop, limit: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", RUN, str(shop.source), str(shop.out), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_fault_37_a_full_disk_leaves_the_old_dataset_whole(shop: Shop):
    old = shop.ingest({"events.csv": HEADER + "e1,c1,p1,view,2024-05-01,1\n"}).manifest
    write_rows(shop.source / "events.csv", 60_000)
    run = start(shop, limit=60_000)
    output, _ = run.communicate(timeout=60)
    assert "OutputFailed" in output
    assert "Nothing was changed" in output
    assert shop.dataset().manifest == old
    assert shop.dataset().events().collect().height == 1
    assert not list(shop.out.glob(".building-*"))


@pytest.mark.chaos
def test_a_kill_at_any_moment_leaves_the_old_dataset_or_the_new(shop: Shop):
    """Killed at five moments, then left to end: a reader never sees anything else."""
    shop.ingest({"events.csv": HEADER + "e1,c1,p1,view,2024-05-01,1\n"})
    write_rows(shop.source / "events.csv", 200_000)
    seen = set()
    for attempt in range(6):
        for rest in shop.out.glob(".building-*"):
            shutil.rmtree(rest)
        if 200_000 in seen:  # a kill came after the swap: the same content again is no work
            break
        run = start(shop)
        wait_for_building(shop)
        killed_at = time.monotonic() + (0.1 * attempt if attempt < 5 else 60)
        while run.poll() is None and time.monotonic() < killed_at:
            seen.add(shop.dataset().events().collect().height)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        seen.add(shop.dataset().events().collect().height)
        assert seen <= {1, 200_000}
    assert seen == {1, 200_000}
    shop.ingest(replace=True)
    assert not list(shop.out.glob(".building-*"))


def wait_for_building(shop: Shop) -> None:
    deadline = time.monotonic() + 30
    while not list(shop.out.glob(".building-*")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_two_at_once_do_not_mix(shop: Shop):
    write_rows(shop.source / "events.csv", 300_000)
    first = start(shop)
    wait_for_building(shop)
    with pytest.raises(SourceRefused, match=r"output\.busy"):
        shop.ingest(replace=True)
    first.communicate(timeout=60)
    assert shop.dataset().events().collect().height == 300_000


def test_memory_does_not_grow_with_the_events(shop: Shop):
    """Four times the events take less than half as much memory again."""
    peaks = []
    for count in (600_000, 2_400_000):
        write_rows(shop.source / "events.csv", count)
        output, _ = start(shop).communicate(timeout=120)
        peaks.append(int(output) / 1024)
        assert (
            json.loads((shop.out / "dataset.json").read_text())["tables"]["events"]["rows"] == count
        )
    assert peaks[1] < 1.5 * peaks[0], peaks
