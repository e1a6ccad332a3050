"""What is found for everybody at once is what a decision finds for each."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import polars as pl
import pytest
from base_worlds import POPULAR, PRODUCTS, customers, scores_folder, wide
from offer_worlds import DAY, NOON, TERMS, Seller, chance, engine, offer, policy, seller

from oferta.decisions.base_rows import customers_of
from oferta.decisions.base_table import BaseTable, newest_base
from oferta.decisions.decide import decide
from oferta.decisions.request import Customer, Known, Request
from oferta.decisions.whole_base import WholeBase
from oferta.errors import SourceRefused

CHANNELS = ("app", "web", "email", "push", "call_centre", "any")
CONTEXT = {"station": "s1", "kwh": 7.0, "member": True}
AFTER_VALUE = {"diversity.family", "diversity.product", "room", "cap.reached", "cap.total"}
"""Codes with which an offer is dropped that could have been made: others took its place, also under
the caps, since nothing was said to these customers before."""


def asked(rng: Random) -> Request:
    channel = rng.choice(CHANNELS)
    context = CONTEXT if channel == "app" or rng.random() < 0.5 else {}
    return Request("", channel, (), context=context, dry_run=True)


def found(
    sold: Seller, request: Request, people: dict[str, Customer], *, at: float
) -> tuple[dict[str, dict[str, float]], WholeBase]:
    """By customer, the offers that could be made and what each is worth."""
    base = WholeBase(sold.engine, request, popular=POPULAR, products=PRODUCTS, at=at)
    batch = base.batch(wide(sold, people))
    ids = batch.customers.to_list()
    values: dict[str, dict[str, float]] = {}
    for makeable in base.offers(batch):
        name = makeable.compiled.offer.id
        for row, value in zip(makeable.rows.tolist(), makeable.value.tolist(), strict=True):
            values.setdefault(ids[row], {})[name] = value
    return values, base


def known(customer: Customer, *, at: float) -> Known:
    return Known(customer=customer, popular=POPULAR, at=at)


def test_eligible_sets_are_those_of_single_decisions_and_values_are_equal():
    counts = Counter[str]()
    for number in range(30):
        rng = chance(f"whole/{number}")
        sold, people = seller(rng), customers(rng, 40)
        request, at = asked(rng), NOON + rng.uniform(-1, 1) * DAY
        values, _ = found(sold, request, people, at=at)
        for id_, customer in people.items():
            mine = values.get(id_, {})
            about = known(customer, at=at)
            decision = decide(sold.engine, replace(request, customer_id=id_), about)
            if not decision.personalised:
                assert not mine
                counts["not personalised"] += 1
                continue
            if request.channel != "any":
                could = {one.offer for one in decision.offers} | {
                    one.offer for one in decision.rejected if one.code in AFTER_VALUE
                }
                assert set(mine) == could, (number, id_, request)
                counts["sets"] += 1
            for name in rng.sample(sorted(sold.engine.by_id), min(4, len(sold.engine.by_id))):
                one = decide(sold.engine, replace(request, customer_id=id_, offers=(name,)), about)
                worth = max((made.parts.value for made in one.offers), default=None)
                assert (name in mine) == (worth is not None), (number, id_, name)
                assert mine.get(name, 0.0) == pytest.approx(worth or 0.0, rel=1e-9)
                counts["made" if one.offers else one.rejected[-1].code] += 1
    for code in (
        "sets",
        "made",
        "not personalised",
        "rule.eligibility",
        "consent.channel",
        "quiet.hours",
        "product.not_scored",
        "affordability.exceeded",
        "value.negative",
        "placement.family",
        "offer.ended",
        "customer.in_arrears",
        "control.group",
    ):
        assert counts[code] > 0, f"no case of {code}: {counts}"


def test_a_loan_that_ends_the_contract_frees_its_instalment():
    """And a wish counts for ninety days, a car of one's own is a used one: each to the cent."""
    loan = TERMS["loan"][1] | {"ends_contract": True}
    own = TERMS["falling"][1] | {"car_value": "market_value"}
    lowers = TERMS["retermed"][1] | {"lowers": True}
    paused: dict[str, object] = {"kind": "payment_holiday", "holiday_months": 2}
    offers = [
        offer("loan", terms=loan),
        offer("falling", terms=own),
        offer("retermed", margin="0.01 * amount"),
        offer("retermed", id="lower", terms=lowers, margin="0.01 * amount"),
        offer("planned", id="paused", terms=paused),
    ]
    sold = Seller(engine(*offers, policy=policy()), {})
    freed, codes = 0, Counter[tuple[str, str]]()
    rng = chance("ends")
    people = {
        id_: replace(one, facts={**one.facts, "contract_instalment": float(rng.randint(50, 600))})
        for id_, one in customers(rng, 120).items()
    }
    request = Request("", "web", (), dry_run=True)
    values, _ = found(sold, request, people, at=NOON)
    for id_, customer in people.items():
        for name in sold.engine.by_id:
            asked_for = replace(request, customer_id=id_, offers=(name,))
            decision = decide(sold.engine, asked_for, known(customer, at=NOON))
            worth = [made.parts.value for made in decision.offers if decision.personalised]
            assert [values[id_][name]] == worth if name in values.get(id_, {}) else not worth
            codes.update((name, one.code) for one in decision.rejected)
            codes.update((one.offer, "made") for one in decision.offers)
            kept = replace(customer, facts={**customer.facts, "contract_instalment": 0.0})
            other = decide(sold.engine, asked_for, known(kept, at=NOON))
            freed += [made.terms for made in other.offers] != [
                made.terms for made in decision.offers
            ]
    assert freed > 5
    for case in (
        ("falling", "car_value.unknown"),
        ("lower", "made"),
        ("lower", "instalment.not_lower"),
        ("retermed", "made"),
        ("retermed", "affordability.exceeded"),
        ("paused", "made"),
    ):
        assert codes[case] > 0, f"no case of {case}: {codes}"


def test_what_anybody_is_offered_is_what_a_decision_offers_nobody_in_particular():
    agreed = Customer({f"consent_{name}": True for name in ("marketing", "email", "push")}, {})
    lists = 0
    for number in range(30):
        rng = chance(f"anyone/{number}")
        sold = seller(rng)
        request = replace(asked(rng), channel=rng.choice(CHANNELS[:-1]), personalise=False)
        request = replace(request, context=CONTEXT if request.channel == "app" else {})
        _, base = found(sold, request, customers(rng, 2), at=NOON)
        decision = decide(sold.engine, request, known(agreed, at=NOON))
        could = {one.offer for one in decision.offers} | {
            one.offer for one in decision.rejected if one.code in AFTER_VALUE
        }
        (offers,) = base.anyones().values()
        assert {one.compiled.offer.id for one in offers} == could, (number, request)
        lists += len(could) > 0
    assert lists > 10


def test_a_base_is_read_in_batches_of_any_size_and_gives_back_its_customers(tmp_path: Path):
    rng = chance("table")
    sold, people = seller(rng), customers(rng, 25)
    table = BaseTable.open(scores_folder(tmp_path / "s1", wide(sold, people), parts=3))
    assert table.customers == 25
    assert table.products == PRODUCTS
    assert table.base_rates == POPULAR
    for rows in (1, 7, 25, 100):
        batches = list(table.batches(rows))
        assert all(len(one) == rows for one in batches[:-1])
        frame = pl.concat(batches)
        assert frame["customer_id"].to_list() == list(people)
        again = dict(customers_of(frame, table.products))
        assert {id_: one.facts for id_, one in again.items()} == {
            id_: one.facts for id_, one in people.items()
        }
        chances = {
            id_: {product: p.probability for product, p in one.propensities.items()}
            for id_, one in again.items()
        }
        assert chances == {
            id_: {product: p.probability for product, p in one.propensities.items()}
            for id_, one in people.items()
        }


def test_how_the_base_is_cut_changes_nothing():
    rng = chance("cut")
    sold, people = seller(rng), customers(rng, 60)
    request = Request("", "app", ("home", "garage"))
    whole, _ = found(sold, request, people, at=NOON)
    parts: dict[str, dict[str, float]] = {}
    ids = list(people)
    for start in range(0, 60, 7):
        some = {id_: people[id_] for id_ in ids[start : start + 7]}
        parts |= found(sold, request, some, at=NOON)[0]
    assert parts == whole
    assert len(whole) > 10


def test_the_newest_scoring_with_profiles_is_taken(tmp_path: Path):
    with pytest.raises(SourceRefused, match="no scoring here has profiles"):
        newest_base(tmp_path)
    rng = chance("newest")
    frame = wide(seller(rng), customers(rng, 3))
    scores_folder(tmp_path / "old", frame)
    newer = scores_folder(tmp_path / "new", frame)
    text = (newer / "manifest.json").read_text(encoding="utf-8")
    (newer / "manifest.json").write_text(text.replace("T06:", "T07:"), encoding="utf-8")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    assert newest_base(tmp_path) == newer
    with pytest.raises(SourceRefused, match="is not a manifest"):
        BaseTable.open(tmp_path / "broken")
    with pytest.raises(SourceRefused, match="never finished"):
        BaseTable.open(tmp_path)


@pytest.mark.parametrize(
    "part", ["/etc/passwd", "../other/part.parquet", "base/../../x", "base/.."]
)
def test_no_part_of_a_base_lies_outside_its_folder(tmp_path: Path, part: str):
    rng = chance("outside")
    folder = scores_folder(tmp_path / "scores", wide(seller(rng), customers(rng, 3)))
    manifest = folder / "manifest.json"
    fields = json.loads(manifest.read_text())
    fields["base"]["parts"] = [part]
    manifest.write_text(json.dumps(fields))

    with pytest.raises(SourceRefused, match=r"scores\.manifest"):
        BaseTable.open(folder)
