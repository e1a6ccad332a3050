"""Facts after new events, against facts built of all events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.columns import WISHES
from oferta.events.event import Position
from oferta.events.types import event_types
from oferta.profile.behaviour import activity_facts, wish_facts
from oferta.profile.intent import intent_facts
from oferta.profile.moment import Moment
from oferta.profile.overlay import Meanings, Times, overlay
from oferta.profile.recent import RecentEvent
from oferta.profile.settings import Intent, ProfileSettings

HOUR, DAY = 3600.0, 86_400.0
MADE = datetime(2026, 3, 1, 2, tzinfo=UTC).timestamp()
NOW = MADE + 1.5 * DAY
ZONE = ZoneInfo("Europe/Berlin")
FAMILIES: dict[str, str | None] = {
    "loan-1": "loan",
    "loan-2": "loan",
    "gap": "insurance",
    "odd": None,
}
TYPES = event_types({"Kalkulator": "calculator", "callback": 0.4, "Vertrag": 1.0})
KINDS = pl.DataFrame(
    {"product_id": list(FAMILIES), "family": list(FAMILIES.values())},
    schema={"product_id": pl.String, "family": pl.String},
)
FACTS = (
    *("last_active", "digital", "purchases", "quotes_30d", "calculator_30d", "calculator_last"),
    *("wished_amount", "wished_months", "wished_deposit", "wished_instalment", "wished_at"),
    *("intent", "intent_family"),
)


@dataclass(frozen=True)
class Did:
    type: str
    product: str
    at: float
    channel: str | None = None
    amount: float | None = None
    months: float | None = None


def built(events: Sequence[Did], at: float) -> dict[str, object]:
    """The facts of all `events` at the instant `at`, as rules see them."""
    moment = Moment(datetime.fromtimestamp(at, UTC), ZONE)
    frame = pl.DataFrame(
        {
            "customer_id": ["c"] * len(events),
            "product_id": [e.product for e in events],
            "event_type": [e.type for e in events],
            "timestamp": [round(e.at * 1e6) for e in events],
            "channel": [e.channel for e in events],
            "wished_amount": [e.amount for e in events],
            "wished_months": [e.months for e in events],
        },
        schema_overrides={
            **dict.fromkeys(("customer_id", "product_id", "event_type", "channel"), pl.String),
            **dict.fromkeys(("wished_amount", "wished_months"), pl.Float64),
            "timestamp": pl.Int64,
        },
    ).with_columns(pl.from_epoch("timestamp", "us").dt.replace_time_zone("UTC"))
    told = {"types": TYPES, "moment": moment}
    chosen = ProfileSettings()
    parts = [
        activity_facts(frame.lazy(), settings=chosen, **told),
        intent_facts(frame.lazy(), KINDS, settings=Intent(), **told),
        wish_facts(frame.lazy(), moment=moment, settings=chosen),
    ]
    found: dict[str, object] = {}
    for part in parts:
        rows = part.collect().to_dicts()
        found |= rows[0] if rows else {}
    found = {"intent": 0.0, "purchases": 0.0, "quotes_30d": 0.0, "calculator_30d": 0.0} | {
        name: value for name, value in found.items() if value is not None
    }
    return {
        name: float((value - date(1970, 1, 1)).days) if isinstance(value, date) else value
        for name, value in found.items()
        if name in FACTS
    }


def recent(events: Sequence[Did]) -> list[RecentEvent]:
    rows = []
    for at, e in enumerate(events):
        wishes = {"wished_amount": e.amount, "wished_months": e.months}
        wishes = {name: value for name, value in wishes.items() if value is not None}
        rows.append(RecentEvent(Position(at, 0), e.type, e.product, e.at, e.channel, None, wishes))
    return rows


def after(facts: Mapping[str, object], events: Sequence[Did]) -> dict[str, object]:
    made = overlay(
        facts,
        recent(events),
        times=Times(MADE, NOW, ZONE),
        meanings=Meanings(TYPES, FAMILIES),
    )
    return dict(made)


kinds = st.sampled_from(
    (
        *("view", "quote", "calculator", "Kalkulator", "callback", "apply"),
        *("purchase", "Vertrag", "impression", "decline", "return"),
    )
)
channels = st.sampled_from([None, "app", "branch"])
wishes = st.sampled_from([None, None, 0.0, 9_000.0, 12_000.0, -1.0])


def happened(first: float, last: float, products: Sequence[str]) -> st.SearchStrategy[list[Did]]:
    one = st.builds(
        Did,
        type=kinds,
        product=st.sampled_from(products),
        at=st.integers(int(first / HOUR) + 1, int(last / HOUR)).map(lambda hour: hour * HOUR),
        channel=channels,
        amount=wishes,
        months=wishes,
    )
    return st.lists(one, max_size=6)


@settings(max_examples=80, deadline=None)
@given(
    # Of intent only the strongest family is in a profile, so before it there is one alone.
    old=happened(MADE - 20 * DAY, MADE, ["loan-1", "loan-2"]),
    new=happened(MADE, NOW, list(FAMILIES)),
)
def test_a_profile_and_what_came_since_are_the_profile_of_both(old: list[Did], new: list[Did]):
    if not new:
        return
    wanted, made = built([*old, *new], NOW), after(built(old, MADE), new)
    wanted_intent, intent = wanted.pop("intent"), made.pop("intent")
    assert intent == pytest.approx(wanted_intent, abs=3e-6)
    if wanted_intent:
        assert made == wanted
    else:
        assert {**made, "intent_family": None} == {**wanted, "intent_family": None}


def test_without_events_the_facts_are_themselves():
    facts = {"intent": 0.4}
    assert overlay(facts, [], times=Times(MADE, NOW, ZONE), meanings=Meanings(TYPES)) is facts
    late = recent([Did("view", "gap", NOW + 1)])
    assert overlay(facts, late, times=Times(MADE, NOW, ZONE), meanings=Meanings(TYPES)) is facts


def test_other_facts_stay_as_they_are():
    made = after(
        {"income": 3000.0, "region": "Graz", "vulnerable": True}, [Did("view", "gap", NOW)]
    )
    assert (made["income"], made["region"], made["vulnerable"]) == (3000.0, "Graz", True)


def test_an_old_wish_is_forgotten_a_month_before_a_new_one():
    facts = {"wished_amount": 5.0, "wished_months": 24.0, "wished_at": MADE // DAY - 40}
    made = after(facts, [Did("calculator", "loan-1", NOW, amount=9.0)])
    assert made["wished_amount"] == 9.0
    assert "wished_months" not in made
    facts["wished_at"] = MADE // DAY - 20
    assert after(facts, [Did("calculator", "loan-1", NOW, amount=9.0)])["wished_months"] == 24.0


def test_wishes_are_those_that_profiles_tell():
    assert {name for name in WISHES if name in FACTS} == {n for n in FACTS if n in WISHES}


def test_what_was_typed_wrongly_is_no_wish():
    (one,) = recent([Did("calculator", "loan-1", NOW)])
    for typed in ("much", "nan", -3.0, "inf"):
        event = one._replace(wishes={"wished_amount": typed})
        made = overlay({}, [event], times=Times(MADE, NOW, ZONE), meanings=Meanings(TYPES))
        assert "wished_at" not in made
    event = one._replace(wishes={"wished_amount": "9000"})
    made = overlay({}, [event], times=Times(MADE, NOW, ZONE), meanings=Meanings(TYPES))
    assert made["wished_amount"] == 9000.0


def test_certain_intent_does_not_break_the_arithmetic():
    made = after({"intent": 1.0, "intent_family": "loan"}, [Did("view", "loan-1", NOW)])
    assert 0.99 < float(str(made["intent"])) <= 1.0
