"""Who refused training, by the ledger or by the source, is in no matrix, and gets lists."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from shop import START, write_shop
from trained_shop import JOB, NOW

from oferta.clock import FixedClock
from oferta.errors import LedgerUnavailable, RefusersLearnedFrom, RegistryError, SettingsInvalid
from oferta.events.dataset import Dataset, open_dataset
from oferta.models.saved import load
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.word import Refusals, Snapshot, Word
from oferta.progress import Silent
from oferta.settings import parse
from oferta.store import codec
from oferta.store.codec import Stamp
from oferta.store.keys import KeySpace, places, rest
from oferta.store.release import CustomerRow
from oferta_training import registry, tracking
from oferta_training.job import Job
from oferta_training.past import PastDataset
from oferta_training.refused import refusers
from oferta_training.release_build import build
from oferta_training.score import score
from oferta_training.scores import ScoresFolder
from oferta_training.train import Trained, train

LATE = datetime(2025, 6, 30, tzinfo=UTC)
SAID = [
    ("c000", "training", "out", LATE),
    ("c001", "training", "out", LATE - timedelta(days=9)),
    ("c001", "training", "in", LATE),
    ("c002", "training", "in", LATE),
    ("c002", "training", "out", LATE),  # at one instant the no
    ("c003", "personalisation", "out", LATE),
    ("c004", "training", "out", LATE),  # the ledger knows better
]


@dataclass(frozen=True)
class Refusing:
    home: Path
    dataset: Dataset


@pytest.fixture
def shop_with_consent(tmp_path: Path) -> Refusing:
    source = write_shop(tmp_path / "source")
    rows = [(who, purpose, state, at.isoformat()) for who, purpose, state, at in SAID]
    columns = ["customer_id", "purpose", "state", "at"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(source / "consent.csv")
    home = tmp_path / ".oferta"
    dataset = open_dataset(source, home=home, clock=FixedClock(NOW), progress=Silent())
    return Refusing(home, dataset)


def _say(home: Path, *said: tuple[str, str]) -> str:
    ledger = Ledger(ledger_path(home))
    words = [Word(who, "training", state, "app") for who, state in said]  # type: ignore[arg-type] # in, out
    ledger.append(words, received_at=NOW)
    snapshot = ledger.snapshot().id
    ledger.close()
    return snapshot


def _train(refusing: Refusing, **changes: object) -> Trained:
    job = parse({**JOB, "models": {"ease": {"l2": 5.0}}, **changes}, Job, place="test")
    clock = FixedClock(NOW)
    return train(refusing.dataset, job, home=refusing.home, clock=clock, progress=Silent())


def test_who_refused_is_not_learned_from_and_the_run_says_how_many(shop_with_consent: Refusing):
    home = shop_with_consent.home
    snapshot = _say(home, ("c004", "in"), ("h000", "out"), ("h001", "out"), ("nobody", "out"))
    trained = _train(shop_with_consent)
    gone = {"c000", "c002", "h000", "h001"}
    assert trained.refusing.customer_ids == gone | {"nobody"}
    tags = tracking.client(home).get_run(trained.run_id).data.tags
    assert tags["oferta.consent.excluded"] == "5"
    assert tags["oferta.consent.ledger"] == snapshot
    learned = set(load(registry.download(home, trained.version, home / "version")).customers.ids)
    everybody = set(shop_with_consent.dataset.customers().collect()["customer_id"])
    assert learned == everybody - gone
    assert not gone & set(trained.evaluation.customer_id)

    made = score(home, model=None, dataset=None, clock=FixedClock(NOW), progress=Silent())
    rows = pl.read_parquet(made.path / "customers.parquet")
    assert set(rows["customer_id"]) == everybody

    # A release: c003 refused personalisation by the source, h005 here; h006 has agreed here since.
    refusals = Refusals(
        "personalisation", frozenset({"h005"}), Snapshot(0, "00"), agreeing=frozenset({"h006"})
    )
    published = _rows(made, refusals=refusals)
    assert published.keys() == everybody
    assert {name for name, row in published.items() if row.closed} == {"c003", "h005"}
    for name in ("c003", "h005"):
        assert published[name] == CustomerRow(None, (), closed=True)
    assert all(len(published[name].suggestions) == 4 for name in ("c000", "h000", "h006"))
    agreed = replace(refusals, customer_ids=frozenset(), agreeing=frozenset({"c003"}))
    assert not any(row.closed for row in _rows(made, refusals=agreed).values())


def _rows(scores: ScoresFolder, *, refusals: Refusals) -> dict[str, CustomerRow]:
    """What a release would hold of each customer."""
    space, mark = KeySpace(b"0123456789abcdef"), Stamp(1, 0.0)
    built = build(scores, space, progress=Silent(), live=False, refusals=refusals)
    try:
        buckets = dict(built.buckets(mark))
        products = len(built.catalogue)
    finally:
        built.close()
    found = {}
    for name in scores.customer_rows()["customer_id"]:
        digest = space.digest(name)
        (place,) = places(space.digests([name]), built.per_tag).tolist()
        row = codec.customer_row(buckets[place], rest(digest), expect=mark, products=products)
        assert row is not None
        found[name] = row
    return found


def test_without_a_ledger_the_source_alone_is_asked(shop_with_consent: Refusing):
    found = refusers(shop_with_consent.dataset, shop_with_consent.home, "training")
    assert (found.customer_ids, found.ledger) == ({"c000", "c002", "c004"}, None)
    assert not ledger_path(shop_with_consent.home).exists()


def test_a_run_that_would_learn_from_who_refused_fails_and_registers_nothing(
    shop_with_consent: Refusing, monkeypatch: pytest.MonkeyPatch
):
    """The planted leak: whoever forgets to leave them out is caught by the ids themselves."""
    monkeypatch.setattr(Dataset, "without", lambda self, _: self)
    with pytest.raises(RefusersLearnedFrom, match="3 customer"):
        _train(shop_with_consent)
    with pytest.raises(RegistryError):
        registry.find(shop_with_consent.home, "shop")


def test_a_job_that_needs_the_ledger_is_refused_without_one(shop_with_consent: Refusing):
    with pytest.raises(SettingsInvalid, match="there is none"):
        _train(shop_with_consent, policy={"repeatable": False, "consent": "ledger"})


def test_nothing_is_trained_while_nobody_can_say_who_refused(shop_with_consent: Refusing):
    path = ledger_path(shop_with_consent.home)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no ledger" * 1000)
    with pytest.raises(LedgerUnavailable):
        _train(shop_with_consent)


def test_who_is_left_out_is_in_no_table_at_any_time(shop_with_consent: Refusing):
    whole = shop_with_consent.dataset
    less = whole.without({"c000"}).without({"h000"})
    for dataset in (less, PastDataset.of(less, START + timedelta(days=90))):
        for rows in (dataset.events(), dataset.customers()):
            left = rows.select("customer_id").collect()["customer_id"]
            assert len(left)
            assert not {"c000", "h000"} & set(left)
    consent = less.consent()
    assert consent is not None
    assert "c000" not in set(consent.collect()["customer_id"])
    before, after = whole.events().collect(), less.events().collect()
    assert after.equals(before.filter(~pl.col("customer_id").is_in(["c000", "h000"])))
