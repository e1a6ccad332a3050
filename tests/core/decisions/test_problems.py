"""Loading: every mistake of every file at once, with the nearest right name."""

import pytest
from offer_worlds import PLACEMENTS, TERMS, cards, engine, offer, policy

from oferta.catalogue.offers import Offer, OfferCatalogue
from oferta.decisions.engine import Engine
from oferta.errors import SettingsInvalid


def problems(*offers: Offer, products: list[str] | None = None, **settings: object) -> list[str]:
    catalogue = OfferCatalogue(offers, PLACEMENTS)
    with pytest.raises(SettingsInvalid) as raised:
        Engine.build(catalogue, policy(**settings), cards(), products=products)
    return list(raised.value.problems)


def test_all_problems_are_told_at_once():
    told = problems(
        offer("loan", eligibility=["incme > 5"], channels=["app", "sms"], placements=["hme"]),
        offer("cover", margin="'much'"),
        weights=[{"name": "w", "when": "income", "offers": ["loen"], "factor": 2}],
        caps=[{"name": "c", "scope": "family", "of": ["lone"], "limit": 1, "period": "1d"}],
        products=["lown", "cover"],
    )
    text = "\n".join(told)
    for said in (
        "did you mean 'income'",
        "unknown channel 'sms'",
        "did you mean 'home'",
        "offer 'cover': margin",
        "weight 'w'",
        "did you mean 'loan'",
        "did you mean 'lown'",
        "cap 'c': unknown family 'lone'",
    ):
        assert said in text
    assert len(told) >= 8


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"family": "service"}, "terms of kind equal_instalment are none of family service"),
        ({"products": ["loan", "loan"]}, "a product is in it twice"),
        ({"placements": ["letter"], "channels": ["app"]}, "which is none of the offer's"),
        ({"placements": ["garage"]}, "takes no offers of family loan"),
        ({"eligibility": ["income + 1"]}, "eligibility[0]"),
        ({"margin": "amont * 0.1"}, "did you mean 'amount'"),
        ({"eligibility": ["amount > 5"]}, "amount"),
        ({"products": ["lown"]}, "no price on the rate card"),
    ],
)
def test_an_offer_that_does_not_fit_together(settings: dict[str, object], said: str):
    assert any(said in problem for problem in problems(offer("loan", **settings)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"caps": [{"name": "c", "limit": 1, "period": "1d"}] * 2},
            "caps: there are two called 'c'",
        ),
        ({"caps": [{"name": "c", "limit": 1, "period": "1d", "of": ["x"]}]}, "nothing to narrow"),
        ({"currency": "CNY"}, "the rate card is in EUR, the policy in CNY"),
        ({"levers": [{"offers": ["lown"], "factor": 2, "reason": "r"}]}, "levers[0]"),
        (
            {
                "channels": {
                    "app": {
                        "direction": "inbound",
                        "quiet": {"start": "01:00:00", "end": "01:00:00"},
                    }
                }
            },
            "start and end are the same",
        ),
        ({"allow_protected": {"attr_sex": " "}}, "say why it may be used"),
        (
            {
                "triggers": [
                    {
                        "name": "t",
                        "when": "TRUE",
                        "due": "income",
                        "once_per": "balloon_due",
                        "offers": ["lone"],
                        "text": {"en": "a", "zh": "b"},
                    }
                ]
            },
            "trigger 't'",
        ),
        ({"value": {"formula": "incme"}}, "value.formula"),
        ({"rules": [{"name": "r", "rule": "incme > 1"}]}, "rule 'r'"),
    ],
)
def test_a_policy_that_does_not_fit_together(settings: dict[str, object], said: str):
    assert any(said in problem for problem in problems(offer("loan"), **settings))


def test_a_context_field_has_one_kind_everywhere():
    places = (
        PLACEMENTS[0].model_copy(update={"context": {"kwh": "number"}}),
        PLACEMENTS[1].model_copy(update={"context": {"kwh": "text"}}),
    )
    with pytest.raises(SettingsInvalid, match="one field has one kind everywhere"):
        engine(offer("roadside"), policy=policy(), placements=places)


PROTECTED = {"sex": "text", "age_band": "text"}


@pytest.mark.parametrize(
    "settings",
    [
        {"eligibility": ["attr_sex = 'f'"]},
        {"applicability": ["attr_age_band = '18-25' OR income > 2000"]},
        {"margin": "CASE WHEN attr_sex = 'f' THEN 1 ELSE 2 END"},
    ],
)
def test_credit_may_not_depend_on_a_protected_attribute(settings: dict[str, object]):
    (told,) = problems(offer("loan", **settings), attributes=PROTECTED)
    assert "credit may not depend on 'attr_" in told
    assert "allow_protected" in told


def test_nor_may_a_weight_steer_credit_by_one_or_a_rule_of_the_house():
    for settings in (
        {"weights": [{"name": "w", "when": "attr_sex = 'f'", "factor": 2}]},
        {"rules": [{"name": "r", "rule": "attr_sex = 'f'"}]},
    ):
        (told,) = problems(offer("loan"), attributes=PROTECTED, **settings)
        assert "credit may not depend on 'attr_sex'" in told


@pytest.mark.parametrize(
    ("product", "terms"),
    [
        ("loan", {"amount": {"min": 1, "max": 9e4, "start": "10000 + 100 * context_age"}}),
        ("loan", {"car_value": "market_value + context_age"}),
        ("lease", {"car_value": "24000 + context_age"}),
    ],
)
def test_nor_may_what_credit_starts_from(product: str, terms: dict[str, object]):
    page = PLACEMENTS[0].model_copy(update={"context": {"age": "number"}})
    changed = offer(product, terms=TERMS[product][1] | terms)
    with pytest.raises(SettingsInvalid, match="credit may not depend on 'context_age'") as raised:
        engine(changed, policy=policy(), placements=[page])
    assert len(raised.value.problems) == 1
    allowed = policy(allow_protected={"context_age": "the law asks for it"})
    engine(changed, policy=allowed, placements=[page])


def test_a_legal_reason_allows_it_and_what_is_no_credit_needs_none():
    engine(
        offer("loan", eligibility=["attr_age_band <> 'minor'"]),
        policy=policy(attributes=PROTECTED, allow_protected={"attr_age_band": "minors may not"}),
    )
    engine(offer("cover", eligibility=["attr_sex = 'f'"]), policy=policy(attributes=PROTECTED))


def test_versions_change_with_the_content_and_only_with_it():
    first = engine(offer("loan"), policy=policy())
    same = engine(offer("loan"), policy=policy())
    other = engine(offer("loan", margin="5"), policy=policy())
    stricter = engine(offer("loan"), policy=policy(affordability={"share": 0.3}))
    assert first.catalogue_version == same.catalogue_version != other.catalogue_version
    assert first.policy_version == same.policy_version != stricter.policy_version
