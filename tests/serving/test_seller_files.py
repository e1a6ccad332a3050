"""The catalogue and the policy that ship: whole, coherent, and over products that there are."""

import json
import re
import tomllib
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from oferta.catalogue.families import CREDIT
from oferta.catalogue.offers import Offer, OfferCatalogue, Placement, load_catalogue
from oferta.decisions.decide import decide
from oferta.decisions.engine import Engine
from oferta.decisions.request import STRANGER, FactValue, Known, Request
from oferta.policy.file import Policy, load_policy
from oferta.terms.card import load_cards

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "serving"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@cache
def catalogue() -> OfferCatalogue:
    return load_catalogue(SERVING / "catalogue")


@cache
def policy() -> Policy:
    return load_policy(SERVING / "policy.toml")


@cache
def product_families() -> dict[str, str]:
    world = ROOT / "experiments" / "oferta_experiments" / "world" / "products.toml"
    products = tomllib.loads(world.read_text(encoding="utf-8"))["products"]
    return {product["id"]: product["family"] for product in products}


@cache
def engine() -> Engine:
    cards = load_cards(SERVING / "rate_cards")
    return Engine.build(catalogue(), policy(), cards, products=product_families())


def takes(placement: Placement, offer: Offer) -> bool:
    return (
        placement.channel in offer.channels
        and (not placement.families or offer.family in placement.families)
        and (not offer.placements or placement.id in offer.placements)
    )


def test_the_engine_takes_all_of_it() -> None:
    """Every rule is over known facts, every product and channel is there, the card prices all."""
    assert set(engine().by_id) == set(catalogue().offer)
    assert len(engine().triggers) == len(policy().triggers)


def test_there_are_a_hundred_approved_offers_and_some_of_every_other_status() -> None:
    status = Counter(offer.status for offer in catalogue().offers)
    assert status["approved"] >= 100
    assert min(status[other] for other in ("draft", "paused", "archived")) >= 1
    assert any(
        offer.status == "approved" and not offer.offerable(NOW) for offer in catalogue().offers
    )


def test_every_offer_is_over_products_that_there_are() -> None:
    sold = {product for offer in catalogue().offers for product in offer.products}
    assert sold == set(product_families())


def test_the_first_product_of_an_offer_is_of_the_offers_family() -> None:
    """It is the one that the rate card prices, and whose propensity ranks the offer."""
    families = product_families()
    assert {o.id for o in catalogue().offers if families[o.products[0]] != o.family} == set()


def test_policy_names_only_offers_that_there_are() -> None:
    rules = policy()
    named = [name for weight in rules.weights for name in weight.offers]
    named += [name for lever in rules.levers for name in lever.offers]
    named += [name for trigger in rules.triggers for name in trigger.offers]
    named += [name for cap in rules.caps if cap.scope == "offer" for name in cap.of]
    assert [name for name in named if name not in catalogue().offer] == []


def test_caps_over_products_families_and_channels_name_what_there_is() -> None:
    known: dict[str, set[str]] = {
        "product": set(product_families()),
        "family": set(product_families().values()),
        "channel": {str(channel) for channel in policy().channels},
        "placement": set(catalogue().placement),
    }
    for cap in policy().caps:
        assert set(cap.of) <= known.get(cap.scope, set(cap.of)), cap.name


def test_every_channel_of_an_offer_or_placement_is_one_of_the_policys() -> None:
    used = {channel for offer in catalogue().offers for channel in offer.channels}
    used |= {placement.channel for placement in catalogue().placements}
    assert used == set(policy().channels)


def test_outbound_channels_ask_for_consent() -> None:
    outbound = [rule for rule in policy().channels.values() if rule.direction == "outbound"]
    assert all(rule.consent is not None for rule in outbound)
    assert len(outbound) >= 3


def test_every_approved_offer_has_a_placement_and_every_placement_a_choice() -> None:
    approved = [offer for offer in catalogue().offers if offer.status == "approved"]
    placements = catalogue().placements
    assert [o.id for o in approved if not any(takes(p, o) for p in placements)] == []
    for placement in placements:
        choice = sum(takes(placement, offer) for offer in approved)
        assert choice > 2 * placement.size, placement.id


def test_rules_over_a_context_stand_only_in_offers_of_placements_that_send_it() -> None:
    for offer in catalogue().offers:
        rules = (*offer.eligibility, *offer.applicability, *offer.suitability)
        for field in {name for rule in rules for name in re.findall(r"\bcontext_(\w+)", rule)}:
            placements = [catalogue().placement[name] for name in offer.placements]
            assert placements, offer.id
            assert all(field in placement.context for placement in placements), offer.id


def test_texts_are_written_in_both_languages_and_state_no_rate_and_no_approval() -> None:
    for offer in catalogue().offers:
        for text in (offer.texts.name, offer.texts.summary):
            assert text.en.strip(), offer.id
            assert re.search(r"[\u4e00-\u9fff]", text.zh), offer.id
            assert not re.search(
                r"\d\s?%|pre-?approved|guaranteed approval|预批|包批", text.en + text.zh
            )


def test_credit_offers_are_under_a_rule_of_the_risk_tier() -> None:
    tiered = {
        family for rule in policy().rules if "risk_tier" in rule.rule for family in rule.families
    }
    assert tiered >= CREDIT - {"servicing"}


@pytest.mark.parametrize("share", ["exploration", "control"])
def test_a_fiftieth_is_explored_and_a_fiftieth_is_control(share: str) -> None:
    assert {"exploration": policy().exploration.share, "control": policy().control.share}[
        share
    ] == 0.02


INBOUND = ("home", "contract", "web-home", "calculator", "car-checkout", "call-screen")


@pytest.mark.parametrize("placement", INBOUND)
def test_whoever_wants_nothing_personal_is_offered_something(placement: str) -> None:
    """The law asks for an option without personal traits; an empty page is none."""
    values: dict[str, FactValue] = {"text": "info", "number": 20_000.0, "boolean": True}
    where = catalogue().placement[placement]
    decision = decide(
        engine(),
        Request(
            "c-1",
            where.channel,
            (placement,),
            context={name: values[kind] for name, kind in where.context.items()},
            personalise=False,
        ),
        Known(STRANGER, dict.fromkeys(product_families(), 0.01), at=NOW.timestamp()),
    )
    assert decision.outcome == "offers"
    assert not decision.personalised


def test_the_readmes_answer_is_in_the_words_of_these_files() -> None:
    """It was copied from a run of the demo; a renamed offer or a reworded reason shows here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^\{\n.*?^\}$", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    answer = json.loads(found[0])
    weights = {f"weight.{weight.name}": weight for weight in policy().weights}
    for offered in answer["offers"]:
        assert offered["name"] == catalogue().offer[offered["offer_id"]].texts.name.model_dump()
        for reason in offered["reasons"]:
            said = weights[reason["code"]].text
            assert said is not None
            assert reason["text"] == said.model_dump()
        score = offered["score"]
        product = score["accept"] * score["approved"] * score["context"] * score["lever"]
        product *= score["margin"] - score["expected_loss"]
        assert score["value"] == pytest.approx(product, rel=0.01)  # its parts are rounded
