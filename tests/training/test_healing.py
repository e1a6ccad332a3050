"""An emptied store gets back what was live last, whatever else is away."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from publish_worlds import CLOCK
from redis import Redis
from redis_servers import RedisServer, newest
from release_worlds import SECRET, write_scores

from oferta.store.connecting import Store, StoreSettings, connect
from oferta_training.healing import last_live
from oferta_training.publications import PublicationLog, publication_log_path
from oferta_training.publish import Published, publish
from oferta_training.releases import rollback
from oferta_training.scores import ScoresFolder


class Place:
    """A state folder and a Redis that can be emptied."""

    def __init__(self, home: Path, server: RedisServer) -> None:
        self.home = home
        self.server = server
        self.publications = PublicationLog(publication_log_path(home), CLOCK)

    def connected(self) -> Store:
        return connect(StoreSettings(self.home, self.server.url))

    def scores(self, version: int) -> ScoresFolder:
        return write_scores(
            self.home / "scores" / f"made-{version}", version=version, dataset=f"{version:064d}"
        )

    def publish(self, scores: ScoresFolder) -> Published:
        with self.connected() as store:
            return publish(
                scores, store.writer, store.space, clock=CLOCK, publications=self.publications
            )

    def heal(self) -> ScoresFolder | None:
        return last_live(self.home, self.publications, now=CLOCK.now())

    def empty(self) -> None:
        with Redis(unix_socket_path=str(self.server.socket)) as client:
            client.flushall()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    settings = ("--maxmemory-policy", "noeviction")
    with RedisServer(newest(), tmp_path_factory.mktemp("redis"), *settings) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("OFERTA_KEY_SECRET", SECRET.decode())
    found = Place(tmp_path / "home", server)
    found.empty()
    return found


def test_what_was_published_last_is_found_and_its_number_goes_on_growing(place: Place):
    place.publish(place.scores(1))
    place.publish(place.scores(2))
    place.scores(3)  # scored, and never published
    place.empty()
    found = place.heal()
    assert found is not None
    assert found.model == "model/2"
    done = place.publish(found)
    assert (done.manifest.release, done.previous) == (3, None)
    assert place.publish(place.scores(4)).manifest.release == 4


def test_after_a_rollback_it_is_what_was_gone_back_to(place: Place):
    place.publish(place.scores(1))
    place.publish(place.scores(2))
    with place.connected() as store:
        rollback(
            store.writer, store.space, reason="wrong", clock=CLOCK, publications=place.publications
        )
    place.empty()
    found = place.heal()
    assert found is not None
    assert found.model == "model/1"
    assert place.publish(found).manifest.release == 4, "beyond the rollback's number"


def test_a_publisher_killed_between_its_swap_and_its_log_has_published(place: Place):
    place.publish(place.scores(1))
    place.publish(place.scores(2))
    lines = place.publications.path.read_text().splitlines()
    assert '"published"' in lines[-1]
    place.publications.path.write_text("\n".join(lines[:-1]) + "\n")
    place.publish(place.scores(3))  # finds release 2 live, and puts that on record
    lines = place.publications.path.read_text().splitlines()
    assert '"found live"' in lines[-3]
    place.publications.path.write_text("\n".join(lines[:-2]) + "\n")
    found = place.heal()
    assert found is not None
    assert found.model == "model/2"


def test_altered_or_expired_scores_are_not_what_was_live(place: Place):
    first = place.scores(1)
    place.publish(first)
    late = last_live(place.home, place.publications, now=CLOCK.now() + timedelta(days=15))
    assert late is None
    (first.path / "popular.parquet").write_bytes(b"altered")
    assert place.heal() is None


def test_where_nothing_was_ever_live_there_is_nothing_to_heal(place: Place):
    place.scores(1)
    assert place.heal() is None


def test_neither_the_tracker_nor_a_model_is_imported():
    """MLflow takes five seconds to import, and may be what is broken."""
    program = (
        "import sys, oferta_training.healing, oferta_training.publish, json\n"
        "print(json.dumps(sorted({'mlflow', 'implicit', 'lightgbm'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
