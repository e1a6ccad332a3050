"""Decisions after the last click: what was just bought or declined, and what was wished."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from serving.conftest import RealRedis
from serving.decisions import MANY, ONE, ask, body, made
from serving.worlds import NOON

from oferta.events.event import Event, Position
from oferta.profile.recent import NOTHING_RECENT, applied
from oferta.store.customer_records import seal_recent

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")


@pytest.fixture
def did(redis_process: RealRedis) -> Iterator[Callable[..., None]]:
    """What Anna did lately, in Redis for one test."""
    key = redis_process.space.recent(redis_process.space.digest("anna"))

    def keep(*events: tuple[str, str | None], **attributes: object) -> None:
        stream = [
            (
                Position(round(NOON * 1000), at),
                Event(
                    f"event-{at}",
                    kind,
                    NOON - 60 + at,
                    NOON,
                    customer_id="anna",
                    product_id=product,
                    channel="app",
                    attributes=attributes,
                ),
            )
            for at, (kind, product) in enumerate(events)
        ]
        recent = applied(NOTHING_RECENT, stream, now=NOON)
        with redis_process.client() as redis:
            redis.set(key, seal_recent(recent, at=NOON))

    yield keep
    with redis_process.client() as redis:
        redis.delete(key)


def test_what_was_just_declined_is_not_offered_and_the_receipt_says_so(
    desk: httpx.Client, did: Callable[..., None]
):
    first = ask(desk)
    assert made(first) == ["charger", "car-loan", "warranty"]
    did(("view", "car-loan"), ("decline", "charger"))
    answer = ask(desk, request_id="after")
    assert made(answer)[0] == "car-loan"
    assert "charger" not in made(answer)
    receipt = desk.get(f"{ONE}/{answer['decision_id']}").json()
    codes = {one["offer_id"]: one["code"] for one in receipt["rejected"]}
    assert codes["charger"] == "product.declined"
    assert receipt["events"] == 2
    assert desk.get(f"{ONE}/{first['decision_id']}").json()["events"] == 0
    again = ask(desk, request_id="after")
    assert (again["repeated"], made(again)) == (True, made(answer))


def test_what_was_declined_does_not_show_to_who_asks_for_no_personalisation(
    desk: httpx.Client, did: Callable[..., None]
):
    before = made(ask(desk, personalise=False))
    did(("decline", before[0]) if before else ("decline", "charger"))
    assert made(ask(desk, personalise=False)) == before


def test_the_profile_shows_what_follows_from_what_they_did(
    desk: httpx.Client, did: Callable[..., None]
):
    before = desk.get("/v1/customers/anna/profile").json()["facts"]
    did(("calculator", "car-loan"), ("quote", "car-loan"), wished_amount=7_777.0)
    after = desk.get("/v1/customers/anna/profile").json()["facts"]
    assert after["wished_amount"] == 7_777.0 != before.get("wished_amount")
    assert after["quotes_30d"] == before.get("quotes_30d", 0.0) + 1
    assert after["intent"] > before.get("intent", 0.0)
    assert after["digital"] is True
    assert {name: after[name] for name in ("region", "income")} == {
        name: before[name] for name in ("region", "income")
    }


def test_of_a_batch_each_is_decided_for_by_what_they_did(
    desk: httpx.Client, did: Callable[..., None]
):
    did(("decline", "charger"))
    asked = {name: said for name, said in body().items() if name != "customer_id"}
    rows = desk.post(MANY, json={**asked, "customer_ids": ["anna", "bela"]}).json()["results"]
    anna, bela = (made(row["answer"]) for row in rows)
    assert "charger" not in anna
    assert "charger" in bela
