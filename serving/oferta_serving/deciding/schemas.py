"""The shape of every answer about decisions, as the API documents it; tests hold answers to it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from oferta.catalogue.families import Family
from oferta.catalogue.offers import Channel, Fulfilment, Provider
from oferta.decisions.decision import Outcome, Selection, Stage
from oferta.policy.contact import Answer
from oferta.terms.quote import Kind
from oferta_serving.deciding.example import EXAMPLE
from oferta_serving.ladder import Rung
from oferta_serving.schemas import Documented, ItemProblem

DecisionDegraded = Literal[
    "previous_release", "no_profiles", "recent_unreadable", "consent_unreadable", "consent_unknown"
]
"""Why a decision was not made with what should have been there; `docs/api.md` says more."""


class Words(Documented):
    """A text in both languages."""

    en: str
    zh: str


class FeeAnswer(Documented):
    """An itemised fee."""

    name: str
    amount: float
    paid: Literal["start", "monthly"]


class ChangeAnswer(Documented):
    """How a counter-offer differs from the wish."""

    what: str
    wished: float | None
    offered: float | None
    text: Words


class LineAnswer(Documented):
    """A line of a schedule of payments."""

    number: int
    due: str
    payment: float
    interest: float
    principal: float
    fees: float
    balance: float


class TermsAnswer(Documented):
    """What an offer costs."""

    kind: Kind
    product: str
    currency: str
    start: str
    amount: float
    deposit: float
    months: int
    rate: float
    annual_rate: float | None
    instalment: float
    final_payment: float
    price: float | None
    residual: float | None
    fees: list[FeeAnswer]
    total_payable: float
    total_cost: float
    excess: float | None
    mileage_km_year: int | None
    holiday_months: int
    guarantor: bool
    cover: str | None
    changes: list[ChangeAnswer]
    card: str
    schedule: list[LineAnswer] | None = None


class WeightAnswer(Documented):
    """A context weight that held."""

    name: str
    factor: float


class ScoreAnswer(Documented):
    """The factors of an expected value.

    It is `accept x approved x (margin - expected_loss) x context x lever`.
    """

    value: float
    accept: float
    accept_from: Literal["calibrated", "base_rate", "non_personalised"]
    approved: float
    margin: float
    expected_loss: float
    context: float
    weights: list[WeightAnswer]
    lever: float
    levers: list[str]
    neutral: list[str]


class WhyAnswer(Documented):
    """A reason of an offer: a factor of its value, in words."""

    code: str
    factor: Literal["accept", "context", "terms", "margin"]
    text: Words


class CodeAnswer(Documented):
    """Why there is no offer."""

    code: str
    text: Words


class IncentiveAnswer(Documented):
    """Money that makes an offer sweeter, in the currency's main unit, and who pays it."""

    text: Words
    amount: float
    funder: str


class OfferAnswer(Documented):
    """One offer of an answer."""

    rank: Annotated[int, Field(ge=1)]
    offer_id: str
    products: list[str]
    family: Family
    channel: Channel
    placement: str
    provider: Provider
    fulfilment: Fulfilment
    name: Words
    summary: Words
    incentive: IncentiveAnswer | None
    terms: TermsAnswer | None
    score: ScoreAnswer | None
    reasons: list[WhyAnswer]
    selection: Selection
    probability: float


class VersionsAnswer(Documented):
    """What a decision was made with."""

    policy: str
    catalogue: str
    rate_card: str
    release: int
    model: str


class DecidedAnswer(Documented):
    """What an answer and a receipt have in common."""

    decision_id: str | None
    decision_type: Literal["marketing"]
    outcome: Outcome
    channel: str
    offers: list[OfferAnswer]
    why: list[CodeAnswer]
    later_on: str | None
    personalised: bool
    disclosure: Words | None
    control: bool
    decided_at: str
    age_s: Annotated[float, Field(ge=0)]
    versions: VersionsAnswer
    level: Rung
    degraded_reason: DecisionDegraded | None


class DecisionAnswer(DecidedAnswer):
    """The next best offers for one customer, or why there are none."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    dry_run: bool
    repeated: bool
    degraded: bool
    stale: bool


class DecisionResult(Documented):
    """What became of one customer of many; `index` is its first position in the request."""

    index: int
    status: int
    answer: DecisionAnswer | None = None
    problem: ItemProblem | None = None


class DecisionBatchAnswer(Documented):
    """Many customers' decisions, in the order asked for, each customer once."""

    served: int
    refused: int
    results: list[DecisionResult]


class StageAnswer(Documented):
    """How many offers were left after a stage."""

    stage: Stage
    left: int


class RejectedAnswer(Documented):
    """One offer that was not made, and why."""

    offer_id: str
    stage: Stage
    code: str
    detail: str
    text: Words


class CapAnswer(Documented):
    """A cap that was looked at: how much of it is used, the decision included, and its limit."""

    cap: str
    used: int
    limit: int


class ReceiptAnswer(DecidedAnswer):
    """Everything that stands behind a decision."""

    request_id: str | None
    funnel: list[StageAnswer]
    rejected: list[RejectedAnswer]
    caps: list[CapAnswer]
    seed: int
    state_version: int
    files: str
    events: Annotated[int, Field(ge=0)]


class FeedbackResult(Documented):
    """What became of one row; `repeated` where it had been heard before."""

    index: int
    status: int
    repeated: bool | None = None
    problem: ItemProblem | None = None


class FeedbackAnswer(Documented):
    """What became of each row."""

    accepted: int
    refused: int
    results: list[FeedbackResult]


class ContactAnswer(Documented):
    """An offer that was made to the customer; instants not heard of are null."""

    offer_id: str
    product: str
    family: Family
    channel: Channel
    placement: str
    made_at: str
    held_until: str
    shown_at: str | None
    clicked_at: str | None
    accepted_at: str | None


class SilenceAnswer(Documented):
    """What is not offered until an instant, because of what the customer answered."""

    answer: Answer
    offer_id: str
    product: str
    family: Family
    until: str


class ProfileAnswer(Documented):
    """What is known of one customer; dates are ISO, what is unknown is left out of `facts`."""

    customer_id: str
    known: bool
    release: int
    age_s: int
    profile_at: str | None
    degraded_reason: DecisionDegraded | None
    facts: dict[str, float | str | bool]
    derived: dict[str, float | str | bool | None]
    evidence: dict[str, JsonValue]
    state_version: int
    contacts: list[ContactAnswer]
    silences: list[SilenceAnswer]
    arrears_at: str | None


class CountAnswer(Documented):
    """How many of those asked again got no offer, for one reason."""

    code: str
    count: int


class BaseAnswer(Documented):
    """What answers of the whole base say of themselves.

    `found` is how many there are by the base, before anybody was asked again; `more`: the limit
    left some unasked; `as_of`: the instant that the base describes.
    """

    found: int
    more: bool
    refused: list[CountAnswer]
    as_of: str
    scored_at: str
    model: str


class OfferedAnswer(Documented):
    """The offer that a decision of their own makes to one customer of the base."""

    channel: Channel
    placement: str
    accept: float
    value: float
    amount: float | None
    months: int | None
    instalment: float | None


class MemberAnswer(OfferedAnswer):
    """One customer of an audience."""

    rank: int
    customer_id: str


class AudienceAnswer(BaseAnswer):
    """The best customers for one offer."""

    offer_id: str
    members: list[MemberAnswer]


class TriggerAnswer(OfferedAnswer):
    """A trigger that is due for a customer; its id is the same whenever it is due anew."""

    trigger_id: str
    trigger: str
    customer_id: str
    due: str
    once_per: str
    text: Words
    offer_id: str


class TriggersAnswer(BaseAnswer):
    """Who is due to be spoken to, the earliest first."""

    triggers: list[TriggerAnswer]
