"""The loop as a timer runs it: real commands, real failures, the live release left alone."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis
from redis_servers import RedisServer, newest
from shop import write_shop

from oferta.events.archive import archive_files
from oferta.events.event import Event, encode_event
from oferta.store.connecting import StoreSettings, connect
from oferta.store.events import Arrival, Fate
from oferta.store.events_redis import RedisEvents
from oferta_training.releases import live_manifest

JOB = """
name = "shop"
[evaluation]
split = "time:31d"
k = [3]
metric = "ndcg@3"
[embedding.settings]
factors = 4
[models.popularity]
"""
REFUSED = JOB + "[gate.cost]\nfit_s = 1e-9\n"
IMPOSSIBLE = JOB.replace("time:31d", "column:nothing")
LIVE = Event("live-0001", "view", 1.7509e9, 1.7509e9, "c001", product_id="car-3")


@dataclass
class Seller:
    """A folder of files, a state folder, a Redis that can be emptied and stopped."""

    folder: Path
    server: RedisServer
    state: str = "home"

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "oferta", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "OFERTA_HOME": str(self.home),
                "OFERTA_REDIS_URL": self.server.url,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, status: int = 0, **environment: str) -> str:
        done = self.start(*words, **environment)
        out, err = done.communicate(timeout=120)
        assert done.returncode == status, err + out
        assert "Traceback" not in err, err
        return out + err

    def nightly(self, job: str = JOB, *words: str, status: int = 0, **environment: str) -> str:
        (self.folder / "job.toml").write_text(job)
        return self.run("nightly", "nightly.toml", *words, status=status, **environment)

    @property
    def home(self) -> Path:
        return self.folder / self.state

    def release(self) -> int | None:
        listed = json.loads(self.run("releases", "--json"))
        return next((row["release"] for row in listed if row["state"] == "live"), None)

    def steps(self) -> dict[str, str]:
        state = json.loads((self.home / "nightly" / "state.json").read_text())
        return {one["step"]: one["outcome"] for one in state["steps"]}

    def datasets(self) -> list[str]:
        return sorted(path.name for path in (self.home / "datasets").glob("nightly-*"))


@pytest.fixture(scope="module")
def seller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seller]:
    """One night is behind it."""
    folder = tmp_path_factory.mktemp("seller")
    write_shop(folder / "files")
    (folder / "nightly.toml").write_text('source = "files"\njob = "job.toml"\nkeep = 2\n')
    with RedisServer(newest(), folder, "--maxmemory-policy", "noeviction") as server:
        found = Seller(folder, server)
        planned = found.nightly(JOB, "--dry-run")
        assert [line.split()[1] for line in planned.splitlines() if line[0] != "#"] == [
            *("ingest", "train", "publish", "monitor")
        ]
        assert not (found.home / "nightly").exists()
        consume(found, LIVE)
        found.nightly()
        yield found


def consume(seller: Seller, event: Event) -> None:
    """Accept an event, and let `oferta consume` apply and archive it."""
    (seller.folder / "serving.toml").write_text("[events]\narchive_s = 0.1\n")
    with connect(StoreSettings(seller.home, seller.server.url)) as store:
        arrival = Arrival(store.space.digest("c001"), event.id, b"0" * 24, encode_event(event))

        async def accept() -> None:
            events = RedisEvents(seller.server.url, store.space)
            assert await events.accept([arrival]) == [Fate.ACCEPTED]
            await events.close()

        asyncio.run(accept())
    consumer = seller.start("consume", "--config", "serving.toml")
    try:
        deadline = time.monotonic() + 60
        while not archive_files(seller.home / "archive"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        consumer.terminate()
        consumer.communicate(timeout=30)


def test_a_night_makes_what_was_done_live_and_says_what_it_did(seller: Seller):
    assert seller.release() is not None
    page = (seller.home / "nightly" / "report.html").read_text()
    assert "The new release is live." in page
    assert (seller.home / "monitoring" / "report.html").exists()
    assert "oferta_published_release" in (seller.home / "monitoring" / "metrics.prom").read_text()
    (dataset, *_) = seller.datasets()
    manifest = json.loads((seller.home / "datasets" / dataset / "dataset.json").read_text())
    assert manifest["archive"]["events"] == 1
    assert len([place for place in manifest["covered"] if place != "0-0"]) == 1
    with connect(StoreSettings(seller.home, seller.server.url)) as store:
        live = live_manifest(store.writer, store.space)
    assert live is not None
    assert list(live.covered) == manifest["covered"], "answers know which events it knows of"


@pytest.mark.parametrize(
    ("job", "status", "steps"),
    [
        (IMPOSSIBLE, 11, {"ingest": "done", "train": "failed"}),
        (REFUSED, 12, {"ingest": "done", "train": "done", "gate": "refused"}),
    ],
)
def test_a_night_without_a_better_model_leaves_the_live_release_alone(
    seller: Seller, job: str, status: int, steps: dict[str, str]
):
    before = seller.release()
    said = seller.nightly(job, "--fresh", status=status)
    assert seller.steps() == steps
    assert seller.release() == before
    assert "left alone" in (seller.home / "nightly" / "report.html").read_text()
    assert list(steps)[-1] in said


def test_a_tenants_night_works_in_the_tenants_folder(seller: Seller):
    before = seller.steps(), seller.datasets()
    seller.nightly(IMPOSSIBLE, status=11, OFERTA_TENANT="dealer")
    own = replace(seller, state="home/tenants/dealer")
    assert own.steps() == {"ingest": "done", "train": "failed"}
    assert len(own.datasets()) == 1
    assert (seller.steps(), seller.datasets()) == before


def test_data_that_cannot_be_taken_end_the_night_at_once(seller: Seller):
    """Half an export: the night before has twice as many customers."""
    before = seller.release()
    customers = seller.folder / "files" / "customers.csv"
    whole = customers.read_text()
    lines = whole.splitlines(keepends=True)
    customers.write_text("".join(lines[: len(lines) // 2]))
    try:
        said = seller.nightly(JOB, "--fresh", status=10)
    finally:
        customers.write_text(whole)
    assert seller.steps() == {"ingest": "failed"}
    assert "ingest" in said
    assert seller.release() == before


def test_what_is_kept_of_a_refused_delivery_names_no_customer(seller: Seller):
    events = seller.folder / "files" / "events.csv"
    whole = events.read_text()
    events.write_text(whole + "c089,car-1,view,no time at all\n" * 200)
    try:
        seller.nightly(JOB, "--fresh", status=10)
    finally:
        events.write_text(whole)
    for kept in (seller.home / "nightly").rglob("*"):
        assert kept.is_dir() or "c089" not in kept.read_text(), kept
    assert "time.unparsable" in (seller.home / "nightly" / "report.html").read_text()


def test_a_page_that_cannot_be_written_is_told_and_the_release_is_live(seller: Seller):
    page = seller.home / "monitoring"
    shutil.rmtree(page)
    page.write_text("in the way")
    try:
        said = seller.run("monitor", status=1)
        assert "report.html" in said
    finally:
        page.unlink()
    seller.run("monitor")


def test_a_killed_night_leaves_the_lock_to_its_step_and_the_next_one_goes_on(seller: Seller):
    """Two publishes of two nights would be a race that nobody asked for."""
    (seller.folder / "job.toml").write_text(JOB)
    before = seller.release()
    night = seller.start("nightly", "nightly.toml", "--fresh")
    assert night.stderr is not None
    for line in night.stderr:
        if "train: begins" in line:
            break
    time.sleep(0.3)
    night.send_signal(signal.SIGKILL)
    night.wait()
    assert "another nightly run" in seller.nightly(status=15)
    deadline = time.monotonic() + 60
    while "another nightly run" in (said := _tried(seller)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "ingest: done already" in said
    assert seller.steps()["publish"] == "failed", "there was no Redis"
    assert seller.release() == before
    said = seller.nightly()
    assert "train: done already" in said
    assert set(seller.steps().values()) == {"done"}
    assert before is not None
    assert (seller.release() or 0) > before
    assert len(seller.datasets()) <= 3, "the newest two, and the champion's"
    night.communicate()


def _tried(seller: Seller) -> str:
    tried = seller.start("nightly", "nightly.toml", OFERTA_REDIS_URL="redis://127.0.0.1:9/0")
    out, err = tried.communicate(timeout=120)
    return out + err


def test_an_emptied_redis_gets_its_release_back_without_tracker_data_or_training(seller: Seller):
    before = seller.release()
    assert before is not None
    with Redis(unix_socket_path=str(seller.server.socket)) as client:
        client.flushall()
    assert seller.release() is None
    moved = seller.folder / "moved"
    (seller.home / "datasets").rename(moved)
    try:
        seller.run("publish", "--if-missing", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
        assert (seller.release() or 0) > before
        said = seller.run("publish", "--if-missing", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
        assert "live already" in said
    finally:
        moved.rename(seller.home / "datasets")


def test_wrong_settings_are_named_all_at_once(seller: Seller):
    (seller.folder / "wrong.toml").write_text('source = "nowhere"\nkep = 3\nresume_h = -1\n')
    said = seller.run("nightly", "wrong.toml", status=2)
    assert "2 problem(s)" in said
    assert "keep" in said
    assert "resume_h" in said
