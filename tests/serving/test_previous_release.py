"""A row that only the release before still has: its list, by what the live release says of it.

The two releases differ in the order of their products and segments, in what is on offer, and in
what may be had twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.worlds import NOON, World, entry, listed

from oferta.store.release import CustomerRow, Suggestion

PATH = "/v1/customers/anna/recommendations"
BATCH = "/v1/recommendations/batch"

OLDER = World(
    catalogue=(
        entry("car-loan"),
        entry("balloon"),
        entry("casco", category="insurance"),
        entry("gone", category="discontinued"),
        entry("leasing", repeatable=False),
        entry("gap", repeatable=False),
        entry("warranty"),
        entry("course", repeatable=False),
    ),
    popular=listed([6, 0, 5]),
    segments={"closed": listed([0]), "young": listed([3, 6], "popular_in_segment")},
    customers={
        "anna": CustomerRow(
            1,
            (
                Suggestion(3, 0.9, "bought_together", 0),  # the live catalogue lacks it
                Suggestion(1, 0.8, "bought_together", 0),  # hidden in the live release
                Suggestion(2, 0.7, "bought_together", 3),  # because of what is no more
                Suggestion(0, 0.6, "often_follows", 2),
                Suggestion(6, 0.5, "often_follows", 4),  # may be had only once by now
                Suggestion(7, 0.4, "often_follows", 4),  # only once, and she had it not
            ),
            held=(4, 5),
        ),
        "bela": CustomerRow(0, listed([6]), cold=True),
    },
    model="older/1",
    created_at=NOON - 3600,
)

LIVE = World(
    catalogue=(
        entry("fresh", category="new"),
        entry("gap"),  # may be had again by now
        entry("casco", name="Casco plus", category="insurance"),
        entry("leasing", repeatable=False),
        entry("balloon", status="hidden"),
        entry("warranty", repeatable=False),
        entry("car-loan"),
        entry("starter", repeatable=False),
        entry("course", repeatable=False),
    ),
    popular=listed([3, 4, 5, 7, 1, 6, 2, 0]),
    segments={
        "young": listed([0, 3], "popular_in_segment"),
        "old": listed([5], "popular_in_segment"),
    },
    customers={
        "anna": CustomerRow(0, listed([0], "similar_taste"), held=(3,)),
        "bela": CustomerRow(None, listed([0], "similar_taste")),
        "cleo": CustomerRow(None, listed([0], "similar_taste")),
    },
    model="live/2",
)


@contextmanager
def lost(
    redis_process: RealRedis, home: Path, older: World, *, customers: tuple[str, ...] = ("anna",)
) -> Iterator[tuple[httpx.Client, int, int]]:
    """The API over both releases, where the live one has lost these customers' buckets."""
    before, live = redis_process.publish(older), redis_process.publish(LIVE)
    space = redis_process.space
    with serving(make_app(redis_process, home)) as client, redis_process.client() as raw:
        for customer in customers:
            raw.delete(space.bucket(live, 1, space.digest(customer)))
        yield client, before, live


def ids(answer: dict) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def test_the_live_catalogue_decides_what_is_shown_and_how(redis_process: RealRedis, tmp_path: Path):
    with lost(redis_process, tmp_path, OLDER) as (client, before, _):
        answer = client.get(PATH).json()

    assert [(item["product_id"], item["source"]) for item in answer["items"]] == [
        # 'gone' is no more and 'balloon' is hidden. Who has 'warranty' or 'starter' nobody noted.
        ("casco", "personalised"),
        ("car-loan", "personalised"),
        ("course", "personalised"),
        ("fresh", "segment"),  # of the live release's 'young', which stands elsewhere
        ("gap", "popular"),  # held, but may be had again
    ]
    casco, car_loan, *_ = answer["items"]
    assert (casco["name"], casco["score"]) == ("Casco plus", pytest.approx(0.7, abs=1e-3))
    assert casco["reasons"] == [{"code": "bought_together", "text": "Fits what you already have"}]
    assert car_loan["reasons"][0]["because"] == {"product_id": "casco", "name": "Casco plus"}
    assert answer["degraded_reason"] == "previous_release"
    # The list was made then, by that model, and says so.
    assert (answer["release"], answer["model"], answer["age_s"]) == (before, "older/1", 3600)
    assert (answer["served_from"], answer["cold"]) == ("personalised", False)


def test_whether_the_customer_is_cold_is_what_that_release_knew(
    redis_process: RealRedis, tmp_path: Path
):
    with lost(redis_process, tmp_path, OLDER, customers=("bela",)) as (client, _, __):
        answer = client.get("/v1/customers/bela/recommendations").json()

    assert (answer["degraded_reason"], answer["cold"]) == ("previous_release", True)


def test_a_category_of_the_live_release_is_asked_of_a_whole_batch_once(
    redis_process: RealRedis, tmp_path: Path
):
    """One customer's lost row does not refuse the others', nor lets an old category pass."""
    with lost(redis_process, tmp_path, OLDER) as (client, before, live):
        batch = {"customer_ids": ["anna", "cleo"], "category": "new"}
        answers = [r["answer"] for r in client.post(BATCH, json=batch).json()["results"]]
        old = client.get(PATH + "?category=discontinued")
        assert ids(client.get(PATH + "?category=new").json()) == ["fresh"]

    assert [(ids(answer), answer["release"]) for answer in answers] == [
        (["fresh"], before),
        (["fresh"], live),
    ]
    assert (old.status_code, old.json()["code"]) == (422, "category.unknown")


def test_a_release_too_old_to_offer_anything_is_no_release_before(
    redis_process: RealRedis, tmp_path: Path
):
    ancient = replace(OLDER, created_at=NOON - 15 * 24 * 3600)
    with lost(redis_process, tmp_path, ancient) as (client, _, live):
        answer = client.get(PATH).json()

    assert ids(answer) == ["gap", "car-loan", "casco", "fresh"]
    assert (answer["release"], answer["age_s"]) == (live, 0)
    assert (answer["degraded_reason"], answer["cold"]) == ("record_missing", False)
