"""What was decided, and why: the values of an answer and of its receipt.

Everything here is plain data: it is written to JSON as it stands (`oferta.decisions.record`), and a
replay of the record must give an equal value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from oferta.catalogue.offers import Incentive
from oferta.catalogue.texts import Text
from oferta.policy.contact import Contact, CustomerState
from oferta.terms.quote import Terms

Stage = Literal[
    "candidates",
    "status",
    "placement",
    "eligibility",
    "consent",
    "contact",
    "terms",
    "value",
    "diversity",
    "room",
]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""Where an offer can drop out, in the order in which it is asked."""

Outcome = Literal["offers", "none", "later"]

Selection = Literal["best", "explored", "non_personalised", "control"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One offer that was not made: where it dropped out, the code, and what exactly failed."""

    offer: str
    stage: Stage
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """The factors of the expected value, whose product it is.

    `value = accept * approved * (margin - expected_loss) * context * lever`, in the currency's main
    unit. A factor that an offer does not have is 1 (0 for the loss) and stands in `neutral`.

    Attributes:
        accept: P(accept); approved: P(approved).
        margin, expected_loss: in the currency's main unit.
        context: product of the context weights that hold; weights: their names and factors.
        lever: product of the business levers; levers: who asked for each, and why.
        neutral: names of the factors that are neutral because there is nothing behind them.
        accept_from: where P(accept) comes from.
    """

    accept: float
    approved: float
    margin: float
    expected_loss: float
    context: float
    lever: float
    value: float
    weights: tuple[tuple[str, float], ...] = ()
    neutral: tuple[str, ...] = ()
    accept_from: Literal["calibrated", "base_rate", "non_personalised"] = "calibrated"
    levers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why this offer: a factor of its value, in words. Without the factor the value is another."""

    code: str
    factor: Literal["accept", "context", "terms", "margin"]
    text: Text


@dataclass(frozen=True, slots=True)
class OfferMade:
    """One offer of an answer.

    `probability` is that of its selection into its slot, for the log: of the first slot the true
    one, of the others conditional on what the slots before them hold. `incentive`: what makes the
    offer sweeter, and who pays it, as the catalogue says.
    """

    rank: int
    offer: str
    products: tuple[str, ...]
    family: str
    channel: str
    placement: str
    name: Text
    summary: Text
    terms: Terms | None
    parts: Parts
    reasons: tuple[Reason, ...]
    selection: Selection
    probability: float
    provider: str
    fulfilment: str
    incentive: Incentive | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """What an answer was made with: content hashes of the files, and the release."""

    policy: str
    catalogue: str
    rate_card: str
    release: int
    model: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole answer, with its receipt.

    Attributes:
        id: `d_` and 24 characters; the same request at the same state has the same id.
        outcome: `offers`, or `none`, or `later` (then `later_on` is the epoch second at which
            asking again gives an offer, if nothing else changes).
        why: codes and texts of a `none` or `later`, the most telling first.
        funnel: how many offers were left after each stage.
        rejected: every offer that was not made.
        contacts: the reservations that this decision takes; `state` is the customer's after them.
        taken: counters of total caps to raise by one each.
        caps: per cap that was looked at, how much of it was used and its limit.
        personalised: whether the answer depends on the customer.
        control: whether the customer is in the control group of the period.
        channel: the one chosen or asked for; the first that was tried where `any` gave nothing.
        release_at: epoch seconds at which the release was made.
        owed: help with a contract in arrears, given without consent to personalisation.
    """

    id: str
    outcome: Outcome
    offers: tuple[OfferMade, ...]
    why: tuple[tuple[str, Text], ...]
    later_on: float | None
    versions: Versions
    at: float
    personalised: bool
    control: bool
    funnel: tuple[tuple[Stage, int], ...]
    rejected: tuple[Rejection, ...]
    contacts: tuple[Contact, ...]
    state: CustomerState
    taken: tuple[str, ...]
    caps: Mapping[str, tuple[int, int]]
    seed: int
    channel: str = ""
    release_at: float = 0.0
    owed: bool = False
