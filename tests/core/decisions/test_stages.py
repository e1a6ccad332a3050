"""Which stage says no, with which code, and that nothing later overrides it."""

from dataclasses import replace

import pytest
from offer_worlds import DAY, FACTS, NOON, engine, known, offer, policy, request

from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision, Rejection
from oferta.decisions.engine import Engine
from oferta.decisions.request import STRANGER, Known, Request, Wish
from oferta.policy.contact import Contact, CustomerState, Silence


def only(decision: Decision) -> Rejection:
    """The one rejection of a decision on one offer."""
    assert decision.offers == ()
    (rejection,) = decision.rejected
    return rejection


def decided(sold: Engine, asked: Request | None = None, about: Known | None = None) -> Decision:
    return decide(sold, asked or request(), about or known())


@pytest.mark.parametrize(
    ("settings", "code", "detail"),
    [
        ({"status": "paused"}, "offer.not_approved", "paused"),
        ({"starts": "2026-12-01T00:00:00Z"}, "offer.not_started", ""),
        ({"ends": "2026-11-23T12:00:00Z"}, "offer.ended", ""),
        ({"channels": ["email"]}, "placement.channel", ""),
        ({"placements": ["start"]}, "placement.family", ""),
        ({"eligibility": ["income > 1", "income > 9000"]}, "rule.eligibility", "income > 9000"),
        ({"applicability": ["balloon_due < today"]}, "rule.applicability", "balloon_due < today"),
        ({"suitability": ["attr_club"]}, "rule.suitability", "attr_club"),
        ({"margin": "-3"}, "value.negative", ""),
        ({"margin": "attr_car_wanted"}, "margin.unknown", ""),
        ({"terms": {"kind": "price", "months": 12}}, None, ""),
    ],
)
def test_each_stage_has_its_code(settings: dict[str, object], code: str | None, detail: str):
    decision = decided(engine(offer("roadside", **settings), policy=policy()))
    if code is None:
        assert [made.offer for made in decision.offers] == ["roadside"]
        return
    rejection = only(decision)
    assert (rejection.code, rejection.detail) == (code, detail)
    assert decision.why[0][0] == code


def test_the_failing_conjunct_is_named_not_the_whole_rule():
    rule = "has_vehicle AND income > 9000 AND risk_tier = 'B'"
    rejection = only(decided(engine(offer("roadside", eligibility=[rule]), policy=policy())))
    assert rejection.detail == "income > 9000"


def test_a_rule_that_is_not_known_to_hold_does_not_hold():
    sold = engine(offer("roadside", eligibility=["attr_club OR income > 9000"]), policy=policy())
    assert only(decided(sold)).code == "rule.eligibility"


def test_the_rule_of_the_earliest_tier_is_told():
    sold = engine(
        offer("roadside", suitability=["income > 9000"], eligibility=["income > 8000"]),
        offer("charging", eligibility=["income > 9000"]),
        policy=policy(),
    )
    codes = {one.offer: one.code for one in decided(sold).rejected}
    assert codes == {"roadside": "rule.eligibility", "charging": "rule.eligibility"}


def test_a_house_rule_holds_for_its_families():
    rules = [{"name": "r", "families": ["service"], "rule": "income > 9000"}]
    sold = engine(offer("roadside"), offer("cover"), policy=policy(rules=rules))
    decision = decided(sold)
    assert [made.offer for made in decision.offers] == ["cover"]
    assert [one.offer for one in decision.rejected] == ["roadside"]


def test_vulnerable_customers_are_not_promoted_to_whatever_they_ask():
    sold = engine(offer("roadside"), policy=policy())
    about = known({**FACTS, "vulnerable": True})
    for asked in (request(), request(personalise=False), request(offers=("roadside",))):
        assert only(decided(sold, asked, about)).code == "customer.vulnerable"


def test_in_arrears_there_is_servicing_and_nothing_else():
    sold = engine(offer("loan"), offer("roadside"), offer("retermed"), policy=policy())
    late = {**FACTS, "in_arrears": True, "payoff": 6000.0}
    decision = decided(sold, about=known(late))
    assert [made.offer for made in decision.offers] == ["retermed"]
    assert {one.code for one in decision.rejected} == {"customer.in_arrears"}


def test_arrears_told_by_feedback_count_until_a_release_knows_better():
    sold = engine(offer("roadside"), policy=policy())
    told = known(state=CustomerState(arrears_at=NOON - 60))
    assert only(decided(sold, about=told)).code == "customer.in_arrears"
    newer = replace(told, release_at=NOON - 30)
    assert [made.offer for made in decided(sold, about=newer).offers] == ["roadside"]


def test_a_release_made_later_of_older_data_does_not_know_better():
    sold = engine(offer("roadside"), policy=policy())
    told = known(state=CustomerState(arrears_at=NOON - 12 * 3600))
    older = replace(told, release_at=NOON - 3600, data_at=NOON - DAY)
    assert only(decided(sold, about=older)).code == "customer.in_arrears"
    newer = replace(older, data_at=NOON - 6 * 3600)
    assert [made.offer for made in decided(sold, about=newer).offers] == ["roadside"]


def test_what_is_held_and_not_repeatable_is_no_candidate():
    """A release scores it for others (it has a base rate) and not for this customer."""
    sold = engine(offer("roadside"), offer("charging"), policy=policy())
    about = known()
    propensities = dict(about.customer.propensities)
    del propensities["roadside"]
    held = replace(about, customer=replace(about.customer, propensities=propensities))
    decision = decided(sold, about=held)
    assert [made.offer for made in decision.offers] == ["charging"]
    assert decision.rejected[0].code == "product.not_scored"
    new = replace(held, popular={**held.popular, "roadside": 0.0})
    assert len(decided(sold, about=new).offers) == 2


def test_what_was_bought_or_declined_since_the_release_is_not_offered():
    sold = engine(offer("roadside"), offer("charging"), offer("cover"), policy=policy())
    about = replace(known(), settled={"roadside": "bought", "charging": "declined"}, events=2)
    decision = decided(sold, about=about)
    assert [made.offer for made in decision.offers] == ["cover"]
    codes = {rejected.offer: rejected.code for rejected in decision.rejected}
    assert codes["roadside"] == "product.bought"
    assert codes["charging"] == "product.declined"
    anybody = decided(sold, request(personalise=False), about=about)
    assert len(anybody.offers) == 3, "an answer for anybody does not depend on what they did"


def test_a_wish_narrows_to_its_product_or_family():
    sold = engine(offer("roadside"), offer("cover"), policy=policy())
    for product in ("insurance", "cover"):
        decision = decided(sold, request(wish=Wish(product=product)))
        assert [made.offer for made in decision.offers] == ["cover"]
        assert [one.code for one in decision.rejected] == ["candidates.none"]


def test_a_filter_sees_offer_and_customer():
    sold = engine(offer("roadside"), offer("cover"), policy=policy())
    decision = decided(sold, request(filter="family = 'service' AND income > 2000"))
    assert [made.offer for made in decision.offers] == ["roadside"]
    assert [one.code for one in decision.rejected] == ["filter"]


def test_offers_that_were_not_asked_for_are_neither_made_nor_refused():
    sold = engine(offer("roadside"), offer("cover"), policy=policy())
    decision = decided(sold, request(offers=("cover",)))
    assert [made.offer for made in decision.offers] == ["cover"]
    assert decision.rejected == ()


MAIL = request(channel="email", placements=("letter",))


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"consent_marketing": False}, "consent.marketing"),
        ({"consent_marketing": None}, "consent.marketing"),
        ({"consent_email": False}, "consent.channel"),
    ],
)
def test_without_consent_nothing_is_sent(facts: dict[str, bool | None], code: str):
    sold = engine(offer("roadside"), policy=policy())
    for personalise in (True, False):
        asked = replace(MAIL, personalise=personalise)
        assert only(decided(sold, asked, known({**FACTS, **facts}))).code == code


def test_quiet_hours_say_until_when():
    sold = engine(offer("roadside"), policy=policy())
    night = known(at=NOON + 9.5 * 3600)  # 22:30 in Madrid
    decision = decided(sold, request(channel="push", placements=("note",)), night)
    assert only(decision).code == "quiet.hours"
    assert (decision.outcome, decision.later_on) == ("later", NOON + 19 * 3600)


def test_a_no_in_one_channel_holds_in_every_channel():
    sold = engine(offer("roadside"), policy=policy())
    silence = Silence("decline", "roadside", "roadside", "service", NOON + 90 * DAY)
    about = known(state=CustomerState(silences=(silence,)))
    for asked in (request(), MAIL, request(channel="any", placements=())):
        decision = decided(sold, asked, about)
        assert only(decision).code == "silence.decline"
        assert (decision.outcome, decision.later_on) == ("later", NOON + 90 * DAY)


def shown(offer_id: str, *, ago: float, **settings: object) -> Contact:
    at = NOON - ago
    plain = Contact(
        f"d_{ago}", offer_id, offer_id, "service", "app", "home", at, at + 1800, shown_at=at
    )
    return replace(plain, **settings)  # type: ignore[arg-type]  # fields of a contact


def test_a_full_cap_says_when_it_has_room_again():
    caps = [{"name": "c", "scope": "offer", "limit": 1, "period": "2d"}]
    sold = engine(offer("roadside"), policy=policy(caps=caps))
    about = known(state=CustomerState(3, (shown("roadside", ago=3600),)))
    decision = decided(sold, about=about)
    assert only(decision) == Rejection("roadside", "contact", "cap.reached", "c/roadside")
    assert decision.later_on == NOON - 3600 + 2 * DAY
    assert decision.caps == {"c/roadside": (1, 1)}
    assert decision.state == about.state


def test_offers_of_one_answer_fill_a_cap_together():
    caps = [{"name": "c", "limit": 2, "period": "2d"}]
    sold = engine(offer("roadside"), offer("charging"), offer("cover"), policy=policy(caps=caps))
    decision = decided(sold)
    assert len(decision.offers) == 2
    assert [one.code for one in decision.rejected] == ["cap.reached"]
    assert decision.caps == {"c/all": (2, 2)}


def test_a_cap_on_a_placement_leaves_the_others():
    caps = [{"name": "c", "scope": "placement", "of": ["home"], "limit": 1, "period": "2d"}]
    sold = engine(offer("roadside"), offer("charging"), policy=policy(caps=caps))
    decision = decided(sold, request(placements=("home", "garage")))
    assert [made.placement for made in decision.offers] == ["home", "garage"]


def test_a_letter_with_two_offers_is_one_decision_under_a_cap():
    caps = [
        {
            "name": "c",
            "event": "decision",
            "scope": "channel",
            "of": ["email"],
            "limit": 1,
            "period": "7d",
        }
    ]
    sold = engine(offer("roadside"), offer("cover"), policy=policy(caps=caps))
    decision = decided(sold, MAIL)
    assert len(decision.offers) == 2
    after = replace(known(), state=decision.state)
    assert {one.code for one in decided(sold, MAIL, after).rejected} == {"cap.reached"}


def test_a_total_cap_counts_everybody_and_says_which_counters_to_raise():
    caps = [
        {"name": "t", "scope": "offer", "per": "total", "limit": 5, "period": "7d"},
        {"name": "d", "event": "decision", "per": "total", "limit": 5, "period": "7d"},
    ]
    sold = engine(offer("roadside"), offer("charging"), policy=policy(caps=caps))
    decision = decided(sold, about=known(totals={"t/roadside": 5, "t/charging": 4}))
    assert [made.offer for made in decision.offers] == ["charging"]
    assert decision.rejected == (Rejection("roadside", "contact", "cap.total", "t/roadside"),)
    assert decision.taken == ("t/charging", "d/all")
    assert decision.outcome == "offers"


def test_an_offer_whose_terms_do_not_fit_is_rejected_with_the_figures():
    sold = engine(offer("loan"), policy=policy())
    rejection = only(decided(sold, about=known({**FACTS, "income": 1300.0})))
    assert (rejection.stage, rejection.code) == ("terms", "affordability.exceeded")
    assert rejection.detail.startswith("limit=0.00")


def test_later_when_an_offer_begins_and_none_where_nothing_ends():
    starts = "2026-12-01T00:00:00Z"
    later = decided(engine(offer("roadside", starts=starts), policy=policy()))
    assert later.outcome == "later"
    assert later.later_on == NOON + 7.5 * DAY
    none = decided(engine(offer("roadside", status="archived"), policy=policy()))
    assert (none.outcome, none.later_on) == ("none", None)


def test_a_date_at_which_there_would_be_nothing_is_not_named():
    """What ends by itself is not all that stands in the way."""
    later = CustomerState(silences=(Silence("later", "loan", "loan", "loan", NOON + 5 * DAY),))
    poor = replace(known({**FACTS, "income": 1300.0}), state=later)
    decision = decided(engine(offer("loan"), policy=policy()), about=poor)
    assert (decision.outcome, decision.later_on) == ("none", None)
    assert only(decision).code == "silence.later"
    coming = engine(
        offer("loan", starts="2026-12-01T00:00:00Z", eligibility=["income > 9000"]), policy=policy()
    )
    assert decided(coming).outcome == "none"
    late = known({**FACTS, "in_arrears": True})
    assert (
        decided(
            engine(offer("loan", starts="2026-12-01T00:00:00Z"), policy=policy()), about=late
        ).outcome
        == "none"
    )


def test_the_date_named_is_the_first_at_which_there_is_an_offer():
    night = NOON + 11 * 3600  # the silence ends in quiet hours: 23:30 in Madrid
    silences = (
        Silence("later", "trade", "trade", "trade_in", night - 3600),
        Silence("later", "roadside", "roadside", "service", night - 0.5),
    )
    sold = engine(offer("roadside"), offer("trade", eligibility=["FALSE"]), policy=policy())
    about = known(state=CustomerState(silences=silences))
    decision = decided(sold, request(channel="push", placements=("note",)), about)
    assert decision.later_on == NOON + 19 * 3600
    app = decided(sold, about=about)
    assert app.later_on == night  # whole seconds, never before the silence ends


def test_an_engine_that_lives_through_an_offers_dates_notices_both():
    dates = {"starts": "2026-11-24T00:00:00Z", "ends": "2026-11-26T00:00:00Z"}
    sold = engine(offer("roadside", **dates), policy=policy())
    codes = []
    for day in (0, 1, 2, 3, 1, 0):
        decision = decided(sold, about=known(at=NOON + day * DAY))
        codes.append(decision.rejected[0].code if decision.rejected else "made")
    assert codes == [
        "offer.not_started",
        "made",
        "made",
        "offer.ended",
        "made",
        "offer.not_started",
    ]


@pytest.mark.parametrize("income", [float("nan"), float("inf"), 1e300, 3000])
def test_figures_that_are_none_stop_no_decision(income: float):
    sold = engine(offer("loan", margin="0.05 * amount"), offer("roadside"), policy=policy())
    decision = decided(sold, about=known({**FACTS, "income": income}))
    codes = {one.offer: one.code for one in decision.rejected}
    if income == 3000:
        assert codes == {}
    else:
        assert codes == {"loan": "affordability.unknown"}


def test_what_came_closest_is_told_first():
    sold = engine(
        offer("roadside", status="paused"),
        offer("cover", eligibility=["income > 9000"]),
        offer("trade", margin="-1"),
        policy=policy(),
    )
    codes = [code for code, _ in decided(sold).why]
    assert codes == ["value.negative", "rule.eligibility", "offer.not_approved"]


def test_a_customer_nobody_knows_gets_what_is_open_to_everybody():
    sold = engine(offer("roadside"), offer("cover", eligibility=["has_vehicle"]), policy=policy())
    decision = decided(sold, about=replace(known(), customer=STRANGER))
    assert not decision.personalised
    assert [made.offer for made in decision.offers] == ["roadside"]


def test_a_rule_sees_the_day_in_the_policys_zone():
    sold = engine(offer("roadside", eligibility=["today = DATE '2026-11-23'"]), policy=policy())
    evening = NOON + 10.9 * 3600  # 23:54 in Madrid
    assert decided(sold, about=known(at=evening)).offers
    assert not decided(sold, about=known(at=evening + 600)).offers
