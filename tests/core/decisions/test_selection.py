"""Slots: exploration with true probabilities, ties by the seed, variety, channels, context."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt

import pytest
from offer_worlds import DAY, FACTS, NOON, engine, known, offer, policy, request

from oferta.decisions.decide import decide
from oferta.decisions.engine import Engine
from oferta.decisions.request import Wish
from oferta.errors import RequestInvalid

SHARE = 0.3


def explorer(share: float = SHARE) -> Engine:
    return engine(
        offer("roadside"),
        offer("charging", margin="20"),
        offer("cover"),
        offer("trade"),
        policy=policy(exploration={"share": share}),
    )


def test_the_logged_probability_is_the_true_one():
    """Over many customers each offer is first as often as its probability says."""
    sold, customers = explorer(), 4000
    first, logged = Counter[str](), dict[str, float]()
    for number in range(customers):
        made = decide(sold, request(customer_id=f"c{number}", n=1), known()).offers[0]
        first[made.offer] += 1
        assert logged.setdefault(made.offer, made.probability) == made.probability
    assert sum(logged.values()) == pytest.approx(1.0)
    assert sorted(logged.values()) == pytest.approx([SHARE / 4] * 3 + [1 - SHARE + SHARE / 4])
    for name, probability in logged.items():
        spread = sqrt(customers * probability * (1 - probability))
        assert abs(first[name] - customers * probability) < 4 * spread


def test_what_is_tried_out_does_not_choose_the_channel():
    """Else an offer of the other channel would be shown more often than its probability says."""
    sold = engine(
        offer("roadside", channels=["app"]),
        offer("charging", channels=["app"], margin="1"),
        offer("cover", channels=["web"]),
        offer("trade", channels=["web"], margin="1"),
        policy=policy(exploration={"share": 0.5}),
    )
    first, logged = Counter[str](), dict[str, float]()
    for number in range(1000):
        asked = request(customer_id=f"c{number}", channel="any", placements=("home", "start"), n=1)
        made = decide(sold, asked, known()).offers[0]
        first[made.offer] += 1
        logged[made.offer] = made.probability
    assert logged == {"cover": 0.75, "trade": 0.25}
    assert abs(first["trade"] - 250) < 4 * sqrt(1000 * 0.25 * 0.75)


def test_with_any_channel_the_logged_probabilities_are_the_true_ones():
    """One distribution over channel and offer: it sums to 1, and it is how often each is first."""
    sold, decisions = (
        engine(
            offer("roadside", channels=["app"]),
            offer("charging", channels=["app", "web"], margin="30"),
            offer("cover", channels=["web"], margin="18"),
            offer("trade", channels=["web"], margin="12"),
            policy=policy(exploration={"share": SHARE}),
        ),
        4000,
    )
    asked = request(channel="any", placements=("home", "start"), n=1)
    first, logged = Counter[tuple[str, str]](), dict[tuple[str, str], float]()
    for number in range(decisions):
        made = decide(sold, replace(asked, request_id=f"r{number}"), known()).offers[0]
        outcome = made.channel, made.offer
        first[outcome] += 1
        assert logged.setdefault(outcome, made.probability) == made.probability
    assert sum(logged.values()) == pytest.approx(1.0)
    assert len(logged) > 1
    for outcome, probability in logged.items():
        spread = sqrt(decisions * probability * (1 - probability))
        assert abs(first[outcome] - decisions * probability) < 4 * spread


def test_an_explored_offer_says_so_and_the_slots_after_it_are_the_best():
    sold = explorer(share=1.0)
    best = [made.offer for made in decide(explorer(share=0.0), request(), known()).offers]
    explored = decide(sold, request(), known()).offers
    assert [made.selection for made in explored] == ["explored", "best", "best"]
    assert [made.probability for made in explored] == [0.25, 1.0, 1.0]
    rest = [name for name in best if name != explored[0].offer]
    assert [made.offer for made in explored[1:]] == rest[:2]


def test_what_is_drawn_is_drawn_anew_each_day_and_for_each_request_id():
    sold = explorer(share=1.0)

    def first(**settings: object) -> str:
        day = settings.pop("day", 0.0)
        assert isinstance(day, float)
        return decide(sold, request(**settings), known(at=NOON + day * DAY)).offers[0].offer

    assert first() == first(day=0.1)
    assert len({first(day=float(day)) for day in range(20)}) > 1
    assert len({first(request_id=f"r{number}") for number in range(20)}) > 1


def test_nothing_is_tried_out_on_somebody_in_arrears():
    sold = engine(
        offer("retermed"), offer("retermed", id="other"), policy=policy(exploration={"share": 1.0})
    )
    decision = decide(sold, request(), known({**FACTS, "in_arrears": True}))
    assert {made.selection for made in decision.offers} == {"best"}


def test_ties_are_broken_by_the_seed_not_by_the_alphabet():
    sold = engine(*(offer("trade", id=f"t{number}") for number in range(4)), policy=policy())
    first = Counter(
        decide(sold, request(customer_id=f"c{number}"), known()).offers[0].offer
        for number in range(400)
    )
    assert min(first.values()) > 60
    assert len(first) == 4


def test_variety_by_family_and_no_product_twice():
    offers = [offer("roadside"), offer("charging"), offer("roadside", id="again"), offer("cover")]
    sold = engine(*offers, policy=policy(diversity={"per_family": 1}))
    decision = decide(sold, request(placements=("home", "garage")), known())
    assert sorted(made.family for made in decision.offers) == ["insurance", "service"]
    assert {one.code for one in decision.rejected} <= {"diversity.family", "diversity.product"}


def test_a_bundle_shares_no_product_with_another_offer():
    bundle = offer("charging", id="bundle", products=["charging", "roadside"], margin="90")
    sold = engine(bundle, offer("roadside"), policy=policy())
    decision = decide(sold, request(), known())
    assert [made.offer for made in decision.offers] == ["bundle"]
    assert [one.code for one in decision.rejected] == ["diversity.product"]


def test_placements_are_filled_in_the_order_asked_and_no_offer_twice():
    sold = engine(offer("roadside"), offer("cover"), offer("trade"), policy=policy())
    one_way = decide(sold, request(placements=("home", "garage")), known())
    assert [made.placement for made in one_way.offers] == ["home"] * 3
    other = decide(sold, request(placements=("garage", "home")), known())
    assert [made.placement for made in other.offers] == ["garage", "garage", "home"]


def test_any_channel_is_the_one_whose_offers_are_worth_most():
    sold = engine(
        offer("roadside", channels=["app"]), offer("cover", channels=["web"]), policy=policy()
    )
    asked = request(channel="any", placements=("home", "start"))
    high, low = {"cover": 0.9, "roadside": 0.01}, {"cover": 0.01, "roadside": 0.9}
    assert decide(sold, asked, known(accept=high)).channel == "web"
    assert decide(sold, asked, known(accept=low)).channel == "app"


def test_of_equal_channels_the_customers_preference_and_then_the_policys_order():
    sold = engine(offer("roadside"), policy=policy())
    asked = request(channel="any", placements=("home", "start", "letter"))
    assert decide(sold, asked, known()).channel == "app"
    for preferred in ("web", "email"):
        about = known({**FACTS, "channel_preference": preferred})
        assert decide(sold, asked, about).channel == preferred
    closed = known({**FACTS, "channel_preference": "email", "consent_email": False})
    assert decide(sold, asked, closed).channel == "app"


def test_where_no_channel_has_an_offer_the_first_that_will_is_named():
    sold = engine(offer("roadside", channels=["push", "email"]), policy=policy())
    night = known({**FACTS, "consent_email": False}, at=NOON + 10 * 3600)
    decision = decide(sold, request(channel="any", placements=("letter", "note")), night)
    assert (decision.channel, decision.outcome) == ("push", "later")


CHARGER = request(placements=("charger",))
CONTEXT = {"station": "s1", "kwh": 12, "member": True}


def test_rules_read_the_context_of_the_placement():
    sold = engine(offer("charging", eligibility=["context_kwh >= 10"]), policy=policy())
    assert decide(sold, replace(CHARGER, context=CONTEXT), known()).offers
    assert not decide(sold, replace(CHARGER, context={**CONTEXT, "kwh": 9}), known()).offers


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"context": {"station": "s1", "kwh": 12.0}}, "context.member"),
        ({"context": {**CONTEXT, "kwh": "12"}}, "context.kwh"),
        ({"context": {**CONTEXT, "kwh": True}}, "context.kwh"),
        ({"context": {**CONTEXT, "kwh": float("inf")}}, "context.kwh"),
        ({"context": {**CONTEXT, "member": 1}}, "context.member"),
        ({"context": {**CONTEXT, "station": None}}, "context.station"),
        ({"context": {**CONTEXT, "statoin": "s1"}}, "context.statoin"),
        ({"placements": ("chager",)}, "placements[0]"),
        ({"placements": ("start",)}, "placements[0]"),
        ({"placements": ("home", "home")}, "placements[1]"),
        ({"channel": "fax"}, "channel"),
        ({"n": 0}, "n"),
        ({"filter": "incme > 1"}, "filter"),
        ({"filter": "income + 1"}, "filter"),
        ({"offers": ("rodside",)}, "offers[0]"),
        ({"wish": Wish(product="rodside")}, "wish.product"),
    ],
)
def test_a_wrong_field_is_named(settings: dict[str, object], field: str):
    asked = replace(replace(CHARGER, context=CONTEXT), **settings)  # type: ignore[arg-type]  # fields
    with pytest.raises(RequestInvalid) as raised:
        decide(engine(offer("roadside"), policy=policy()), asked, known())
    assert raised.value.field == field


def test_a_context_field_of_another_placement_is_not_read():
    sold = engine(offer("roadside", eligibility=["context_kwh IS NULL"]), policy=policy())
    assert decide(sold, request(context={"kwh": 5.0}), known()).offers


def test_the_day_of_a_decision_is_the_policys():
    evening = datetime(2026, 11, 23, 23, 30, tzinfo=UTC).timestamp()
    made = decide(engine(offer("roadside"), policy=policy()), request(), known(at=evening)).offers
    assert made[0].terms is not None
    assert made[0].terms.start.isoformat() == "2026-11-24"
