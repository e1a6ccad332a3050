"""A customer is forgotten everywhere, whatever is killed when; and told everything before."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from erasing_worlds import ANNA, BELA, SESSION, Seller, seller, write_model
from redis_servers import newest
from release_worlds import write_scores

from oferta.clock import SystemClock
from oferta.events.event import Event, encode_event
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.places import PLACES
from oferta.privacy.receipts import Receipts
from oferta.progress import Silent
from oferta.store.connecting import StoreSettings
from oferta.store.consent_copies import ConsentCopies, brought
from oferta.store.customer_records import open_consents
from oferta.store.forgotten import forgotten_of
from oferta_serving.erasing.export import exported
from oferta_serving.erasing.places import Ground, own_places
from oferta_training.commands.publish import publish_scores
from oferta_training.scores import ScoresFolder

EVERY = int(os.environ.get("OFERTA_CHAOS_ERASURE_STEPS", "2"))
"""Each so-manyth step is killed at; 1: all."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Seller]:
    with seller(tmp_path, newest()) as made:
        yield made


def held(world: Seller, customer_id: str) -> dict[str, int]:
    """How many things each place holds of a customer."""
    said = world.ask(lambda ground: exported(ground, customer_id))
    places = said["held"]
    assert isinstance(places, dict)
    return {name: len(rows) for name, rows in places.items()}


def needles(world: Seller, customer_id: str) -> tuple[bytes, ...]:
    digest = world.space.digest(customer_id)
    return customer_id.encode(), digest.hex().encode(), digest[8:][::-1]


def test_a_customer_is_in_every_place_and_after_the_erasure_in_none(world: Seller):
    before, other = held(world, ANNA), held(world, BELA)
    assert set(before) == set(PLACES), "a place without an export"
    empty = {name for name, count in before.items() if not count}
    assert empty <= {"claims", "pasts"}, "the world of this test lacks them"
    done = world.erase()
    assert done.state == "done", [one for one in done.places if one.state != "clean"]
    assert not any(held(world, ANNA).values())
    assert held(world, BELA) == other, "somebody else lost something"


def test_no_byte_of_the_id_or_of_its_hash_is_left_but_the_tombstone(world: Seller):
    assert len(world.traces(*needles(world, ANNA))) > 8, "this test looks in the wrong places"
    reader = Ledger(ledger_path(world.home))  # as a serving process has it open, always
    world.erase()
    left = world.traces(*needles(world, ANNA))
    reader.close()
    # The ledger, the receipt and a copy in Redis have the tombstone, and nothing has the id.
    redis = [one for one in left if one.startswith("redis/")]
    receipts = [one for one in left if "receipts/" in one]
    assert left == ["privacy/ledger.sqlite", *receipts, *redis]
    digest = world.space.digest(ANNA)
    with world.client() as client:
        of_anna = [key for key in client.keys("*") if key.endswith(b":" + digest.hex().encode())]
        assert of_anna == [world.space.consent(digest)]
        assert open_consents(client.get(of_anna[0]) or b"").erased
    assert world.traces(ANNA.encode(), SESSION.encode()) == []
    assert world.traces(BELA.encode()) != []


def test_the_copy_that_says_erased_is_brought_again_until_they_come_back(world: Seller):
    world.erase()
    key = world.space.consent(world.space.digest(ANNA))
    ledger = Ledger(ledger_path(world.home))

    async def bring(ground: Ground) -> bool:
        return await brought(ConsentCopies(ground.wire, ground.space), ledger, at=1.0)

    with world.client() as client:
        client.delete(key, world.space.consents())
        assert world.ask(bring)
        assert open_consents(client.get(key) or b"").erased
        client.delete(key, world.space.consents())
        erasures = Erasures(ledger_path(world.home))
        assert erasures.let_return(world.space.digest(ANNA).hex(), "new contract", at=1.0)
        erasures.close()
        assert world.ask(bring)
        assert client.get(key) is None
    ledger.close()


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it."""


def steps_of(world: Seller) -> list[str]:
    seen: list[str] = []
    world.erase(on_step=seen.append)
    return seen


def test_killed_at_any_step_it_goes_on_and_ends(world: Seller):
    other = held(world, BELA)
    steps = steps_of(world)
    assert len(steps) == 2 + 2 * len(PLACES) + 2, steps
    killed = range(0, len(steps), EVERY)
    for at in killed:
        count = 0

        def killing(step: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at + 1:
                raise Killed(step)

        customer = f"c{at + 20:07d}"
        assert held(world, customer)["lists"]
        with pytest.raises(Killed):
            world.erase(customer, on_step=killing)
        again = world.resume()
        assert [one.state for one in again] == ["done"], (steps[at], again)
    gone = [f"c{at + 20:07d}".encode() for at in killed]
    assert world.traces(*gone) == []
    assert held(world, BELA)["lists"] == other["lists"]


def test_a_delivery_or_a_release_after_it_does_not_bring_them_back(world: Seller):
    world.erase()
    scores = write_scores(world.home / "scores/model-3", version=3, profiles=True).path
    publish_scores(
        lambda: ScoresFolder.open(scores),
        settings=StoreSettings(world.home, world.server.url),
        override="the same customers but one",
    )
    report = ingest(
        world.home.parent / "source",
        world.home / "datasets/again",
        options=IngestOptions(forgotten=forgotten_of(world.home)),
        clock=SystemClock(),
        progress=Silent(),
    )
    assert report.tables["events"].rejected["erased"] == 2
    assert not any(held(world, ANNA).values())
    assert held(world, BELA)["lists"] == 2


def test_what_a_late_process_wrote_again_goes_with_the_next_run(world: Seller):
    world.erase()
    write_model(world.home / "mlflow-artifacts/models/m-2/artifacts/artefact")
    write_scores(world.home / "scores/model-3", version=3)
    with world.client() as client:
        key = world.space.recent(world.space.digest(ANNA))
        client.set(key, b"written by a consumer that had stood still")
        assert world.resume() == []
        assert client.get(key) is None
    assert not any(held(world, ANNA).values())
    assert held(world, BELA)["models"] == 2


def test_who_comes_back_by_a_new_contract_is_a_customer_anew(world: Seller):
    world.erase()
    said = forgotten_of(world.home)
    assert said is not None
    assert said([ANNA, BELA]) == [ANNA]
    tombstone = world.space.digest(ANNA).hex()
    erasures = Erasures(ledger_path(world.home))
    try:
        assert erasures.let_return(tombstone, "new contract", at=1.0)
        assert not erasures.let_return(tombstone, "again", at=2.0)
    finally:
        erasures.close()
    assert forgotten_of(world.home) is None
    assert not any(held(world, ANNA).values())
    # And may be forgotten again.
    assert world.erase().state == "done"
    assert forgotten_of(world.home) is not None


def test_receipts_name_nobody_and_show_that_none_was_altered(world: Seller):
    for customer in (ANNA, BELA):
        world.erase(customer)
    receipts = Receipts(world.home / "privacy/receipts", world.space.signature)
    first, second = sorted((world.home / "privacy/receipts").iterdir())
    assert receipts.broken() == []
    said = receipts.read(second.name)
    assert said is not None
    assert said["retrain_before"] > said["finished_at"]
    assert {one["place"] for one in said["places"]} == set(PLACES)
    assert ANNA.encode() not in first.read_bytes()
    whole = first.read_bytes()
    first.write_bytes(whole.replace(b'"reason": "asked"', b'"reason": "other"'))
    assert receipts.broken() == [first.name]
    first.unlink()
    assert receipts.broken() == [second.name]


def test_two_who_share_a_bucket_are_both_erased_at_once(world: Seller):
    """The script compares: of two who rewrite one record, neither undoes the other."""
    scores = write_scores(world.home / "scores/many", version=3, customers=400, profiles=True)
    world.publish_scores(scores.path)
    buckets: dict[int, list[str]] = {}
    for at in range(400):
        customer = f"c{at:07d}"
        buckets.setdefault(world.space.tag(world.space.digest(customer)), []).append(customer)
    pairs = [both for both in buckets.values() if len(both) > 1]
    assert len(pairs) > 5

    async def both_at_once(ground: Ground) -> None:
        places = own_places(ground)[:2]
        await asyncio.gather(
            *(
                place.erase(ground.subject(one))
                for pair in pairs
                for one in pair
                for place in places
            )
        )

    async def left(ground: Ground) -> list[bool]:
        lists, profiles = own_places(ground)[:2]
        subjects = [ground.subject(one) for pair in pairs for one in pair]
        return [await place.holds(one) for one in subjects for place in (lists, profiles)]

    world.ask(both_at_once)
    assert not any(world.ask(left))


def test_a_tracking_server_elsewhere_is_left_to_others_and_said(
    world: Seller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    world.erase()
    receipts = Receipts(world.home / "privacy/receipts", world.space.signature)
    (name,) = sorted(path.name for path in (world.home / "privacy/receipts").iterdir())
    said = receipts.read(name)
    assert said is not None
    assert any("MLFLOW_TRACKING_URI" in duty for duty in said["left_to_others"])


def test_while_a_place_cannot_be_reached_it_waits_and_ends_later(world: Seller):
    other = world.home / "datasets/shop"
    lock = (other / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    erasure = world.erase()
    assert erasure.state == "erasing"
    waiting = {one.place: one.trouble for one in erasure.places if one.state == "waiting"}
    assert waiting == {"datasets": "still_there"}
    lock.close()
    (done,) = world.resume()
    assert done.state == "done"


def test_what_was_set_aside_is_written_anew_and_stays_in_its_order(world: Seller):
    """Redis keeps the bytes of a removed entry as long as its neighbours are there."""
    space = world.space
    shard = space.shard(space.digest(ANNA))
    with world.client() as client:
        for at in range(5):
            other = encode_event(Event(f"other-{at}", "view", 1.0, 1.0, f"neighbour-{at}"))
            client.xadd(space.dead(shard), {"e": other, "r": "product"})
        before = client.xrange(space.dead(shard))
        world.erase()
        after = client.xrange(space.dead(shard))
    assert after == [
        (place, fields) for place, fields in before if ANNA.encode() not in fields[b"e"]
    ]
    assert len(after) >= 5
    assert world.traces(ANNA.encode()) == []
