"""Erasure and export over HTTP: in force with the next answer, on disk before it is answered."""

import io
import sqlite3
import time
import zipfile
from collections.abc import Iterator

import httpx
import polars as pl
import pytest
from erasing_worlds import ANNA, BELA, Seller, seller
from redis_servers import newest
from serving.conftest import serving

from oferta.clock import SystemClock
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.store.consent_copies import ConsentCopies
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.events_redis import RedisEvents
from oferta.store.redis import RedisReader
from oferta.store.wire import Wire
from oferta_serving.app import create_app
from oferta_serving.erasing.places import Ground
from oferta_serving.ports import TenantPorts
from oferta_serving.settings import ServingSettings

EVENT = {"event_id": "after-all-1", "type": "view", "product_id": "p001"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seller]:
    with seller(tmp_path_factory.mktemp("seller"), newest()) as made:
        yield made


@pytest.fixture(scope="module")
def api(world: Seller) -> Iterator[httpx.Client]:
    url, space = world.server.url, world.space
    wire, reader = Wire(url, deadline_s=5.0), RedisReader(url, space, deadline_s=5.0)
    copying = Wire(url, deadline_s=5.0)

    async def close() -> None:
        for each in (wire, reader, copying):
            await each.close()

    ports = TenantPorts(
        reader,
        space,
        world.home,
        decisions=RedisDecisions(url, space, deadline_s=5.0),
        events=RedisEvents(url, space, deadline_s=5.0),
        copies=ConsentCopies(copying, space),
        ground=Ground(world.home, space, wire, reader, SystemClock()),
        on_stop=close,
    )
    with serving(create_app(ServingSettings(), ports)) as client:
        yield client


def listed(api: httpx.Client, customer: str) -> dict[str, object]:
    answer = api.get(f"/v1/customers/{customer}/recommendations?n=4").json()
    return {name: answer[name] for name in ("items", "personalised")}


def test_an_export_has_every_place_and_is_nobody_elses(api: httpx.Client):
    said = api.get(f"/v1/customers/{ANNA}/export").json()
    assert said["customer_id"] == ANNA
    assert len(said["held"]["lists"]) == 2
    assert {row["proof"] for row in said["held"]["consents"]} == {f"call of {ANNA}"}
    assert said["held"]["profiles"][0]["evidence"]["customer"] == 17
    assert set(said["places"]) == set(said["held"])
    assert BELA not in api.get(f"/v1/customers/{ANNA}/export").text


def test_tables_run_nothing_in_a_spreadsheet(api: httpx.Client, world: Seller):
    from oferta.privacy.word import Word  # noqa: PLC0415

    risky = "=HYPERLINK(1)"
    ledger = Ledger(ledger_path(world.home))
    word = Word(risky, "marketing", "in", "@source", proof="+1")
    ledger.append([word], received_at=SystemClock().now())
    ledger.close()
    answer = api.get("/v1/customers/%3DHYPERLINK(1)/export?format=csv")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as tables:
        assert tables.namelist() == ["about.json", "consents.csv"]
        consents = pl.read_csv(tables.read("consents.csv"))
    assert consents["source"].to_list() == ["'@source"]
    assert consents["proof"].cast(pl.String).to_list() == ["'+1"]


def test_the_next_answer_after_202_is_a_strangers_and_stays_so(api: httpx.Client, world: Seller):
    everybody = listed(api, "somebody-unknown")
    assert listed(api, ANNA)["items"] != everybody["items"]
    answer = api.delete(f"/v1/customers/{ANNA}?reason=letter%20of%20today")
    assert answer.status_code == 202, answer.text
    assert listed(api, ANNA)["items"] == everybody["items"]
    erasure = answer.json()["erasure_id"]
    again = api.delete(f"/v1/customers/{ANNA}").json()
    assert again["erasure_id"] == erasure

    own = world.space.digest(ANNA).hex().encode()
    deadline = time.monotonic() + 10
    with world.client() as client:
        while any(own in key and b":g:" not in key for key in client.keys("*")):
            assert time.monotonic() < deadline, "what hangs on the hash alone did not go at once"
            time.sleep(0.05)

    refused = api.post("/v1/events", json={**EVENT, "customer_id": ANNA})
    assert "customer.erased" in refused.text
    word = {"purpose": "marketing", "state": "in", "source": "app"}
    assert api.put(f"/v1/customers/{ANNA}/consent", json=word).status_code == 410

    assert api.get(f"/v1/erasures/{erasure}").json()["state"] != "done"
    (done,) = world.resume()
    assert done.state == "done", done.places
    told = api.get(f"/v1/erasures/{erasure}").json()
    assert told["state"] == "done"
    assert told["receipt"]["reason"] == "letter of today"
    assert {one["state"] for one in told["places"]} == {"clean"}
    assert told["receipt"]["tombstone"] == world.space.digest(ANNA).hex()
    assert listed(api, ANNA)["items"] == everybody["items"]
    assert not any(api.get(f"/v1/customers/{ANNA}/export").json()["held"].values())
    assert listed(api, BELA)["items"] != everybody["items"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/erasures/er_000000000000000000000000", "erasure.unknown"),
        ("GET", "/v1/erasures/x", "erasure.unknown"),
        ("GET", "/v1/customers/c/export?format=xml", "format.unknown"),
        ("DELETE", "/v1/customers/c?reason=", "reason.invalid"),
        ("DELETE", "/v1/customers/c?because=x", "parameter.unknown"),
        ("DELETE", "/v1/customers/%00", "id.control"),
    ],
)
def test_what_is_wrong_is_named(api: httpx.Client, method: str, path: str, code: str):
    assert api.request(method, path).json()["code"] == code


def test_nothing_is_promised_that_is_not_on_disk(api: httpx.Client, world: Seller):
    holder = sqlite3.connect(ledger_path(world.home), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert api.delete("/v1/customers/c0000040").json()["code"] == "erasure.not_stored"
    finally:
        holder.close()
    assert api.delete("/v1/customers/c0000040").status_code == 202
