"""The loop as a user types it: every command a process of its own, an embedded Redis."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shop import LONELY, write_shop

JOB = """
name = "shop"
[segments]
by = ["kind"]
min_customers = 10
[policy]
repeatable = false
[evaluation]
split = "time:31d"
k = [3]
metric = "ndcg@3"
[embedding.settings]
factors = 8
[models.popularity]
by_segment = false
[models.ease]
l2 = 5.0
"""


@dataclass(frozen=True)
class Seller:
    """Somebody with a folder of files and the command `oferta`."""

    folder: Path

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "oferta", *words],
            cwd=self.folder,
            env={**os.environ, "OFERTA_HOME": str(self.folder / ".oferta"), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stderr + done.stdout
        assert "Warning" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def seller(tmp_path_factory: pytest.TempPathFactory) -> Seller:
    folder = tmp_path_factory.mktemp("seller")
    write_shop(folder / "files")
    (folder / "job.toml").write_text(JOB)
    return Seller(folder)


@dataclass(frozen=True)
class Api:
    """The served API, asked by plain HTTP."""

    address: str

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=5) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found


@pytest.fixture(scope="module")
def api(seller: Seller) -> Iterator[Api]:
    """Ingest, train, publish; then serve until the tests are through."""
    seller.run("ingest", "files", "--out", "data")
    seller.run("train", "data", "--job", "job.toml")
    seller.run("publish")
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "oferta", "serve", "--port", str(port)],
        cwd=seller.folder,
        env={**os.environ, "OFERTA_HOME": str(seller.folder / ".oferta")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = Api(f"http://127.0.0.1:{port}")
    try:
        _until_ready(found)
        yield found
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_a_known_customer_gets_products_of_their_kind_with_names_and_reasons(api: Api) -> None:
    answer = api.get("/v1/customers/h001/recommendations?n=2")
    assert [item["rank"] for item in answer["items"]] == [1, 2]
    assert answer["items"][0]["product_id"].startswith("home-")
    assert answer["items"][0]["name"].startswith("Home ")
    assert answer["items"][0]["reasons"][0]["text"].startswith("Often bought together with")
    assert answer["served_from"] == "personalised"
    assert (answer["release"], answer["model"], answer["cold"]) == (1, "shop/1", False)


def test_a_customer_without_a_past_gets_the_segments_list(api: Api) -> None:
    answer = api.get(f"/v1/customers/{LONELY}/recommendations?n=3")
    assert answer["items"][0]["reasons"][0]["code"] == "popular_in_segment"
    assert answer["served_from"] == "segment"


def test_a_stranger_is_answered_too_and_flagged_cold(api: Api) -> None:
    answer = api.get("/v1/customers/a-stranger/recommendations?n=3")
    assert (len(answer["items"]), answer["cold"], answer["served_from"]) == (3, True, "popular")


def test_what_policy_excludes_is_in_no_answer(api: Api) -> None:
    """Hidden and ended products, and what the customer has, are nowhere, however far one pages."""
    listed = {
        item["product_id"]
        for customer in ("c001", "h001", LONELY, "a-stranger")
        for item in api.get(f"/v1/customers/{customer}/recommendations?n=100")["items"]
    }
    assert not listed & {"car-0", "home-0"}
    mine = api.get("/v1/customers/c001/recommendations?n=100")["items"]
    assert "account" not in {item["product_id"] for item in mine}


def test_the_terminal_shows_what_the_api_answers(seller: Seller, api: Api) -> None:
    shown = json.loads(seller.run("recommend", "c001", "-n", "2", "--json"))
    served = api.get("/v1/customers/c001/recommendations?n=2")
    assert [item["product_id"] for item in shown["items"]] == [
        item["product_id"] for item in served["items"]
    ]


def test_a_second_release_replaces_the_first_while_serving_and_rollback_brings_it_back(
    seller: Seller, api: Api
) -> None:
    assert api.get("/v1/popular?n=1")["release"] == 1
    seller.run("publish")
    _until(lambda: api.get("/v1/popular?n=1")["release"] == 2)
    began = time.monotonic()
    seller.run("rollback", "--reason", "a test")
    _until(lambda: api.get("/v1/popular?n=1")["release"] == 1)
    assert time.monotonic() - began < 10  # the swap takes milliseconds; start-up is the rest
    states = {row["release"]: row["state"] for row in json.loads(seller.run("releases", "--json"))}
    assert states[1] == "live"


def test_scores_are_exported_for_everybody(seller: Seller, api: Api) -> None:
    del api
    seller.run("export", "--out", "lists.csv", "--top", "1")
    assert len((seller.folder / "lists.csv").read_text().splitlines()) == 142


def test_evaluate_takes_a_plain_folder_and_prints_json(seller: Seller) -> None:
    out = seller.run(
        *("evaluate", "files", "--split", "time:31d", "--models", "popularity,ease", "--k", "3"),
        *("--set", "ease.l2=5", "--json", "-"),
    )
    document = json.loads(out)
    assert [result["model"] for result in document["results"]] == ["ease", "popularity"]
    assert document["protocol"]["split"] == "time:31d"
    assert {"mean", "low", "high"} == set(document["results"][0]["metrics"]["ndcg@3"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "nowhere"), "nowhere"),
        (("evaluate", "files", "--models", "eaze"), "Did you mean 'ease'?"),
        (("evaluate", "files", "--split", "column:nothing"), "nothing"),
        (("publish", "--model", "unheard-of"), "unheard-of"),
        (("train", "files", "--job", "missing.toml"), "missing.toml: "),
        (("recommend", "a\tb"), "id.control"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(
    seller: Seller, words: Sequence[str], said: str
) -> None:
    assert said in seller.run(*words, status=1 if words[0] == "publish" else 2)


def _until_ready(api: Api) -> None:
    def ready() -> bool:
        try:
            return bool(api.get("/health/ready")["status"] == "ready")
        except (urllib.error.URLError, ConnectionError):
            return False

    _until(ready)


def _until(done: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
