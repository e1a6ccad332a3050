"""What may be had once is never offered to somebody who may have it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from serving.conftest import RealRedis, make_app, serving
from serving.worlds import World, shop

PATH = "/v1/customers/anna/recommendations"
ONCE_ONLY = {"gap", "leasing"}


@contextmanager
def hung(
    redis_process: RealRedis, home: Path, world: World, **settings: object
) -> Iterator[httpx.Client]:
    """The API over a release whose rows cannot be read any more."""
    redis_process.publish(world)
    with serving(make_app(redis_process, home, **settings)) as client:
        redis_process.signal(signal.SIGSTOP)
        try:
            yield client
        finally:
            redis_process.signal(signal.SIGCONT)


def ids(answer: dict) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def only_once() -> World:
    """A shop of which nothing may be had twice."""
    catalogue = tuple(replace(entry, repeatable=False) for entry in shop().catalogue)
    return replace(shop(), catalogue=catalogue)


def test_who_cannot_be_looked_up_is_offered_repeatable_products_only(
    redis_process: RealRedis, tmp_path: Path
):
    """anna holds both products that may be had once; nobody can know it now."""
    with hung(redis_process, tmp_path, shop()) as client:
        answer = client.get(PATH + "?n=100").json()
        pages = [client.get(f"{PATH}?n=2&offset={at}").json() for at in (0, 2, 4, 6)]
        everybodys = client.get("/v1/popular?n=100").json()
        stranger = client.get("/v1/customers/nobody/recommendations").json()

    assert answer["degraded_reason"] == "store_unavailable"
    assert len(ids(answer)) == 6
    assert not ONCE_ONLY & {*ids(answer), *ids(stranger)}
    assert [one for page in pages for one in ids(page)] == ids(answer)  # pages still tile it
    assert set(ids(everybodys)) >= ONCE_ONLY  # a list for nobody in particular


def test_a_stranger_may_be_offered_everything(redis_process: RealRedis, tmp_path: Path):
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path)) as client:
        stranger = client.get("/v1/customers/nobody/recommendations").json()

    assert set(ids(stranger)) >= ONCE_ONLY
    assert (stranger["cold"], stranger["degraded"]) == (True, False)


def test_where_everything_may_be_had_once_a_seller_who_hides_it_gets_an_honest_empty_list(
    redis_process: RealRedis, tmp_path: Path
):
    hide = {"fallback": {"once_only": "hide"}}
    with hung(redis_process, tmp_path, only_once(), **hide) as client:
        answer = client.get(PATH)

    assert answer.status_code == 200
    assert (answer.json()["items"], answer.json()["served_from"]) == ([], "none")
    assert answer.json()["degraded_reason"] == "store_unavailable"


def test_where_everything_may_be_had_once_an_app_is_never_empty(
    redis_process: RealRedis, tmp_path: Path
):
    with hung(redis_process, tmp_path, only_once()) as client:
        answer = client.get(PATH + "?n=3").json()

    assert ids(answer) == ["car-loan", "casco", "warranty"]
    assert (answer["degraded"], answer["served_from"]) == (True, "popular")


def test_a_shop_that_minds_less_may_say_so(redis_process: RealRedis, tmp_path: Path):
    show = {"fallback": {"once_only": "show"}}
    with hung(redis_process, tmp_path, only_once(), **show) as client:
        answer = client.get(PATH + "?n=3").json()

    assert ids(answer) == ["car-loan", "casco", "warranty"]
    assert answer["degraded_reason"] == "store_unavailable"
