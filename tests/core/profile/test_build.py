"""The whole profile: its shape, what it leaves out, and that neither order nor parts matter."""

import json
from pathlib import Path

import polars as pl
import pytest
from core.ingest.shops import Shop
from core.profile.books import AS_OF, EVENT, EVENTS, UTC_ZONE, Books
from core.profile.test_contracts import HEADER as CONTRACTS
from core.profile.test_contracts import contract

from oferta.profile.attributes import dtype_of
from oferta.profile.build import build_profiles, peers_in
from oferta.profile.facts import FACTS, STORED
from oferta.profile.needs import NO_PEERS
from oferta.profile.settings import Needs, ProfileSettings

CUSTOMERS = [f"c{number}" for number in range(60)]
SMALL = ProfileSettings(needs=Needs(gap_similar=3, gap_holders=0.3))


def world(books: Books, *, order: int = 1) -> Books:
    """Sixty customers who differ in everything; `order` -1 writes every row the other way round."""

    def rows(header: str, lines: list[str]) -> str:
        return header + "".join(lines[::order])

    kinds = ("view", "calculator", "quote", "apply", "purchase")
    products = ("new-car-loan", "gap-insurance", "comprehensive-insurance", "p")
    channels = ("app", "web", "branch", "")
    events = [
        f"{one},{products[(n + k) % 4]},{kinds[(n * k) % 5]},2026-0{1 + k % 2}-{10 + n % 19} "
        f"0{k}:00:00,{channels[(n + 2 * k) % 4]},{1000 * n + k if k % 3 else ''}\n"
        for n, one in enumerate(CUSTOMERS)
        for k in range(n % 7)
    ]
    contracts = [
        contract(
            contract_id=f"k{n}-{k}",
            customer_id=one,
            product_id=products[k],
            vehicle_id=f"v{n}",
            starts_at=f"202{2 + k}-0{1 + n % 9}-15",
            ends_at=f"202{5 + (n + k) % 4}-0{1 + n % 9}-15",
            amount=10_000 + 100 * n,
            rate=3 + n % 8,
            term_months=48,
            status=("active", "arrears", "settled", "")[(n + k * k) % 4],
        )
        for n, one in enumerate(CUSTOMERS)
        for k in range(n % 4)
    ]
    vehicles = [
        f"v{n},{one},{('suv', 'saloon')[n % 2]},petrol,new,202{1 + n % 4}-05-01,{20_000 + n}\n"
        for n, one in enumerate(CUSTOMERS)
        if n % 5
    ]
    attributes = [
        f"{one},{name},{value},{source},2025-0{1 + n % 9}-01\n"
        for n, one in enumerate(CUSTOMERS)
        for name, value in (("income", 1_000 + n), ("region", "North"), ("vulnerable", "no"))
        for source in ("crm", "survey", "bureau")[: n % 4]
    ]
    consent = [
        f"{one},{purpose},,{('in', 'out')[(n + k) % 2]},2025-0{1 + k}-01\n"
        for n, one in enumerate(CUSTOMERS)
        for k, purpose in enumerate(("personalisation", "marketing", "email"))
    ]
    return books.write(
        events=rows(EVENTS.strip() + ",wished_amount\n", events),
        customers=rows("customer_id,employment\n", [f"{one},employed\n" for one in CUSTOMERS]),
        contracts=rows(CONTRACTS + "\n", contracts),
        vehicles=rows("vehicle_id,customer_id,body,fuel,condition,registered_at,price\n", vehicles),
        attributes=rows("customer_id,name,value,source,observed_at\n", attributes),
        consent=rows("customer_id,purpose,channel,state,at\n", consent),
    )


def built(books: Books, **options: object) -> pl.DataFrame:
    said = {"as_of": AS_OF, "zone": UTC_ZONE, "settings": SMALL, **options}
    frame = build_profiles(books.dataset(), **said)  # type: ignore[arg-type]
    return frame.collect(engine="streaming").sort("customer_id")


@pytest.mark.parametrize("tables", [True, False])
def test_it_has_every_stored_fact_with_its_type_and_one_row_a_customer(books: Books, tables: bool):
    if tables:
        world(books)
    frame = built(books, attributes={"score": "number", "since": "date"})
    wanted = {
        "customer_id": pl.String(),
        **{name: dtype_of(FACTS[name].kind) for name in STORED},
        "attr_score": pl.Float64(),
        "attr_since": pl.Date(),
        "evidence": pl.String(),
    }
    assert dict(frame.schema) == wanted
    assert list(frame.columns) == list(wanted)
    assert sorted(frame["customer_id"]) == (sorted(CUSTOMERS) if tables else ["c1"])
    assert frame["evidence"].null_count() == 0


def test_every_fact_of_the_world_is_somebodys(books: Books):
    frame = built(world(books))
    never = [name for name in STORED if frame[name].null_count() == frame.height]
    # What these tables do not tell.
    assert set(never) == {
        *("segment", "spending", "risk_tier", "channel_preference", "value_tier_before"),
        *("consent_sms", "consent_push", "consent_phone"),
        *("contract_kind", "contract_instalment", "instalments"),
        *("balloon_amount", "balloon_due", "service_plan_end"),
        *("vehicle_make", "vehicle_use", "mileage_km", "mileage_plan_km"),
        *("wished_months", "wished_deposit", "wished_instalment"),
    }


def test_the_order_of_rows_does_not_matter(books: Books, tmp_path: Path):
    (tmp_path / "other").mkdir()
    other = Books(tmp_path / "other")
    first, second = built(world(books)), built(world(other, order=-1))
    assert first.drop("evidence").equals(second.drop("evidence"))
    for one, two in zip(first["evidence"], second["evidence"], strict=True):
        assert json.loads(one) == json.loads(two)


def test_a_part_of_the_base_has_the_profiles_of_the_whole(books: Books):
    whole = built(world(books))
    peers = peers_in(books.dataset(), as_of=AS_OF, zone=UTC_ZONE, settings=SMALL)
    assert peers.shares.height > 0
    some = pl.LazyFrame({"customer_id": CUSTOMERS[10:25]})
    part = built(books, customers=some, peers=peers)
    assert part.equals(whole.filter(pl.col("customer_id").is_in(CUSTOMERS[10:25])))


def test_the_tier_of_before_is_taken_from_who_knows_it(books: Books):
    tiers = pl.LazyFrame({"customer_id": ["c1", "c99"], "value_tier": ["top", "plus"]})
    frame = built(world(books), tiers_before=tiers, peers=NO_PEERS)
    found = dict(frame.select("customer_id", "value_tier_before").iter_rows())
    assert found["c1"] == "top"
    assert found["c2"] is None


def test_the_evidence_is_json_whatever_texts_hold(tmp_path: Path):
    (tmp_path / "source").mkdir()
    shop = Shop(tmp_path / "source", tmp_path / "dataset")
    nasty = ['"', "\\", 'x":null,', "{}", "中文", "a,}", "'"]
    vehicles = pl.DataFrame(
        {"vehicle_id": nasty, "customer_id": ["c1"] * len(nasty), "make": nasty, "model": nasty}
    )
    vehicles.write_parquet(shop.source / "vehicles.parquet")
    shop.ingest({"events.csv": EVENTS + EVENT})
    frame = build_profiles(shop.dataset(), as_of=AS_OF, zone=UTC_ZONE, peers=NO_PEERS).collect()
    listed = json.loads(frame["evidence"][0])["vehicles"]
    assert len(listed) == 6
    assert all(one["make"] == one["model"] == one["vehicle_id"] for one in listed)
