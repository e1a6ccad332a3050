"""What a price hangs on: over every column that rules may read, what passes and what does not."""

from pathlib import Path

import pytest
from offer_worlds import PLACEMENTS, TERMS, engine, offer, policy

from oferta.catalogue.offers import Offer, OfferCatalogue, load_catalogue
from oferta.decisions.engine import Engine
from oferta.decisions.vocabulary import rule_columns
from oferta.errors import SettingsInvalid
from oferta.policy.file import Policy, load_policy
from oferta.profile.facts import FACTS, FactKind
from oferta.terms.card import load_cards

POLICY: Policy = policy(attributes={"satisfaction": "number", "club": "boolean"})
COLUMNS = rule_columns(OfferCatalogue((), PLACEMENTS), POLICY)
EXPRESSIONS: dict[FactKind, str] = {
    "number": "15000 + 100 * {0}",
    "date": "15000 + ({0} - today)",
    "text": "CASE WHEN {0} = 'x' THEN 9000 ELSE 15000 END",
    "boolean": "CASE WHEN {0} THEN 9000 ELSE 15000 END",
}
"""A figure that hangs on a column of the kind."""

BEHAVIOUR = {
    *(
        name
        for name, fact in FACTS.items()
        if fact.origin in {"behaviour", "consent"}
        and name not in {"wished_amount", "wished_months", "wished_deposit", "wished_instalment"}
    ),
    *(name for name, fact in FACTS.items() if fact.origin == "customer"),
    *("has_finance", "in_arrears", "days_in_arrears", "contracts_active", "contracts_ended"),
    *("stage", "value_tier", "channel"),
    *("attr_satisfaction", "attr_club", "context_station", "context_member"),
} - {"income", "spending", "instalments"}
"""What may rank an offer and never price it: everything but wishes, contract, car and money."""


def with_value(key: str, text: str) -> Offer:
    """An offer with this text where a price hangs on it."""
    product = {"amount.start": "loan", "own": "falling", "car_value": "lease"}.get(key, "cover")
    terms = dict(TERMS[product][1])
    if key == "amount.start":
        terms["amount"] = {"min": 2000, "max": 40_000, "start": text}
    else:
        terms["car_value" if key == "own" else key] = text
    return offer(product, terms=terms)


KEYS = ("amount.start", "own", "car_value", "insured_value")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_price_hangs_on_wishes_contract_car_and_money_alone(key: str, column: str):
    text = EXPRESSIONS[COLUMNS[column]].format(column)
    changed = with_value(key, text)
    if column not in BEHAVIOUR:
        engine(changed, policy=POLICY)
        return
    with pytest.raises(SettingsInvalid) as raised:
        engine(changed, policy=POLICY)
    (told,) = raised.value.problems
    stated = "car_value" if key == "own" else key
    assert told.startswith(f"offer '{changed.id}': terms.{stated}: ")
    assert f"a price may not hang on '{column}'" in told


def test_every_column_that_prices_is_told_at_once():
    text = "15000 + 10000 * intent - 10 * attr_satisfaction + income"
    with pytest.raises(SettingsInvalid) as raised:
        engine(with_value("insured_value", text), policy=POLICY)
    told = "\n".join(raised.value.problems)
    assert len(raised.value.problems) == 2
    assert "'intent'" in told
    assert "'attr_satisfaction'" in told


def test_hiding_a_column_in_a_branch_does_not_help():
    text = "COALESCE(wished_amount, CASE WHEN income > 5000 THEN 15000 ELSE 9000 + intent END)"
    with pytest.raises(SettingsInvalid, match="may not hang on 'intent'"):
        engine(with_value("amount.start", text), policy=POLICY)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_margin_may_hang_on_all_but_the_channel(column: str):
    text = f"amount * 0.01 + ({EXPRESSIONS[COLUMNS[column]].format(column)})"
    changed = offer("loan", margin=text)
    if column != "channel":
        engine(changed, policy=POLICY)
        return
    with pytest.raises(SettingsInvalid, match=r"offer 'loan': margin: .*'channel'"):
        engine(changed, policy=POLICY)


def test_the_page_tells_what_is_said_of_the_sample_seller():
    root = Path(__file__).parents[3]
    page = " ".join((root / "docs/terms.md").read_text(encoding="utf-8").split())
    catalogue = load_catalogue(root / "serving/catalogue")
    one = catalogue.offer["comprehensive-renewal"]
    priced = one.terms.model_copy(update={"insured_value": "15000 + 10000 * intent"})
    offers = (one.model_copy(update={"terms": priced}),)
    with pytest.raises(SettingsInvalid) as raised:
        Engine.build(
            OfferCatalogue(offers, catalogue.placements),
            load_policy(root / "serving/policy.toml"),
            load_cards(root / "serving/rate_cards"),
        )
    assert any(problem in page for problem in raised.value.problems if "intent" in problem)
