"""`policy.toml`: what may be decided, by whom it may be heard, and what weighs how much.

Amounts are in the currency's main unit. Durations are written `30m`, `72h`, `7d`. Rules are SQL
expressions over the facts of `oferta.profile.facts` and the placement's context (`context_NAME`).
"""

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator

from oferta.catalogue.families import Family
from oferta.catalogue.offers import Channel, Name, Rule
from oferta.catalogue.texts import Text
from oferta.settings import Settings, load

_DURATION = re.compile(r"([1-9]\d{0,4})([mhd])")
_UNIT = {"m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return timedelta(**{_UNIT[found[2]]: int(found[1])})
    raise ValueError("write a duration as 30m, 72h or 7d")


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1000)]

CapEvent = Literal["decision", "impression", "click", "accept"]
Scope = Literal["offer", "product", "family", "channel", "placement", "all"]
Purpose = Literal["personalisation", "marketing", "email", "sms", "push", "phone"]


class Quiet(Settings):
    """Hours of the policy's time zone in which a channel stays silent; may pass midnight."""

    start: time
    end: time


class ChannelPolicy(Settings):
    """One channel: who begins, how long a decision holds its place under the caps, when silent."""

    direction: Literal["inbound", "outbound"]
    hold: Duration | None = None
    """None: 30 minutes inbound, 72 hours outbound."""
    consent: Purpose | None = None
    """What a customer must have agreed to before this channel is used; None: nothing."""
    quiet: Quiet | None = None

    @property
    def holds(self) -> timedelta:
        """How long a reservation lasts without an impression."""
        if self.hold is not None:
            return self.hold
        return timedelta(minutes=30) if self.direction == "inbound" else timedelta(hours=72)


class Cap(Settings):
    """At most `limit` events of one kind within any window of `period`.

    Counted per customer or in total; over everything, or apart for each offer, product, family,
    channel or placement; `of` narrows it to some of them. A decision counts from when it is made
    while its reservation holds; an impression, click or accept counts a decision that may still
    become one.
    """

    name: Name
    event: CapEvent = "impression"
    scope: Scope = "all"
    of: tuple[str, ...] = ()
    per: Literal["customer", "total"] = "customer"
    limit: Annotated[int, Field(ge=1)]
    period: Duration


class CoolDown(Settings):
    """How long a no silences what was refused, in every channel."""

    decline: Duration = timedelta(days=90)
    later: Duration = timedelta(days=14)
    complaint: Duration = timedelta(days=365)
    accept: Duration = timedelta(days=30)
    """What was just taken is not offered again, until the books know it."""
    scope: Literal["offer", "product", "family"] = "product"


class FamilyRule(Settings):
    """A rule for whole families: an offer's own rules add to it."""

    name: Name
    tier: Literal["eligibility", "applicability", "suitability"] = "eligibility"
    families: tuple[Family, ...] = ()
    """Empty: all."""
    rule: Rule


class Weight(Settings):
    """A context weight: times `factor` where `when` is true; its text is a reason."""

    name: Name
    when: Rule
    families: tuple[Family, ...] = ()
    offers: tuple[Name, ...] = ()
    """Both empty: every offer."""
    factor: Factor
    text: Text | None = None
    """None: no reason, as where a factor is below one."""


class Lever(Settings):
    """A business lever on offers or families: times `factor`, with who asked for it and why."""

    families: tuple[Family, ...] = ()
    offers: tuple[Name, ...] = ()
    factor: Factor
    reason: str


class Tier(Settings):
    """What is known of a declared risk tier: for arbitration, never for a price."""

    approved: dict[Family, Share] = Field(default_factory=dict)
    """P(approved) by family; a family that is not named needs no approval (1)."""
    default: Share = 0.0
    """Chance that credit of this tier defaults over its life."""


class Risk(Settings):
    """Expected loss = default x loss given default x amount, for credit families."""

    tiers: dict[str, Tier] = Field(default_factory=dict)
    loss_given_default: dict[Family, Share] = Field(default_factory=dict)


class Affordability(Settings):
    """instalment <= share x (income - spending) - existing instalments."""

    share: Share = 0.4
    unknown_income: Literal["refuse", "allow"] = "refuse"


class Exploration(Settings):
    """This share of decisions draws its first offer at random among the eligible ones."""

    share: Share = 0.0


class Control(Settings):
    """Customers who get nothing personalised, to compare with: a hash of customer and period."""

    share: Share = 0.0
    period: Literal["month", "quarter", "year"] = "month"
    gets: Literal["nothing", "popular"] = "nothing"
    salt: str = "control"


class Diversity(Settings):
    """Of one answer, at most so many offers of one family and of one bundle's products."""

    per_family: Annotated[int, Field(ge=1)] | None = None


class Personalisation(Settings):
    """What holds for a customer whose consent to personalisation is not known."""

    without_consent: Literal["non_personalised", "personalised"] = "non_personalised"


class TriggerRule(Settings):
    """The engine speaks first: where `when` becomes true, the best of `offers` is due.

    `due` is the expression of the day it falls due; the trigger fires once for each value of
    `once_per`, an expression, so that a replay on the next day is silent.
    """

    name: Name
    when: Rule
    due: Rule
    once_per: Rule
    families: tuple[Family, ...] = ()
    offers: tuple[Name, ...] = ()
    text: Text


class ValueTiers(Settings):
    """Customer value by a declared formula, cut into tiers.

    Tiers do not flap: one that was reached is left only when the value falls more than
    `hysteresis` below its bound.
    """

    formula: Rule = "COALESCE(contracts_active, 0) + COALESCE(contracts_ended, 0) / 2"
    bounds: dict[str, float] = Field(
        default_factory=lambda: {"basic": 0.0, "plus": 2.0, "top": 4.0}
    )
    """Tier -> the least value it takes, ascending."""
    hysteresis: Share = 0.1


class Policy(Settings):
    """The whole `policy.toml`."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    time_zone: str = "UTC"
    attributes: dict[Name, Literal["number", "text", "boolean", "date"]] = Field(
        default_factory=dict
    )
    """The seller's own attributes of customers that rules may speak of, as `attr_NAME`."""
    channels: dict[Channel, ChannelPolicy]
    caps: tuple[Cap, ...] = ()
    cool_down: CoolDown = CoolDown()
    rules: tuple[FamilyRule, ...] = ()
    weights: tuple[Weight, ...] = ()
    levers: tuple[Lever, ...] = ()
    risk: Risk = Risk()
    affordability: Affordability = Affordability()
    exploration: Exploration = Exploration()
    control: Control = Control()
    diversity: Diversity = Diversity()
    personalisation: Personalisation = Personalisation()
    triggers: tuple[TriggerRule, ...] = ()
    value: ValueTiers = ValueTiers()
    allow_protected: dict[str, str] = Field(default_factory=dict)
    """Protected attributes that rules of credit may read, each with its legal reason."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called '{value}'; as 'Europe/Madrid'") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which days and quiet hours are counted."""
        return ZoneInfo(self.time_zone)


def load_policy(path: Path) -> Policy:
    """The policy in `path`.

    Raises:
        SettingsInvalid: no TOML, an unknown key (with the nearest known one) or a wrong value.
    """
    return load(path, Policy)
