"""How often a key may ask: for all workers together, and by itself where Redis is gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving.callers import Hands, make_key
from serving.conftest import CLOCK, RealRedis, serving
from serving.refusals import BATCH, RECOMMENDATIONS, refused
from serving.worlds import SECRET, shop

from oferta.store.key_secret import SECRET_VARIABLE
from oferta.store.rates import RedisRates
from oferta.store.wire import Wire
from oferta_serving.access.rates import BLIND_S, CLOSE, Rates, RateSettings
from oferta_serving.principal import LOCAL, NOBODY, Principal
from oferta_serving.problems import RequestRefused
from oferta_serving.server import AppFactory
from oferta_serving.settings import ServingSettings

APP = Principal("app", "default", frozenset(("serve",)))
OTHER = Principal("other", "default", frozenset(("serve",)))
NAMESAKE = Principal("app", "dealer", frozenset(("serve",)))

NOWHERE = "unix:///no/such/redis.sock"


@pytest.fixture
def fresh(redis_process: RealRedis) -> RealRedis:
    with redis_process.client() as redis:
        for key in redis.scan_iter("*:u}:*"):
            redis.delete(key)
    return redis_process


def rates_of(
    redis: RealRedis,
    *,
    url: str | None = None,
    workers: int = 1,
    seconds: Callable[[], float] = time.monotonic,
    **limits: float,
) -> Rates:
    store = RedisRates(Wire(url or redis.url, deadline_s=1.0), redis.space)
    return Rates(
        store, RateSettings.model_validate(limits), CLOCK, workers=workers, seconds=seconds
    )


async def refusal_of(asked: Awaitable[None]) -> tuple[str, int] | None:
    """Code and Retry-After of the refusal; None: it was not refused."""
    try:
        await asked
    except RequestRefused as refusal:
        return refusal.code, int(dict(refusal.headers)[b"retry-after"])
    return None


async def taken(rates: Rates, principal: Principal, most: int, cost: int = 1) -> int:
    """How many requests got through, of `most`."""
    refusals = [await refusal_of(rates.take(principal, cost)) for _ in range(most)]
    for refusal in refusals:
        assert refusal is None or (refusal[0] == "rate.exceeded" and refusal[1] >= 1)
    return refusals.count(None)


def test_two_workers_grant_a_key_s_burst_once_between_them(fresh: RealRedis):
    async def run() -> tuple[int, int, int]:
        one, two = (rates_of(fresh, workers=2, per_s=0.5, burst=100) for _ in range(2))
        counts = [await taken(rates, APP, 150) for rates in (one, two)]
        others = [await taken(one, who, 100) for who in (OTHER, NAMESAKE)]
        await one.close()
        await two.close()
        return (sum(counts), *others)

    # A tenth of a second of refilling, at most, beside the burst; others have their own.
    assert asyncio.run(run()) == (100, 100, 100)


def test_a_batch_costs_its_rows_and_what_it_is_refused_does_not_starve_single_requests(
    fresh: RealRedis,
):
    async def run() -> None:
        rates = rates_of(fresh, per_s=0.5, burst=100)
        await rates.asked_for(APP, [f"c{n}" for n in range(61)])
        with pytest.raises(RequestRefused, match=r"rate\.exceeded"):
            await rates.asked_for(APP, [f"c{n}" for n in range(61)])
        assert await taken(rates, APP, 50) == 40
        await rates.close()

    asyncio.run(run())


def test_without_redis_a_worker_grants_half_of_its_share_by_itself(
    redis_process: RealRedis, hands: Hands
):
    async def run() -> None:
        rates = rates_of(redis_process, url=NOWHERE, workers=2, per_s=100, burst=80, seconds=hands)
        share = CLOSE / 2
        assert await taken(rates, APP, 100) == 80 * share
        hands.at = 0.5
        assert await taken(rates, APP, 100) in {12, 13}  # half a second of a quarter of the rate
        await rates.close()

    asyncio.run(run())


def test_a_redis_that_is_back_is_asked_again(fresh: RealRedis, hands: Hands):
    async def run() -> None:
        rates = rates_of(fresh, url=NOWHERE, per_s=0.001, burst=100, seconds=hands)
        assert await taken(rates, APP, 100) == 50
        rates._store = RedisRates(Wire(fresh.url, deadline_s=1.0), fresh.space)
        assert await taken(rates, APP, 10) == 0
        hands.at = 1e5
        assert hands.at > BLIND_S
        assert await taken(rates, APP, 200) >= 100
        await rates.close()

    asyncio.run(run())


def test_who_needs_no_key_has_no_limit(fresh: RealRedis):
    async def run() -> None:
        rates = rates_of(fresh, url=NOWHERE, per_s=1, burst=1)
        for who in (LOCAL, NOBODY):
            assert await taken(rates, who, 50) == 50
        await rates.close()

    asyncio.run(run())


def test_a_key_that_scrapes_runs_out_of_customers_for_the_day(fresh: RealRedis):
    """API6: over two workers, each of which sees half of it; who was asked for stays."""

    async def run() -> None:
        workers = [rates_of(fresh, workers=2, customers_per_day=400) for _ in range(2)]
        served = 0
        for at in range(2000):
            refusal = await refusal_of(workers[at % 2].asked_for(APP, (f"customer-{at}",)))
            assert refusal is None or refusal[0] == "rate.customers"
            assert refusal is None or 0 < refusal[1] <= 86_401
            served += refusal is None
            await asyncio.sleep(0.0005)
        assert 360 <= served <= 480
        await workers[0].asked_for(APP, ("customer-0",))
        await workers[0].asked_for(OTHER, ("customer-1999",))
        for each in workers:
            await each.close()

    asyncio.run(run())


def test_what_a_limit_costs_a_request(fresh: RealRedis):
    """Less than 50 us a request, the trips to Redis included; about 2 us here."""

    async def run() -> float:
        rates = rates_of(fresh, per_s=1e6, burst=1_000_000)
        await rates.take(APP)
        started = time.process_time()
        for _ in range(20_000):
            await rates.take(APP)
        spent = time.process_time() - started
        await rates.close()
        return spent / 20_000

    assert asyncio.run(run()) < 50e-6


@pytest.fixture
def limited(
    fresh: RealRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[httpx.Client, str, str]]:
    """The API with tight limits, and two keys."""
    fresh.publish(shop())
    keys = [make_key(tmp_path, name, "serve", "consent") for name in ("greedy", "modest")]
    limits = {"per_s": 5, "burst": 60, "customers_per_day": 40}
    monkeypatch.setenv(SECRET_VARIABLE, SECRET.decode())
    settings = ServingSettings.model_validate({"rate": limits})
    with serving(AppFactory(settings, fresh.url, tmp_path, clock=CLOCK)()) as client:
        yield client, *keys


def test_fault_63_one_key_s_flood_is_turned_away_and_costs_others_nothing(
    limited: tuple[httpx.Client, str, str],
):
    client, greedy, modest = limited

    def flood(_: int) -> int:
        return client.get("/v1/popular", headers={"X-API-Key": greedy}).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        flooding = pool.map(flood, range(400))
        for at in range(30):
            answer = client.get(
                f"/v1/customers/c{at}/recommendations", headers={"X-API-Key": modest}
            )
            assert answer.status_code == 200
        codes = list(flooding)
    assert set(codes) == {200, 429}
    assert 60 <= codes.count(200) <= 61 + 5 * (time.monotonic() - started)

    def turned_away(path: str) -> httpx.Response:
        answers = (client.get(path, headers={"X-API-Key": greedy}) for _ in range(100))
        return next(one for one in answers if one.status_code == 429)  # five a second pass

    again = turned_away(RECOMMENDATIONS)
    refused(again, 429, "rate.exceeded")
    assert int(again.headers["retry-after"]) >= 1
    assert client.get("/health/ready").status_code == 200
    word = {"purpose": "personalisation", "state": "out", "source": "app"}
    opted_out = client.put("/v1/customers/anna/consent", json=word, headers={"X-API-Key": greedy})
    assert opted_out.status_code == 200
    for path in ("/v1/nothing/consent", "/v1/customers/anna/consent"):  # what only looks like it
        refused(turned_away(path), 429, "rate.exceeded")


def test_fault_63_a_batch_is_counted_by_its_rows(limited: tuple[httpx.Client, str, str]):
    client, greedy, _ = limited
    body = {"customer_ids": [f"c{n}" for n in range(50)]}
    refused(client.post(BATCH, json=body, headers={"X-API-Key": greedy}), 429, "rate.customers")
    body = {"customer_ids": [f"c{n}" for n in range(70)]}
    refused(client.post(BATCH, json=body, headers={"X-API-Key": greedy}), 429, "rate.exceeded")
