"""What the API removes before it has answered counts, and who resumes too early is told why."""

import asyncio
import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from erasing_worlds import ANNA, Seller, seller
from redis_servers import newest
from typer.testing import CliRunner

from oferta.clock import SystemClock
from oferta.privacy.erasures import Erasure
from oferta_serving.cli import app
from oferta_serving.erasing.export import as_zip, exported
from oferta_serving.erasing.places import Ground
from oferta_serving.erasing.requests import Erasing

AT_ONCE = 5
"""Places of the store that hold something of hers."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Seller]:
    with seller(tmp_path, newest()) as made:
        yield made


async def request(ground: Ground) -> Erasure:
    """As `DELETE` does, until nothing of hers is left in the store's own places."""
    ground = replace(ground, clock=SystemClock())
    erasing = Erasing(ground)
    made = await erasing.request(ANNA, "letter")
    found = await erasing.of(made.id)
    for _ in range(200):
        await asyncio.sleep(0.05)
        before, found = found, await erasing.of(made.id)
        if found is not None and len(found.places) >= AT_ONCE and found == before:
            break
    await erasing.close()
    assert found is not None
    return found


def test_the_receipt_counts_what_was_removed_at_once(world: Seller) -> None:
    at_once = {place.place: place.erased for place in world.ask(request).places}
    assert {"lists", "profiles", "states", "decisions"} <= set(at_once)
    assert all(at_once.values())
    (done,) = world.resume()
    assert done.state == "done"
    (path,) = (world.home / "privacy" / "receipts").glob("*.json")
    said = {one["place"]: one["erased"] for one in json.loads(path.read_text())["places"]}
    assert all(said[name] >= count for name, count in at_once.items()), said


def test_who_resumes_at_once_is_told_until_when_to_wait(
    world: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.ask(request)
    monkeypatch.setenv("OFERTA_REDIS_URL", world.server.url)
    said = CliRunner().invoke(app, ["erase", "--resume", "--home", str(world.home)])
    assert said.exit_code == 0, said.output
    assert "0 of 1 open erasures are done now." in said.output
    assert f"{made.id} waits until 20" in said.output
    assert "oferta erase --resume" in said.output


def test_instants_of_tables_are_plain_iso_8601(world: Seller) -> None:
    with zipfile.ZipFile(io.BytesIO(as_zip(world.ask(lambda at: exported(at, ANNA))))) as files:
        tables = {name: files.read(name).decode() for name in files.namelist()}
    instant = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
    seen = 0
    for name, table in tables.items():
        if name.endswith(".csv"):
            assert not re.search(r'"""20', table), name
            for row in csv.DictReader(io.StringIO(table)):
                at = row.get("at") or row.get("timestamp")
                if at and at != "never":  # a rejected row's
                    seen += 1
                    assert re.fullmatch(instant, at), (name, at)
    assert {"recent.csv", "datasets.csv", "archive.csv"} <= set(tables)
    assert seen > 3
