"""What a release holds, as values. How they are written is `codec`'s business.

A release is immutable: one head (manifest, catalogue, popular lists) that every serving process
keeps in memory, and rows (a customer's list, a product's similar products), read when asked for.
Products are referred to by their position in the release's own catalogue, so a row can only be read
together with the head of the same release.
"""

from dataclasses import dataclass
from typing import NamedTuple

from oferta.scoring.reasons import Reason


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One product as it was when the release was made. Instants are epoch seconds."""

    product_id: str
    name: str | None
    category: str | None
    price_minor: int | None
    starts_at: int | None
    ends_at: int | None
    status: str  # active, hidden, paused, archived
    repeatable: bool
    base_rate: float | None = None  # chance that anybody chooses it within the model's horizon
    family: str | None = None  # what profiles sort it under, where that is not its category

    def offerable(self, at: float) -> bool:
        """Whether it may be shown at the instant `at`: active, started, not ended."""
        return (
            self.status == "active"
            and (self.starts_at is None or self.starts_at <= at)
            and (self.ends_at is None or at < self.ends_at)
        )


class Suggestion(NamedTuple):
    """One product in a list: positions are positions in the release's catalogue.

    A named tuple, because twenty are made for every answer: a third of a frozen dataclass's time.
    """

    product: int
    score: float
    reason: Reason
    because: int | None


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """One customer's list, best first.

    Attributes:
        segment: position in `Head.segments`.
        suggestions: the list.
        held: products that the customer has and must not be offered again.
        cold: whether nothing was known of the customer's past when the list was made.
        closed: whether they had refused personalisation when the release was made: nothing else is
            in the row.
    """

    segment: int | None
    suggestions: tuple[Suggestion, ...]
    held: tuple[int, ...] = ()
    cold: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A product similar to another one: its position in the release's catalogue, and how near."""

    product: int
    score: float


@dataclass(frozen=True, slots=True)
class PopularList:
    """The products most wanted by a segment (None: by everybody), best first."""

    segment: str | None
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was published: enough to read every row, to check it, and to remove it by number.

    Attributes:
        release: the release's number.
        model: name/version of the registered model.
        model_run: the run that made it.
        trained_at, created_at: epoch seconds of the model's training cut and of the release.
        dataset: fingerprint of the data that was scored; `dataset_at`: when it was ingested.
        customers, products: how many rows of each kind.
        buckets_per_tag: how many buckets the customers of one slot tag are spread over.
        similar: how many products have a list of similar products.
        key_check: what the publisher's key secret makes of a constant; a reader with another
            secret sees that it cannot find any row, and says so.
        empty_share: share of customers whose list is empty.
        top_share: share of the other lists that begin with the same product: the next release is
            compared with both before it may replace this one.
        profile_buckets_per_tag: how many buckets the profiles of one slot tag are spread over;
            0: the release has no profiles.
        profile_facts: names of the facts that a profile holds, in the order of its values.
        profile_at: epoch seconds of the instant that the profiles describe.
        profile_zone: time zone whose days their dates are.
        scorer: shape of the live scorer; "": the release has none.
        scorer_parts, scorer_bytes, scorer_sha256: of it.
        past_buckets_per_tag: how many buckets the pasts of one slot tag are spread over; 0: the
            release has no pasts, so lists do not follow what customers do.
        past_columns: what a past's rows hold beside product and amount.
        covered: for each shard of events the position up to which the data scored held them; ""
            where that is not known. Empty: of no shard.
        data_until: epoch seconds of the latest event in those data; 0: they have no times.
    """

    release: int
    model: str
    model_run: str
    trained_at: float
    created_at: float
    dataset: str
    customers: int
    products: int
    buckets_per_tag: int
    similar: int
    key_check: str
    dataset_at: float = 0.0
    empty_share: float = 0.0
    top_share: float = 0.0
    profile_buckets_per_tag: int = 0
    profile_facts: tuple[str, ...] = ()
    profile_at: float = 0.0
    profile_zone: str = "UTC"
    scorer: str = ""
    scorer_parts: int = 0
    scorer_bytes: int = 0
    scorer_sha256: str = ""
    past_buckets_per_tag: int = 0
    past_columns: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    data_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Head:
    """What every serving process holds of a release."""

    manifest: Manifest
    catalogue: tuple[CatalogueEntry, ...]
    popular: PopularList
    segments: tuple[PopularList, ...]
