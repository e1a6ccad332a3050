"""What is asked of the engine, and what is known when it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState

FactValue = float | str | bool | None
"""Dates are whole days since 1970 (as float), numbers floats: what rules compute with."""


Settled = Literal["bought", "declined"]
"""What became of a product since the release: why no offer of it is made."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the customer says they want, in the currency's main unit; None: not said.

    Attributes:
        instalment: the most they want to pay a month.
        budget: likewise for one-off prices.
        product: the product they ask about.
    """

    amount: float | None = None
    months: int | None = None
    deposit: float | None = None
    instalment: float | None = None
    excess: float | None = None
    mileage_km_year: int | None = None
    product: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call for a decision.

    Attributes:
        channel: one of the policy's channels, or `any`: the engine picks.
        placements: ids, filled in this order, no offer twice.
        n: at most so many offers in all; None: the placements' sizes.
        context: per field of the placements' context.
        filter: a further rule over the facts of offer and customer; None: none.
        personalise: False asks for the non-personalised answer.
        dry_run: True reserves nothing and stores nothing.
        offers: only these offers are candidates; empty: all (audiences and triggers ask so).
    """

    customer_id: str
    channel: str
    placements: tuple[str, ...]
    request_id: str | None = None
    n: int | None = None
    context: Mapping[str, FactValue] = field(default_factory=dict)
    wish: Wish | None = None
    filter: str | None = None
    explain: bool = False
    dry_run: bool = False
    personalise: bool = True
    offers: tuple[str, ...] = ()


class Propensity(NamedTuple):
    """How likely a customer takes a product next, as scored.

    A named tuple, because a hundred are made for every decision: a quarter of a frozen dataclass's
    time.

    Attributes:
        probability: calibrated chance in the model's horizon; None: the model is uncalibrated.
        score: what the model ranks by.
        reason, because: why, as `oferta.scoring.reasons`; `because` is a product id.
    """

    probability: float | None
    score: float
    reason: str
    because: str | None


@dataclass(frozen=True, slots=True)
class Customer:
    """What a release knows of one customer.

    Attributes:
        facts: values by fact name (`oferta.profile.facts.STORED`, `attr_*`), nulls left out.
        propensities: by product id.
        known: whether the release has a profile of this customer.
    """

    facts: Mapping[str, FactValue]
    propensities: Mapping[str, Propensity]
    known: bool = True


STRANGER: Final = Customer({}, {}, known=False)


@dataclass(frozen=True, slots=True)
class Known:
    """All that a decision may depend on besides policy, catalogue and rate card.

    Attributes:
        customer: their profile and propensities.
        popular: by product id, the base rate: how likely anybody takes it; what a non-personalised
            answer ranks by.
        state: contacts with them.
        totals: for each total cap's counter (`cap name/what it counts`), how many are taken.
        at: epoch seconds of the decision.
        release, model: what scored.
        release_at: epoch seconds at which the release was made.
        data_at: epoch seconds of the instant that its facts describe; None: `release_at`.
        settled: by product id, what the customer bought (of what may be had once) or declined
            lately; servicing excepted, no offer of it is made.
        events: how many events that the release does not know of are in the facts.
    """

    customer: Customer
    popular: Mapping[str, float]
    at: float
    state: CustomerState = NEVER_SPOKEN_TO
    totals: Mapping[str, int] = field(default_factory=dict)
    release: int = 0
    model: str = ""
    release_at: float = 0.0
    data_at: float | None = None
    settled: Mapping[str, Settled] = field(default_factory=dict)
    events: int = 0
