"""An answer that must not depend on the customer does not, and is given where the law wants it."""

from dataclasses import replace

import pytest
from offer_worlds import (
    DAY,
    FACTS,
    NOON,
    chance,
    customer,
    engine,
    known,
    offer,
    policy,
    request,
    seller,
    situation,
    state,
)

from oferta.decisions.answer import answer
from oferta.decisions.decide import decide
from oferta.decisions.request import STRANGER
from oferta.policy.contact import CustomerState, Silence

CAPS = [{"name": "c", "scope": "channel", "of": ["email"], "limit": 1, "period": "7d"}]
SELLER = engine(
    offer("roadside"),
    offer("cover"),
    offer("loan"),
    offer("trade", eligibility=["income > 100"]),
    policy=policy(caps=CAPS, exploration={"share": 0.5}),
)


def test_any_two_customers_get_the_same_bytes():
    compared = 0
    for number in range(40):
        rng = chance(f"anyone/{number}")
        sold = seller(rng)
        asked, about = situation(rng, sold)
        asked = replace(asked, personalise=False)
        answers = set()
        for _ in range(6):
            other = replace(asked, customer_id=f"c{rng.random()}", request_id=f"r{rng.random()}")
            whom = customer(rng)
            facts = {
                **whom.facts,
                **{name: True for name in FACTS if name.startswith("consent_")},
                "vulnerable": False,
                "in_arrears": False,
            }
            whom = replace(whom, facts=facts)
            past = state(rng, sold, at=about.at) if asked.channel in {"app", "web"} else None
            past = replace(past or CustomerState(), arrears_at=None)
            decision = decide(sold.engine, other, replace(about, customer=whom, state=past))
            assert not decision.personalised
            assert not decision.control
            answers.add(repr((answer(decision)["offers"], decision.rejected, decision.caps)))
            compared += bool(decision.offers)
        assert len(answers) == 1
    assert compared > 60


def test_no_consent_is_the_same_as_asking_for_it():
    asked = decide(SELLER, request(personalise=False), known())
    refused = decide(SELLER, request(), known({**FACTS, "consent_personalisation": False}))
    assert asked.offers == refused.offers
    assert not refused.personalised


def test_it_is_ranked_by_base_rate_and_holds_what_is_open_to_everybody():
    about = replace(known(), popular={"roadside": 0.02, "cover": 0.04, "loan": 0.9, "trade": 0.5})
    decision = decide(SELLER, request(personalise=False), about)
    assert [made.offer for made in decision.offers] == ["loan", "cover", "roadside"]
    assert [one.offer for one in decision.rejected] == ["trade"]
    assert {made.selection for made in decision.offers} == {"non_personalised"}
    assert {made.probability for made in decision.offers} == {1.0}


def test_credit_and_what_needs_a_person_carry_no_terms():
    terms = {
        made.offer: made.terms
        for made in decide(SELLER, request(personalise=False), known()).offers
    }
    assert terms["loan"] is None
    assert terms["cover"] is None
    assert terms["roadside"] is not None


def test_where_the_customer_came_to_us_the_list_is_given_whatever_was_said_before():
    mail = request(channel="email", placements=("letter",), personalise=False, n=1)
    first = decide(SELLER, mail, known())
    assert first.offers
    assert first.state.version == 1
    about = known(state=first.state, at=NOON + 3600)
    assert decide(SELLER, request(personalise=False), about).offers
    again = decide(SELLER, mail, about)
    assert (again.outcome, again.why[0][0]) == ("later", "cap.reached")
    assert again.later_on == NOON + 3 * 86_400.0  # its hold ends, never opened


def test_what_is_sent_goes_out_whole_or_not_at_all():
    """A customer's caps may stop a message that must not depend on them; they may not change it."""
    caps = [{"name": "c", "limit": 3, "period": "7d"}]
    sold = engine(offer("roadside"), offer("cover"), policy=policy(caps=caps))
    mail = request(channel="email", placements=("letter",), personalise=False)
    first = decide(sold, mail, known())
    assert len(first.offers) == 2
    again = decide(sold, mail, known(state=first.state))  # room for one, not for both
    assert again.offers == ()
    assert [one.code for one in again.rejected] == ["cap.reached"] * 2


def test_what_was_complained_about_is_not_sent_again_and_the_message_is_not_changed():
    mail = request(channel="email", placements=("letter",), personalise=False)
    sold = engine(offer("roadside"), offer("cover"), policy=policy())
    (first, *_) = decide(sold, mail, known()).offers
    until = NOON + 300 * DAY
    silence = Silence("complaint", first.offer, first.products[0], "service", until)
    about = known(state=CustomerState(1, silences=(silence,)))
    decision = decide(sold, mail, about)
    assert decision.offers == ()
    assert {one.code for one in decision.rejected} == {"silence.complaint"}
    assert (decision.outcome, decision.later_on) == ("later", until)
    assert decide(sold, request(personalise=False), about).offers  # they came for it


def test_what_is_sent_is_cut_to_what_caps_allow_anybody():
    mail = request(channel="email", placements=("letter",), personalise=False)
    decision = decide(SELLER, mail, known())
    assert len(decision.offers) == 1  # of two places in the letter, for whoever gets it


def test_an_inbound_list_leaves_no_trace_in_the_customers_state():
    decision = decide(SELLER, request(personalise=False), known())
    assert decision.contacts
    assert decision.state == CustomerState()


@pytest.mark.parametrize("gets", ["nothing", "popular"])
def test_the_control_group_gets_nothing_personalised(gets: str):
    sold = engine(offer("roadside"), policy=policy(control={"share": 1.0, "gets": gets}))
    decision = decide(sold, request(), known())
    assert decision.control
    if gets == "nothing":
        assert [one.code for one in decision.rejected] == ["control.group"]
    else:
        assert not decision.personalised
        assert [made.selection for made in decision.offers] == ["control"]


def test_the_control_groups_list_leaves_out_what_they_said_no_to_and_counts_under_caps():
    caps = [{"name": "c", "scope": "offer", "limit": 1, "period": "7d"}]
    sold = engine(
        offer("roadside"),
        offer("cover"),
        policy=policy(caps=caps, control={"share": 1.0, "gets": "popular"}),
    )
    silence = Silence("decline", "cover", "cover", "insurance", NOON + 90 * DAY)
    first = decide(sold, request(), known(state=CustomerState(1, silences=(silence,))))
    assert [made.offer for made in first.offers] == ["roadside"]
    assert [one.code for one in first.rejected] == ["silence.decline"]
    assert first.state.contacts == first.contacts
    again = decide(sold, request(), known(state=first.state, at=NOON + 60))
    assert {one.code for one in again.rejected} == {"silence.decline", "cap.reached"}
    assert not again.personalised


LATE = {**FACTS, "in_arrears": True, "days_in_arrears": 40.0, "contract_instalment": 200.0}


@pytest.mark.parametrize("said", [None, False])
def test_in_arrears_help_is_owed_whoever_agreed_to_what(said: bool | None):
    """On the contract alone: nothing else that is known of them changes it."""
    sold = engine(
        offer("roadside"),
        offer("retermed", applicability=["in_arrears"]),
        offer("retermed", id="rich", eligibility=["income > 1"]),
        policy=policy(),
    )
    about = known({**LATE, "consent_personalisation": said})
    decision = decide(sold, request(), about)
    assert [made.offer for made in decision.offers] == ["retermed"]
    assert decision.personalised
    assert {one.offer: one.code for one in decision.rejected} == {
        "roadside": "customer.in_arrears",
        "rich": "rule.eligibility",
    }
    other = known(
        {**about.customer.facts, "income": 900.0, "intent": 0.9, "region": "south"},
        accept={"retermed": 0.9},
    )
    assert decide(sold, request(), other).offers == decision.offers
    assert decision.offers[0].parts.accept_from == "base_rate"
    assert decision.state == CustomerState()
    assert decide(sold, request(personalise=False), about).offers == decision.offers


def test_what_is_owed_is_not_sent_and_nobody_vulnerable_gets_it():
    sold = engine(offer("retermed"), policy=policy())
    mail = request(channel="email", placements=("letter",))
    late = {**LATE, "consent_personalisation": False}
    assert {one.code for one in decide(sold, mail, known(late)).rejected} == {"customer.in_arrears"}
    vulnerable = decide(sold, request(), known({**late, "vulnerable": True}))
    assert {one.code for one in vulnerable.rejected} == {"customer.vulnerable"}


def test_nobody_in_arrears_or_without_consent_is_compared():
    sold = engine(offer("retermed"), offer("roadside"), policy=policy(control={"share": 1.0}))
    late = decide(sold, request(), known({**FACTS, "in_arrears": True}))
    assert not late.control
    assert [made.offer for made in late.offers] == ["retermed"]
    assert not decide(sold, request(personalise=False), known()).control


def test_a_stranger_where_the_policy_personalises_without_consent():
    open_policy = policy(personalisation={"without_consent": "personalised"})
    sold = engine(offer("roadside", eligibility=["stage = 'prospect'"]), policy=open_policy)
    decision = decide(sold, request(), replace(known(), customer=STRANGER))
    assert decision.personalised
    assert [made.offer for made in decision.offers] == ["roadside"]
