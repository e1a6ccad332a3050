"""The facts of a profile after what the customer did since it was made.

What `profile.behaviour` and `profile.intent` would tell of all events together, as far as it can be
told from the facts and the new events alone: counts of the last thirty days keep what was in them
when the profile was made, and of intent only the strongest family's is known. No data frames:
serving does this for every decision of somebody who did something lately.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import exp, isfinite, log1p
from typing import Final
from zoneinfo import ZoneInfo

from oferta.events.event import AttributeValue
from oferta.events.types import EventType
from oferta.profile.recent import RecentEvent
from oferta.profile.settings import ProfileSettings

FactValue = float | str | bool | None

_DAY_S: Final = 86_400.0
_MONTH_DAYS: Final = 30
_EPOCH: Final = date(1970, 1, 1)
_CERTAIN: Final = 1 - 1e-6  # the largest intent that was not rounded to one
_DIGITAL: Final = frozenset({"app", "web"})
_NUMBERS: Final = ("wished_amount", "wished_months", "wished_deposit", "wished_instalment")
_PLAIN: Final = EventType("", "conversion", 1.0)  # what a type is that nobody declared


@dataclass(frozen=True, slots=True)
class Times:
    """The instants that an overlay reckons with, epoch seconds.

    Attributes:
        as_of: what the facts describe; now: what they are to describe.
        zone: whose days dates are.
    """

    as_of: float
    now: float
    zone: ZoneInfo

    def age_days(self, at: float) -> float:
        """Days from `at` to now, with their fraction."""
        return (self.now - at) / _DAY_S

    def day(self, at: float) -> float:
        """The local day of an instant: whole days since 1970, as facts have them."""
        local = datetime.fromtimestamp(at, UTC).astimezone(self.zone).date()
        return float((local - _EPOCH).days)


@dataclass(frozen=True, slots=True)
class Meanings:
    """What events mean.

    Attributes:
        types: by name; a type that is not there is a conversion.
        families: family of each product by id.
        settings: how the profile was made.
    """

    types: Mapping[str, EventType]
    families: Mapping[str, str | None] = field(default_factory=dict)
    settings: ProfileSettings = field(default_factory=ProfileSettings)

    def of(self, event: RecentEvent) -> EventType:
        """The event's type."""
        return self.types.get(event.type, _PLAIN)


def overlay(
    facts: Mapping[str, FactValue],
    events: Sequence[RecentEvent],
    *,
    times: Times,
    meanings: Meanings,
) -> Mapping[str, FactValue]:
    """`facts` after `events`; themselves where there are none.

    Args:
        facts: of one customer, unknown ones left out.
        events: what they did that the facts do not know of, in any order.
        times: of both.
        meanings: of the events.
    """
    done = sorted((one for one in events if one.at <= times.now), key=lambda one: one.at)
    if not done:
        return facts
    told = {
        **_activity(facts, done, times, meanings),
        **_wishes(facts, done, times, meanings.settings.wish_days),
        **_intent(facts, done, times, meanings),
    }
    return {name: value for name, value in {**facts, **told}.items() if value is not None}


def _activity(
    facts: Mapping[str, FactValue], events: Sequence[RecentEvent], times: Times, meanings: Meanings
) -> dict[str, FactValue]:
    kinds = [(event, meanings.of(event)) for event in events]
    month = [(e, kind) for e, kind in kinds if times.age_days(e.at) < _MONTH_DAYS]
    calculated = [event.at for event, kind in kinds if kind.like == "calculator"]
    bought = [event.at for event, kind in kinds if kind.meaning == "conversion"]
    applied = bought + [event.at for event, kind in kinds if kind.like == "apply"]
    told: dict[str, FactValue] = {
        "last_active": max(times.day(events[-1].at), _number(facts, "last_active")),
        "purchases": _number(facts, "purchases") + len(bought),
        "quotes_30d": _number(facts, "quotes_30d") + _like("quote", month),
        "calculator_30d": _number(facts, "calculator_30d") + _like("calculator", month),
    }
    if any(event.channel is not None for event in events):
        limit = meanings.settings.digital_days
        used = any(e.channel in _DIGITAL and times.age_days(e.at) < limit for e in events)
        told["digital"] = used or facts.get("digital") is True
    if applied and (not calculated or max(applied) >= max(calculated)):
        told["calculator_last"] = None
    elif calculated:
        told["calculator_last"] = times.day(max(calculated))
    return told


def _like(built_in: str, kinds: Iterable[tuple[RecentEvent, EventType]]) -> int:
    return sum(kind.like == built_in for _, kind in kinds)


def _wishes(
    facts: Mapping[str, FactValue], events: Sequence[RecentEvent], times: Times, days: float
) -> dict[str, FactValue]:
    """The latest wish; what it leaves open is taken from earlier ones of the days before it."""
    said = [
        (event.at, name, wish)
        for event in events
        for name in _NUMBERS
        if (wish := _wish(event, name)) is not None
    ]
    if not said:
        return {}
    newest = max(at for at, _, _ in said)
    told: dict[str, FactValue] = {"wished_at": times.day(newest)}
    before = times.day(newest) - _number(facts, "wished_at")
    for name in _NUMBERS:
        mine = [(at, wish) for at, of, wish in said if of == name]
        if mine:
            at, wish = max(mine)
            told[name] = wish if newest - at <= days * _DAY_S else None
        elif before > days:
            told[name] = None
    return told


def _wish(event: RecentEvent, name: str) -> float | None:
    value: AttributeValue | None = event.wishes.get(name)
    try:
        number = None if value is None else float(value)
    except ValueError:
        return None
    return number if number is not None and isfinite(number) and number >= 0 else None


def _intent(
    facts: Mapping[str, FactValue], events: Sequence[RecentEvent], times: Times, meanings: Meanings
) -> dict[str, FactValue]:
    settings, families = meanings.settings.intent, meanings.families
    half_life_s = settings.half_life_days * _DAY_S
    sums: dict[str | None, float] = {}
    was = min(_number(facts, "intent"), _CERTAIN)
    if was > 0:
        family = facts.get("intent_family")
        faded = 0.5 ** (max(times.now - times.as_of, 0.0) / half_life_s)
        sums[family if isinstance(family, str) else None] = -log1p(-was) * faded
    # In the order of time, at one instant what was bought last: that is no longer wished.
    kinds = [(event, meanings.of(event)) for event in events]
    for event, kind in sorted(kinds, key=lambda e: (e[0].at, e[1].meaning == "conversion")):
        if times.age_days(event.at) >= settings.window_days or event.product is None:
            continue
        family = families.get(event.product)
        if kind.meaning == "conversion" and family is not None:
            sums.pop(family, None)
        elif kind.meaning == "interest":
            weight = kind.weight * 0.5 ** ((times.now - event.at) / half_life_s)
            sums[family] = sums.get(family, 0.0) + weight
    if not sums:
        return {"intent": 0.0, "intent_family": None}
    best, top = max((weight, family or "") for family, weight in sums.items())
    return {"intent": round(1 - exp(-best), 6), "intent_family": top or None}


def _number(facts: Mapping[str, FactValue], name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
