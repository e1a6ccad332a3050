"""Small sellers of offers, customers and requests: by hand, and at random from a seed.

Every rule of a random seller comes with a Python function that says independently of the rule
language whether it holds, so a checker need not trust what it checks.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random

from oferta.catalogue.offers import Offer, OfferCatalogue, Placement
from oferta.decisions.engine import Engine
from oferta.decisions.request import Customer, FactValue, Known, Propensity, Request, Wish
from oferta.policy.contact import Contact, CustomerState, Silence
from oferta.policy.file import Policy
from oferta.terms.card import RateCards, load_cards

Facts = Mapping[str, FactValue]
Holds = Callable[[Facts], bool]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
TODAY = 20_780.0
"""2026-11-23, as whole days since 1970."""

TIERS = ("A", "B", "C")

CARD = """
valid_from = 2026-01-01
currency = "EUR"

[[credit]]
products = ["loan", "balloon", "falling", "retermed", "planned"]
months = [[1, 24], [25, 48], [49, 84]]
amount = [[500, 10_000], [10_000, 80_000]]
amount_points = [0.5, 0]
fees = [{ name = "handling", paid = "start", percent = 1.0, most = 250 }]
[credit.rates]
A = [3.9, 4.4, 4.9]
B = [4.9, 5.4, 5.9]
C = [6.9, 7.4, 7.9]

[[lease]]
products = ["lease"]
months = [[1, 60]]
amount = [[5_000, 80_000]]
mileage_km_year = [10_000, 15_000, 20_000]
mileage_fee = [0, 12, 25]
[lease.rates]
A = [4.1]
B = [5.1]
C = [7.1]

[[insurance]]
products = ["cover"]
insured = [1_000, 100_000]
excess = [0, 300, 600]
percent = [3.2, 2.8, 2.5]
minimum = [150, 130, 110]

[[price]]
products = ["roadside", "charging"]
months = [12]
monthly = [9.9]

[[price]]
products = ["trade"]
once = 0
"""


@lru_cache(maxsize=1)
def cards() -> RateCards:
    """One rate card for all products of these worlds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "card.toml").write_text(CARD, encoding="utf-8")
        return load_cards(Path(folder))


TERMS: Mapping[str, tuple[str, dict[str, object]]] = {
    "loan": (
        "loan",
        {
            "kind": "equal_instalment",
            "amount": {"min": 2000, "max": 40_000, "start": "COALESCE(wished_amount, 12000)"},
            "months": [12, 24, 36, 48, 60],
            "start_months": 36,
            "deposit": {"min": 0.0, "max": 0.5, "start": 0.1},
        },
    ),
    "balloon": (
        "loan",
        {
            "kind": "balloon",
            "amount": {"min": 3000, "max": 50_000, "start": "COALESCE(balloon_amount, 15000)"},
            "months": [24, 36, 48],
            "start_months": 36,
            "final": {"min": 0.1, "max": 0.4, "start": 0.3},
            "deposit": {"min": 0.0, "max": 0.3, "start": 0.1},
        },
    ),
    "falling": (
        "loan",
        {
            "kind": "equal_principal",
            "amount": {"min": 1000, "max": 20_000, "start": "market_value / 2"},
            "months": [12, 24, 36],
            "start_months": 24,
            "car_value": "market_value",
            "max_loan_to_value": 0.8,
        },
    ),
    "lease": (
        "lease",
        {
            "kind": "lease",
            "car_value": "COALESCE(market_value * 1.5, 24000)",
            "months": [24, 36, 48],
            "start_months": 36,
            "residual": {"min": 0.2, "max": 0.6, "start": 0.4},
            "mileage_km_year": [10_000, 15_000, 20_000],
            "start_mileage_km_year": 15_000,
        },
    ),
    "cover": (
        "insurance",
        {
            "kind": "insurance",
            "insured_value": "market_value",
            "excess": [0, 300, 600],
            "start_excess": 300,
        },
    ),
    "roadside": ("service", {"kind": "price"}),
    "charging": ("service", {"kind": "price"}),
    "trade": ("trade_in", {"kind": "price", "paid": "once", "months": 1}),
    "retermed": ("servicing", {"kind": "re_term", "months": [24, 36, 48, 60, 72, 84]}),
    "planned": ("servicing", {"kind": "payment_plan", "months": [6, 12, 24]}),
}
"""By product: its family and an offer's range of terms."""

MARGINS: Mapping[str, str] = {
    "loan": "0.3 * amount * rate / 100 * months / 24 - 60",
    "balloon": "0.02 * amount + 20",
    "falling": "0.02 * amount",
    "lease": "0.03 * amount",
    "cover": "0.2 * price",
    "roadside": "25",
    "charging": "15 + COALESCE(intent, 0) * 20",
    "trade": "120",
    "retermed": "-10",
    "planned": "0.001 * amount",
}


def offer(product: str, /, **settings: object) -> Offer:
    """An approved offer of a product on all channels; `settings` override or add."""
    family, terms = TERMS[product]
    plain: dict[str, object] = {
        "id": product,
        "products": [product],
        "family": family,
        "status": "approved",
        "channels": ["app", "web", "email", "push", "call_centre"],
        "margin": MARGINS[product],
        "terms": terms,
        "texts": {
            "name": {"en": product.title(), "zh": f"产品{product}"},
            "summary": {"en": f"About {product}", "zh": f"关于{product}"},
        },
    }
    return Offer.model_validate({**plain, **settings})


PLACEMENTS = tuple(
    Placement.model_validate(one)
    for one in (
        {"id": "home", "channel": "app", "size": 3},
        {"id": "garage", "channel": "app", "size": 2, "families": ["insurance", "service"]},
        {
            "id": "charger",
            "channel": "app",
            "size": 1,
            "context": {"station": "text", "kwh": "number", "member": "boolean"},
        },
        {"id": "start", "channel": "web", "size": 4},
        {"id": "letter", "channel": "email", "size": 2},
        {"id": "note", "channel": "push", "size": 1},
        {"id": "desk", "channel": "call_centre", "size": 5},
    )
)


def policy(**settings: object) -> Policy:
    """A policy with five channels, two of them outbound; `settings` override or add."""
    plain: dict[str, object] = {
        "time_zone": "Europe/Madrid",
        "attributes": {"car_wanted": "number", "club": "boolean"},
        "channels": {
            "app": {"direction": "inbound"},
            "web": {"direction": "inbound"},
            "call_centre": {"direction": "inbound", "hold": "2h"},
            "email": {"direction": "outbound", "consent": "email"},
            "push": {
                "direction": "outbound",
                "consent": "push",
                "quiet": {"start": "21:00:00", "end": "08:00:00"},
            },
        },
        "risk": {
            "tiers": {
                "A": {"approved": {"loan": 0.95, "lease": 0.9}, "default": 0.01},
                "B": {"approved": {"loan": 0.8, "lease": 0.75}, "default": 0.03},
                "C": {"approved": {"loan": 0.5, "lease": 0.4}, "default": 0.08},
            },
            "loss_given_default": {"loan": 0.4, "lease": 0.2},
        },
    }
    return Policy.model_validate({**plain, **settings})


def engine(*offers: Offer, policy: Policy, placements: Sequence[Placement] = PLACEMENTS) -> Engine:
    """The engine of these offers."""
    return Engine.build(OfferCatalogue(tuple(offers), tuple(placements)), policy, cards())


FACTS: Facts = {
    "region": "north",
    "income": 3000.0,
    "spending": 1000.0,
    "instalments": 200.0,
    "risk_tier": "B",
    "consent_personalisation": True,
    "consent_marketing": True,
    "consent_email": True,
    "consent_push": True,
    "has_finance": True,
    "contract_start": TODAY - 800,
    "contract_end": TODAY + 120,
    "payoff": 6000.0,
    "balloon_amount": 5000.0,
    "balloon_due": TODAY + 120,
    "contracts_active": 1.0,
    "has_vehicle": True,
    "market_value": 14_000.0,
    "intent": 0.5,
}
"""A customer who has agreed to everything and can afford most."""


def known(
    facts: Facts = FACTS,
    *,
    accept: Mapping[str, float] | None = None,
    state: CustomerState | None = None,
    totals: Mapping[str, int] | None = None,
    at: float = NOON,
) -> Known:
    """What is known; `accept`: calibrated chances by product, 0.1 for those left out."""
    chances = dict.fromkeys(TERMS, 0.1) | dict(accept or {})
    return Known(
        customer=Customer(
            facts,
            {
                product: Propensity(chance, chance, "similar_taste", "roadside")
                for product, chance in chances.items()
            },
        ),
        popular=dict.fromkeys(TERMS, 0.05),
        at=at,
        state=state or CustomerState(),
        totals=totals or {},
        release=7,
        model="als/3",
        release_at=at - 3600,
    )


def request(**settings: object) -> Request:
    """A request for the app's first page."""
    plain: dict[str, object] = {"customer_id": "c1", "channel": "app", "placements": ("home",)}
    return Request(**{**plain, **settings})  # type: ignore[arg-type]  # plain test settings


# At random, from a seed.


def chance(seed: str | int) -> Random:
    """A generator of everything random here; the same seed makes the same world."""
    return Random(seed)  # noqa: S311 - nothing here is a secret


@dataclass(frozen=True, slots=True)
class Seller:
    """A random seller.

    Attributes:
        holds: per offer, functions that must all be true of facts, context and channel.
    """

    engine: Engine
    holds: Mapping[str, tuple[Holds, ...]]


def _number(name: str, least: float) -> tuple[str, Holds]:
    def holds(row: Facts) -> bool:
        value = row.get(name)
        return isinstance(value, float) and value >= least

    return f"{name} >= {least}", holds


def _is(name: str, *values: str) -> tuple[str, Holds]:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{name} IN ({listed})", lambda row: row.get(name) in values


def _true(name: str) -> tuple[str, Holds]:
    return name, lambda row: row.get(name) is True


def _not(name: str) -> tuple[str, Holds]:
    return f"NOT {name}", lambda row: row.get(name) is False


def _not_surely(name: str) -> tuple[str, Holds]:
    return f"NOT COALESCE({name}, FALSE)", lambda row: row.get(name) is not True


def _within(name: str, days: float) -> tuple[str, Holds]:
    def holds(row: Facts) -> bool:
        value, today = row.get(name), row["today"]
        return isinstance(value, float) and 0 <= value - float(str(today)) <= days

    return f"{name} - today BETWEEN 0 AND {days}", holds


def _either(one: tuple[str, Holds], other: tuple[str, Holds]) -> tuple[str, Holds]:
    return f"{one[0]} OR {other[0]}", lambda row: one[1](row) or other[1](row)


def _both(one: tuple[str, Holds], other: tuple[str, Holds]) -> tuple[str, Holds]:
    return f"({one[0]}) AND ({other[0]})", lambda row: one[1](row) and other[1](row)


def _rule(rng: Random, *, deep: bool = True) -> tuple[str, Holds]:
    """A random rule, as text and as a function."""
    if deep and rng.random() < 0.2:
        return rng.choice((_either, _both))(_rule(rng, deep=False), _rule(rng, deep=False))
    name = rng.choice(("has_finance", "has_vehicle", "attr_club"))
    return rng.choice(
        (
            _number("income", rng.choice((800.0, 1500.0, 2500.0))),
            _number("intent", rng.choice((0.1, 0.5))),
            _number("market_value", rng.choice((2000.0, 9000.0))),
            _number("context_kwh", 5.0),
            _is("risk_tier", *rng.sample(TIERS, rng.randint(1, 3))),
            _is("region", *rng.sample(("north", "south", "east"), 2)),
            _is("channel", *rng.sample(("app", "web", "email", "push", "call_centre"), 4)),
            _within(rng.choice(("contract_end", "balloon_due")), rng.choice((30.0, 180.0))),
            rng.choice((_true, _not, _not_surely))(name),
            _true("context_member"),
        )
    )


def _offer(rng: Random, number: int) -> tuple[Offer, tuple[Holds, ...]]:
    product = rng.choice(tuple(TERMS))
    rules = [_rule(rng) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    tiers: dict[str, list[str]] = {"eligibility": [], "applicability": [], "suitability": []}
    for text, _ in rules:
        tiers[rng.choice(tuple(tiers))].append(text)
    family = TERMS[product][0]
    takes = [place.id for place in PLACEMENTS if not place.families or family in place.families]
    channels = rng.sample(("app", "web", "email", "push", "call_centre"), rng.randint(3, 5))
    mine = [place.id for place in PLACEMENTS if place.channel in channels and place.id in takes]
    at = datetime.fromtimestamp(NOON, UTC)
    settings: dict[str, object] = {
        "id": f"{product}-{number}",
        "status": rng.choice(("approved",) * 20 + ("draft", "paused", "archived")),
        "channels": channels,
        "starts": rng.choice((*(None,) * 8, at - timedelta(days=9), at + timedelta(days=5))),
        "ends": rng.choice((*(None,) * 8, at + timedelta(days=9), at - timedelta(days=2))),
        "placements": rng.sample(mine, 1) if mine and rng.random() < 0.2 else [],
        "margin": rng.choice((MARGINS[product],) * 6 + ("-5", "market_value / 1000")),
        **tiers,
    }
    if family == "service" and rng.random() < 0.3:
        settings["products"] = [product, "trade"]
    start, end = settings["starts"], settings["ends"]
    if isinstance(start, datetime) and isinstance(end, datetime) and end <= start:
        settings["ends"] = None
    return offer(product, **settings), tuple(holds for _, holds in rules)


def _policy(
    rng: Random, offers: Sequence[Offer]
) -> tuple[Policy, list[tuple[frozenset[str], Holds]]]:
    caps = []
    for number in range(rng.randint(0, 5)):
        scope = rng.choice(("offer", "product", "family", "channel", "placement", "all"))
        among: Mapping[str, Sequence[str]] = {
            "offer": [one.id for one in offers],
            "product": [one.products[0] for one in offers],
            "family": ["loan", "insurance", "service", "lease"],
            "channel": ["app", "email", "push"],
            "placement": ["home", "letter", "start"],
            "all": [],
        }
        some = sorted(set(among[scope]))
        caps.append(
            {
                "name": f"cap-{number}",
                "event": rng.choice(("decision", "impression", "click", "accept")),
                "scope": scope,
                "of": rng.sample(some, min(2, len(some))) if rng.random() < 0.4 else [],
                "per": rng.choice(("customer", "customer", "customer", "total")),
                "limit": rng.randint(1, 4),
                "period": rng.choice(("12h", "1d", "7d", "30d")),
            }
        )
    families = frozenset(rng.sample(("loan", "lease", "insurance", "service"), rng.randint(0, 2)))
    text, holds = _rule(rng)
    weights = [
        {
            "name": f"weight-{number}",
            "when": _rule(rng)[0],
            "families": rng.sample(("loan", "service", "insurance"), rng.randint(0, 2)),
            "factor": rng.choice((0.5, 1.0, 1.5, 3.0)),
            "text": {"en": f"Because {number}", "zh": f"因为{number}"},
        }
        for number in range(rng.randint(0, 4))
    ]
    made = policy(
        caps=caps,
        weights=weights,
        rules=[{"name": "house", "families": sorted(families), "rule": text}],
        levers=[{"families": ["service"], "factor": 1.3, "reason": "board"}],
        cool_down={"scope": rng.choice(("offer", "product", "family"))},
        exploration={"share": rng.choice((0.0, 0.1, 0.5, 1.0))},
        control={"share": rng.choice((0.0, 0.1)), "gets": rng.choice(("nothing", "popular"))},
        diversity={"per_family": rng.choice((None, 1, 2))},
        personalisation={"without_consent": rng.choice(("non_personalised", "personalised"))},
        affordability={"share": 0.4, "unknown_income": rng.choice(("refuse", "allow"))},
    )
    return made, [(families, holds)]


def seller(rng: Random, *, offers: int = 24) -> Seller:
    """A random seller: up to `offers` offers over ten products, caps, weights, rules, shares."""
    made = [_offer(rng, number) for number in range(rng.choice((2, offers // 2, offers, offers)))]
    catalogue = [one for one, _ in made]
    rules, house = _policy(rng, catalogue)
    return Seller(
        engine(*catalogue, policy=rules),
        {
            one.id: (
                *holds,
                *(rule for families, rule in house if not families or one.family in families),
            )
            for one, holds in made
        },
    )


def customer(rng: Random) -> Customer:
    """A random customer: any fact may be unknown, some have agreed to nothing."""

    def maybe(value: FactValue, chance: float = 0.8) -> FactValue:
        return value if rng.random() < chance else None

    facts: dict[str, FactValue] = {
        "region": maybe(rng.choice(("north", "south", "east"))),
        "income": maybe(float(rng.randint(500, 6000)), 0.9),
        "spending": maybe(float(rng.randint(200, 1500))),
        "instalments": maybe(float(rng.randint(0, 600))),
        "risk_tier": maybe(rng.choice(TIERS), 0.95),
        "vulnerable": maybe(rng.random() < 0.04, 0.5),
        "in_arrears": maybe(rng.random() < 0.1),
        "days_in_arrears": maybe(float(rng.randint(0, 120)), 0.5),
        "consent_personalisation": maybe(rng.random() < 0.85, 0.9),
        "consent_marketing": maybe(rng.random() < 0.8),
        "consent_email": maybe(rng.random() < 0.8),
        "consent_push": maybe(rng.random() < 0.8),
        "channel_preference": maybe(rng.choice(("app", "web", "email"))),
        "has_finance": maybe(rng.random() < 0.6),
        "has_vehicle": maybe(rng.random() < 0.7),
        "contract_start": maybe(TODAY - rng.randint(1, 1500)),
        "contract_end": maybe(TODAY + rng.randint(-100, 1000)),
        "payoff": maybe(float(rng.randint(500, 20_000))),
        "balloon_amount": maybe(float(rng.randint(2000, 12_000)), 0.4),
        "balloon_due": maybe(TODAY + rng.randint(-10, 400), 0.4),
        "market_value": maybe(float(rng.randint(1000, 30_000))),
        "intent": maybe(rng.random()),
        "wished_at": maybe(TODAY - rng.randint(0, 120), 0.3),
        "wished_amount": maybe(float(rng.randint(1000, 30_000)), 0.4),
        "wished_instalment": maybe(float(rng.randint(50, 600)), 0.3),
        "attr_club": maybe(rng.random() < 0.5),
    }
    propensities = {
        product: Propensity(
            rng.choice((None, rng.random() / 3)),
            rng.random(),
            "often_follows",
            rng.choice((None, "loan")),
        )
        for product in TERMS
        if rng.random() < 0.9
    }
    return Customer(
        {name: value for name, value in facts.items() if value is not None},
        propensities if rng.random() < 0.9 else {},
    )


def state(rng: Random, sold: Seller, *, at: float) -> CustomerState:
    """Contacts and silences of the last weeks, such as this seller may have made."""
    offers = sold.engine.catalogue.offers
    contacts = []
    for number in range(rng.choice((0, 0, 1, 3, 8))):
        one = rng.choice(offers)
        place = rng.choice(PLACEMENTS)
        made_at = at - rng.random() * rng.choice((0.5, 3.0, 40.0)) * DAY
        shown = rng.random() < 0.6
        clicked = shown and rng.random() < 0.4
        accepted = clicked and rng.random() < 0.4
        contacts.append(
            Contact(
                decision=f"d_{number // 2}",
                offer=one.id,
                product=one.products[0],
                family=one.family,
                channel=place.channel,
                placement=place.id,
                made_at=made_at,
                held_until=made_at + rng.choice((1800.0, 259_200.0)),
                shown_at=min(at, made_at + 60) if shown else None,
                clicked_at=min(at, made_at + 90) if clicked else None,
                accepted_at=min(at, made_at + 120) if accepted else None,
            )
        )
    silences = []
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        one = rng.choice(offers)
        silences.append(
            Silence(
                answer=rng.choice(("decline", "later", "complaint", "accept")),
                offer=one.id,
                product=one.products[0],
                family=one.family,
                until=at + rng.uniform(-5, 60) * DAY,
            )
        )
    contacts.sort(key=lambda contact: contact.made_at)
    told = at - 7200 if rng.random() < 0.02 else None
    return CustomerState(rng.randint(0, 9), tuple(contacts), tuple(silences), (), told)


def situation(rng: Random, sold: Seller) -> tuple[Request, Known]:
    """A random request of a random customer, and what is known of them."""
    at = NOON + rng.uniform(-1, 1) * DAY
    totals = {
        f"{cap.name}/{key}": rng.randint(0, cap.limit)
        for cap in sold.engine.total_caps
        for key in ("all", *sold.engine.by_id, *TERMS, "app", "email", "home", "loan", "service")
        if rng.random() < 0.5
    }
    about = known(at=at, totals=totals, state=state(rng, sold, at=at))
    return random_request(rng, sold), replace(about, customer=customer(rng))


def random_request(rng: Random, sold: Seller) -> Request:
    """A random request, right in all its fields."""
    channel = rng.choice(("app", "app", "web", "email", "push", "call_centre", "any", "any"))
    able = [place for place in PLACEMENTS if channel in ("any", place.channel)]
    asked = rng.sample(able, rng.randint(1, len(able)))
    if channel == "any" and rng.random() < 0.3:
        asked = []
    context: dict[str, FactValue] = {}
    if any(place.id == "charger" for place in asked) or channel == "app":
        context = {"station": "s1", "kwh": float(rng.randint(0, 20)), "member": rng.random() < 0.5}
    names = sorted(sold.engine.by_id)
    wish = None
    if rng.random() < 0.3:
        wish = Wish(
            amount=rng.choice((None, float(rng.randint(1000, 40_000)))),
            months=rng.choice((None, 12, 30, 48)),
            deposit=rng.choice((None, 500.0)),
            instalment=rng.choice((None, float(rng.randint(60, 700)))),
            product=rng.choice(
                (None, None, "insurance", sold.engine.catalogue.offers[0].products[0])
            ),
        )
    return Request(
        customer_id=f"c{rng.randint(0, 10**9)}",
        channel=channel,
        placements=tuple(place.id for place in asked),
        request_id=rng.choice((None, f"r{rng.randint(0, 10**9)}")),
        n=rng.choice((None, None, 1, 3)),
        context=context,
        wish=wish,
        filter=rng.choice((None, None, None, "family <> 'lease'", "COALESCE(income, 0) > 900")),
        personalise=rng.random() < 0.9,
        offers=tuple(rng.sample(names, 2)) if len(names) > 2 and rng.random() < 0.1 else (),
    )
