"""Decisions over HTTP against lists over HTTP: their p99 at one load, how many a second, batches.

The sample seller's 125 offers, with rules, caps and rate cards; every decision is stored with its
record. The p99 is of one worker on a core of its own, against `/recommendations` of the same
process; the rates are of two workers that share two cores with Redis and the load generator.
"""

import os
from functools import partial
from pathlib import Path
from statistics import median

import orjson
from numpy.random import default_rng

from oferta.catalogue.offers import load_catalogue
from oferta.store.connecting import StoreSettings, connect
from oferta_experiments.bench.http import LOAD_CORE, SERVER_CORE, pin_redis, serving
from oferta_experiments.bench.load import Asked, Load, run_load, run_paced
from oferta_experiments.bench.published import publish_scores
from oferta_experiments.bench.rows import Row
from oferta_experiments.bench.seller import write_seller

_RULES = Path(__file__).parents[3] / "serving"
_CUSTOMERS, _BATCH, _BATCHES, _RATE = 20_000, 500, 12, 200
_SECONDS, _ROUNDS = 6, 3
_P99_BAR, _RATE_BAR, _BATCH_BAR = 3.0, 1_000, 3.0


def decision_rows(work: Path) -> list[Row]:
    """The rows of decisions; a machine with one core cannot separate the sides, and says so."""
    if (os.cpu_count() or 1) < 2:  # noqa: PLR2004 - two sides
        return [Row("decisions", "SKIPPED: one core only", "-", None, "-", None)]
    catalogue = load_catalogue(_RULES / "catalogue")
    products = list(dict.fromkeys(p for offer in catalogue.offers for p in offer.products))
    scores = write_seller(work / "scores", products, customers=_CUSTOMERS, rng=default_rng(1))
    with connect(StoreSettings(work)) as store:
        publish_scores(scores, store, work)
        pin_redis(work, [LOAD_CORE])
        offers = len(catalogue.offers)
        with serving(work, "--config", str(_RULES / "serving.toml")) as address:
            rows = _latencies(address, offers)
        pin_redis(work, [SERVER_CORE, LOAD_CORE])
        both = [SERVER_CORE, LOAD_CORE]
        more = ("--config", str(_RULES / "serving.toml"), "--workers", "2")
        with serving(work, *more, cores=both) as address:
            rows += _rates(address, work)
    return rows


def _latencies(address: str, offers: int) -> list[Row]:
    ours: list[Load] = []
    anchor: list[Load] = []
    load = partial(run_paced, seconds=_SECONDS, rate=_RATE, core=LOAD_CORE)
    lists = [Asked(f"/v1/customers/{_name(one)}/recommendations?n=10") for one in range(400)]
    for start in range(_ROUNDS):
        ours.append(load(address, decisions_asked(start)))
        anchor.append(load(address, lists))
    _none_failed([*ours, *anchor])
    ratio = median(one.p99_ms / other.p99_ms for one, other in zip(ours, anchor, strict=True))
    return [
        Row(
            what=f"p99 of a stored decision, {offers} offers, at {_RATE} requests/s",
            ours=f"{median(one.p99_ms for one in ours):.1f} ms",
            anchor=f"list of 10 {median(one.p99_ms for one in anchor):.1f} ms",
            ratio=ratio,
            bar=f"<= {_P99_BAR:.0f}",
            met=ratio <= _P99_BAR,
        )
    ]


def _rates(address: str, work: Path) -> list[Row]:
    single: list[Load] = []
    many: list[Load] = []
    load = partial(run_load, seconds=_SECONDS, cores=[SERVER_CORE, LOAD_CORE], work=work)
    for start in range(_ROUNDS):
        single.append(load(address, decisions_asked(_ROUNDS + start)))
        # One batch at a time is decided by a worker; with six, hardly all are on the same one.
        many.append(load(address, _batches(), connections=6))
    _none_failed([*single, *many])
    rate = median(one.rps for one in single)
    times = median(one.rps * _BATCH / other.rps for one, other in zip(many, single, strict=True))
    return [
        Row(
            what="stored decisions a second, two workers and the load on two cores",
            ours=f"{rate:,.0f}/s",
            anchor="-",
            ratio=None,
            bar=f">= {_RATE_BAR:,}/s",
            met=rate >= _RATE_BAR,
        ),
        Row(
            what=f"{_BATCH} customers in one call, decisions/s against the single call's",
            ours=f"{median(one.rps for one in many) * _BATCH:,.0f} decisions/s",
            anchor=f"single {rate:,.0f}/s",
            ratio=times,
            bar=f">= {_BATCH_BAR:.0f}",
            met=times >= _BATCH_BAR,
        ),
    ]


def decisions_asked(start: int) -> list[Asked]:
    """A decision for each customer, from another one on in every round: caps fill slowly."""
    return [
        Asked(
            "/v1/decisions",
            orjson.dumps(
                {
                    "customer_id": _name(start * 997 + number),
                    "channel": "app",
                    "placements": ["home"],
                }
            ),
        )
        for number in range(_CUSTOMERS)
    ]


def _batches() -> list[Asked]:
    return [
        Asked(
            "/v1/decisions/batch",
            orjson.dumps(
                {
                    "customer_ids": [_name(start * _BATCH + number) for number in range(_BATCH)],
                    "channel": "app",
                    "placements": ["home"],
                }
            ),
        )
        for start in range(_BATCHES)
    ]


def _name(number: int) -> str:
    return f"c{number % _CUSTOMERS:08d}"


def _none_failed(loads: list[Load]) -> None:
    failed = sum(one.failed for one in loads)
    if failed:
        raise RuntimeError(f"{failed} requests failed: the figures would mean nothing")
