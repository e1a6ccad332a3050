"""The shape of every answer, as the API documents it.

Answers are put together as bytes (`answers.py`), not from these: these say what is promised, and a
test holds real answers against them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from oferta_serving.ladder import Rung

DegradedReason = Literal[
    "no_release",
    "store_unavailable",
    "store_empty",
    "release_unreadable",
    "release_expired",
    "key_secret_differs",
    "previous_release",
    "record_missing",
    "record_corrupt",
    "recent_unreadable",
    "consent_unreadable",
    "consent_unknown",
    "release_from_disk",
]
"""Why an answer is not what it should be; `docs/api.md` says what to do about each."""

ColdReason = Literal["unknown_customer", "attributes", "segment", "popular"]
"""What the list of a customer without a past was made of."""

FreshenedBy = Literal["embedding", "neighbours", "events"]
"""What a list was made fresh by: the shape of the release's live scorer; or, where the events say
nothing of taste, the events alone, which take out what was bought or declined."""

ServedFrom = Literal["personalised", "similar", "segment", "popular", "none"]


class Documented(BaseModel):
    """Exactly these members, no others."""

    model_config = ConfigDict(extra="forbid")


class ProductName(Documented):
    """The product that a reason names."""

    product_id: str
    name: str | None


class ReasonText(Documented):
    """Why a product is in the list."""

    code: str
    text: str
    because: ProductName | None = None


class Item(Documented):
    """One product of a list."""

    rank: Annotated[int, Field(ge=1)]
    product_id: str
    name: str | None
    category: str | None
    score: float
    source: Literal["personalised", "similar", "segment", "popular"]
    reasons: list[ReasonText]


class ListAnswer(Documented):
    """What all lists say of themselves."""

    items: list[Item]
    release: int | None
    model: str | None
    age_s: Annotated[int, Field(ge=0)] | None
    served_from: ServedFrom
    personalised: bool
    level: Rung
    degraded: bool
    degraded_reason: DegradedReason | None = None
    stale: bool
    next_offset: int | None


class CustomerAnswer(ListAnswer):
    """A customer's list."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "customer_id": "household-1",
                "items": [
                    {
                        "rank": 1,
                        "product_id": "fluid-milk",
                        "name": "Fluid milk",
                        "category": "dairy",
                        "score": 0.8131,
                        "source": "personalised",
                        "reasons": [
                            {
                                "code": "bought_together",
                                "text": "Often bought together with Cheese",
                                "because": {"product_id": "cheese", "name": "Cheese"},
                            }
                        ],
                    }
                ],
                "release": 7,
                "model": "ease/3",
                "age_s": 5120,
                "served_from": "personalised",
                "personalised": True,
                "level": "L0",
                "degraded": False,
                "stale": False,
                "cold": False,
                "freshened_by": "neighbours",
                "events": 2,
                "next_offset": 1,
            }
        }
    )

    customer_id: str
    cold: bool
    cold_reason: ColdReason | None = None
    freshened_by: FreshenedBy | None
    events: Annotated[int, Field(ge=0)]


class SessionAnswer(ListAnswer):
    """A session's list: `cold` until it did something that tells of taste."""

    session_id: str
    cold: bool
    cold_reason: ColdReason | None = None
    freshened_by: FreshenedBy | None
    events: Annotated[int, Field(ge=0)]


class SimilarAnswer(ListAnswer):
    """The products similar to one."""

    product_id: str


class PopularAnswer(ListAnswer):
    """Everybody's list, or a segment's."""


class ProblemAnswer(Documented):
    """A refused request (RFC 9457). `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None = None
    bounds: list[int] | None = None
    nearest: str | None = None
    problem: str | None = None
    position: int | None = None
    expression: str | None = None
    placement: str | None = None
    missing: list[str] | None = None
    errors: list["PositionError"] | None = None
    request_id: str


class PositionError(Documented):
    """What is wrong with one position of a list in the body."""

    index: int
    code: str
    where: str | None = None
    nearest: str | None = None
    allowed: list[str] | None = None


class ItemProblem(Documented):
    """Why one customer of many was not served."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None = None
    nearest: str | None = None
    allowed: list[str] | None = None


class BatchResult(Documented):
    """What became of one customer of many; `index` is its first position in the request."""

    index: int
    status: int
    answer: CustomerAnswer | None = None
    problem: ItemProblem | None = None


class BatchAnswer(Documented):
    """Many customers' lists, in the order asked for, each customer once."""

    served: int
    refused: int
    results: list[BatchResult]


class Check(Documented):
    """One thing that readiness looks at."""

    name: str
    ok: bool
    detail: str


class Readiness(Documented):
    """Whether this process can answer, and how well."""

    status: Literal["ready", "degraded", "not_ready"]
    degraded: bool
    release: int | None
    model: str | None
    age_s: int | None
    checks: list[Check]


class Status(Documented):
    """The state of one process in detail, for who operates it."""

    readiness: Readiness
    rules_refused: list[str]
    breaker: Literal["open", "closed"]
    eviction_policy: str | None
    under_way: int
    waiting: int
    at_most: int
    shedding: bool
    restored_from_disk: bool


class Liveness(Documented):
    """That this process runs."""

    status: Literal["live"]
