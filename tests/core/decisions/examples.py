"""The worked examples of docs/decisions.md: `python -m core.decisions.examples` prints them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from oferta.catalogue.offers import load_catalogue
from oferta.decisions.answer import instant
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.engine import Engine
from oferta.decisions.record import pack_record, unpack_record
from oferta.decisions.replay import differences, replay
from oferta.decisions.request import Customer, FactValue, Known, Propensity, Request, Wish
from oferta.policy.feedback import Feedback
from oferta.policy.file import Policy, load_policy
from oferta.policy.state import apply_feedback
from oferta.terms.card import load_cards

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 23, 11, tzinfo=UTC).timestamp()
DAY = 86_400.0
TODAY = float((date(2026, 11, 23) - date(1970, 1, 1)).days)

ANA: Mapping[str, FactValue] = {
    "region": "north",
    "employment": "employed",
    "income": 3100.0,
    "spending": 1200.0,
    "instalments": 240.0,
    "risk_tier": "B",
    "digital": True,
    "consent_personalisation": True,
    "consent_marketing": True,
    "consent_email": True,
    "consent_push": True,
    "has_finance": True,
    "contract_kind": "balloon",
    "contract_product": "new-car-balloon-loan",
    "contract_start": TODAY - 1050,
    "contract_end": TODAY + 45,
    "contract_months": 36.0,
    "contract_rate": 5.4,
    "contract_instalment": 240.0,
    "payoff": 7200.0,
    "balloon_amount": 7000.0,
    "balloon_due": TODAY + 45,
    "days_in_arrears": 0.0,
    "in_arrears": False,
    "contracts_active": 2.0,
    "contracts_ended": 0.0,
    "insurance_renewal": TODAY + 120,
    "has_vehicle": True,
    "vehicle_body": "saloon",
    "vehicle_fuel": "petrol",
    "vehicle_use": "private",
    "vehicle_condition": "new",
    "vehicle_registered": TODAY - 1050,
    "market_value": 12_500.0,
    "intent": 0.3,
}
"""Her balloon falls due in 45 days; the car is worth more than she owes."""


@lru_cache(maxsize=1)
def sample() -> Engine:
    """The sample seller."""
    return _seller(load_policy(ROOT / "serving/policy.toml"))


def changed(**settings: object) -> Engine:
    """The sample seller with another setting of its policy."""
    policy = load_policy(ROOT / "serving/policy.toml")
    read = Policy.model_validate(settings | {"channels": {"app": {"direction": "inbound"}}})
    return _seller(policy.model_copy(update={name: getattr(read, name) for name in settings}))


def _seller(policy: Policy) -> Engine:
    return Engine.build(
        load_catalogue(ROOT / "serving/catalogue"), policy, load_cards(ROOT / "serving/rate_cards")
    )


def known(**facts: FactValue) -> Known:
    """What is known of Ana, with other facts; everything is as likely to be taken."""
    products = sample().names
    chances = {"balloon-refinance-loan": 0.12, "new-car-balloon-loan": 0.05, "roadside": 0.06}
    return Known(
        customer=Customer(
            {**ANA, **facts},
            {
                product: Propensity(
                    chances.get(product, 0.03), 0.5, "often_follows", "new-car-balloon-loan"
                )
                for product in products
            },
        ),
        popular=dict.fromkeys(products, 0.02)
        | {"roadside-assistance": 0.06, "tyre-insurance": 0.05, "financial-planning": 0.04},
        at=NOON,
        release=7,
        model="als/3",
        release_at=NOON - 6 * 3600,
    )


def home(**settings: object) -> Request:
    """Ana opens the app."""
    plain: dict[str, object] = {"customer_id": "ana", "channel": "app", "placements": ("home",)}
    return Request(**{**plain, **settings})  # type: ignore[arg-type]  # plain settings


MAIL = home(channel="email", placements=("newsletter",))


def told(decision: Decision) -> str:
    """The outcome in a line or some: offers, or why none."""
    if decision.offers:
        return "\n".join(_made(decision))
    until = "" if decision.later_on is None else f" on {instant(decision.later_on)}"
    return f"{decision.outcome}{until}: {decision.why[0][0]} ({decision.why[0][1].en})"


def _made(decision: Decision) -> list[str]:
    lines = []
    for made in decision.offers:
        terms = made.terms
        cost = "no terms" if terms is None else f"{terms.instalment} a month"
        if terms is not None and terms.instalment == 0:
            cost = f"{terms.price} once"
        lines.append(
            f"{made.rank}. {made.offer}, {cost}, worth {made.parts.value:.2f} ({made.selection})"
        )
    return lines


def _stages() -> str:
    decision = decide(sample(), home(), known())
    return "\n".join(
        [told(decision), " > ".join(f"{stage} {left}" for stage, left in decision.funnel)]
    )


def _tiers() -> str:
    found: dict[str, str] = {}
    for one in decide(sample(), home(), known()).rejected:
        if one.code.startswith("rule."):
            found.setdefault(one.code, f"{one.code:<20} {one.offer:<22} {one.detail}")
    return "\n".join(found[code] for code in sorted(found))


def _consent() -> str:
    return "\n".join(
        f"{name} = {value}: {told(decide(sample(), MAIL, known(**{name: value})))}".split("\n")[0]
        for name, value in (("consent_email", False), ("consent_marketing", None))
    )


def _non_personalised() -> str:
    return told(decide(sample(), home(personalise=False), known()))


def _arrears() -> str:
    late = known(in_arrears=True, days_in_arrears=40.0)
    return told(decide(sample(), home(placements=("contract",)), late))


def _caps() -> str:
    first = decide(sample(), MAIL, known())
    two_days_later = replace(known(), at=NOON + 2 * DAY, state=first.state)
    second = decide(sample(), MAIL, two_days_later)
    used, limit = first.caps["mail-a-week/email"]
    return (
        f"on Monday: {len(first.offers)} offers, {used} of {limit} used\n"
        f"on Wednesday: {told(second)}"
    )


def _cool_down() -> str:
    first = decide(sample(), home(), known())
    made = first.offers[2]
    no = Feedback(
        id="f1",
        decision=first.id,
        offer=made.offer,
        product=made.products[0],
        family="lease",
        kind="decline",
        at=NOON + 60,
    )
    state = apply_feedback(first.state, no, policy=sample().policy)
    again = decide(
        sample(), home(offers=(made.offer,)), replace(known(), at=NOON + DAY, state=state)
    )
    return f"declined: {made.offer}\nin every channel: {told(again)}"


def _quiet() -> str:
    night = replace(known(), at=NOON + 11 * 3600)
    push = home(channel="push", placements=("push-slot",))
    return f"{instant(night.at)}: {told(decide(sample(), push, night))}"


def _control() -> str:
    engine = changed(control={"share": 1.0, "gets": "nothing"})
    return told(decide(engine, home(), known()))


def _exploration() -> str:
    engine = changed(exploration={"share": 0.1})
    decision = decide(engine, home(), known())
    (first, *_) = decision.offers
    return f"{first.offer}: {first.selection}, probability {first.probability:.4f}"


def _value() -> str:
    made = decide(sample(), home(), known()).offers[0]
    parts = made.parts
    return (
        f"{made.offer}: {parts.accept} x {parts.approved} x ({parts.margin:.2f} - "
        f"{parts.expected_loss:.2f}) x {parts.context} x {parts.lever} = {parts.value:.2f}"
    )


def _reasons() -> str:
    made = decide(sample(), home(), known()).offers[0]
    return "\n".join(
        f"{reason.code} ({reason.factor}): {reason.text.en} / {reason.text.zh}"
        for reason in made.reasons
    )


def _counter() -> str:
    wish = Wish(amount=18_000, months=36, instalment=420, product="new-car-loan")
    decision = decide(sample(), home(wish=wish, offers=("new-car-loan",)), known())
    terms = decision.offers[0].terms
    assert terms is not None
    changes = ", ".join(f"{one.what} {one.wished} -> {one.offered}" for one in terms.changes)
    return f"{terms.amount} over {terms.months} months, {terms.instalment} a month: {changes}"


def _channel() -> str:
    asked = home(channel="any", placements=("home", "newsletter"), n=1)
    picked = {
        preferred: decide(sample(), asked, known(channel_preference=preferred)).channel
        for preferred in ("email", "app")
    }
    return "\n".join(f"prefers {preferred}: {channel}" for preferred, channel in picked.items())


def _none() -> str:
    return told(decide(sample(), home(), known(vulnerable=True)))


def _receipt() -> str:
    decision = decide(sample(), home(), known())
    lines = [
        f"{one.offer:<24} {one.stage:<12} {one.code:<22} {one.detail}".rstrip()
        for one in decision.rejected
        if one.stage in {"terms", "eligibility"}
    ]
    return "\n".join([*lines[:4], "..."])


def _replay() -> str:
    asked, about = home(), known()
    decision = decide(sample(), asked, about)
    record = unpack_record(pack_record(asked, about, decision, engine=sample()))
    same = replay(sample(), record)
    other = replay(changed(control={"share": 1.0, "gets": "nothing"}), record)
    fields = ", ".join(one.field for one in differences(decision, other))
    return f"same files: equal is {same == decision}\nanother policy: {fields} differ"


EXAMPLES: Mapping[str, Callable[[], str]] = {
    "stages": _stages,
    "tiers": _tiers,
    "consent": _consent,
    "non-personalised": _non_personalised,
    "arrears": _arrears,
    "caps": _caps,
    "cool-down": _cool_down,
    "quiet hours": _quiet,
    "control group": _control,
    "value": _value,
    "exploration": _exploration,
    "reasons": _reasons,
    "counter-offer": _counter,
    "channel": _channel,
    "none": _none,
    "receipt": _receipt,
    "replay": _replay,
}


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        print(f"## {name}\n```text\n{example()}\n```\n")  # noqa: T201 - that is what it is for
