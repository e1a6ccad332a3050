"""Offers and placements: the files that a marketer edits, read whole and checked at load.

A catalogue is a folder of TOML files; every file may hold `[[offers]]` and `[[placements]]`. What
needs more than one file to be seen (ids used twice, unknown products, rules over columns that there
are not) is checked where everything is at hand: `oferta.decisions.engine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from oferta.catalogue.families import Family
from oferta.catalogue.ranges import TermsRange
from oferta.catalogue.texts import OfferTexts, Text
from oferta.errors import SettingsInvalid
from oferta.settings import Settings, load

OfferStatus = Literal["draft", "approved", "paused", "archived"]
Channel = Literal[
    "app", "web", "email", "sms", "push", "call_centre", "branch", "dealer", "partner"
]
Provider = Literal["own_book", "partner_insurer", "agency"]
Fulfilment = Literal["digital", "assisted", "branch"]
ContextKind = Literal["text", "number", "boolean"]

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Rule = Annotated[str, Field(min_length=1, max_length=2000)]

ANY_CHANNEL: Final = "any"


class Incentive(Settings):
    """Money that makes an offer sweeter, and who pays it."""

    text: Text
    amount: Annotated[float, Field(ge=0)]
    funder: str


class Offer(Settings):
    """What may be offered: product(s), range of terms, worth to the seller, when, where, to whom.

    `eligibility` (may), `applicability` (makes sense now) and `suitability` (is right for the
    customer) are lists of rules, all of which must be true: true, not null.
    """

    id: Name
    products: tuple[str, ...] = Field(min_length=1)
    """Product ids; several are a bundle. The first one's propensity ranks the offer."""
    family: Family
    status: OfferStatus = "draft"
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None
    """First instant at which it is no longer offered."""
    channels: tuple[Channel, ...] = Field(min_length=1)
    placements: tuple[Name, ...] = ()
    """Empty: every placement that takes the family."""
    provider: Provider = "own_book"
    fulfilment: Fulfilment = "digital"
    margin: Rule
    """Worth to the seller when sold, before losses: an arithmetic expression over the profile and
    `amount`, `months`, `rate`, `price`, as `0.02 * amount`."""
    terms: Annotated[TermsRange, Field(discriminator="kind")]
    eligibility: tuple[Rule, ...] = ()
    applicability: tuple[Rule, ...] = ()
    suitability: tuple[Rule, ...] = ()
    incentive: Incentive | None = None
    texts: OfferTexts

    def offerable(self, at: datetime) -> bool:
        """Approved, and `at` (an aware instant) in `[starts, ends)`."""
        return (
            self.status == "approved"
            and (self.starts is None or self.starts <= at)
            and (self.ends is None or at < self.ends)
        )


class Placement(Settings):
    """A slot on a channel: its size, what it takes, and the context its callers send."""

    id: Name
    channel: Channel
    size: Annotated[int, Field(ge=1, le=50)] = 3
    families: tuple[Family, ...] = ()
    """Empty: all."""
    scenario: str = ""
    context: dict[Name, ContextKind] = Field(default_factory=dict)
    """Required fields of the request's context, readable in rules as `context_NAME`."""


class CatalogueFile(Settings):
    """One TOML file of the folder."""

    offers: tuple[Offer, ...] = ()
    placements: tuple[Placement, ...] = ()


@dataclass(frozen=True)
class OfferCatalogue:
    """All offers and placements, in the order of file names and of their place in each."""

    offers: tuple[Offer, ...]
    placements: tuple[Placement, ...]

    @cached_property
    def offer(self) -> Mapping[str, Offer]:
        """Offers by id."""
        return {offer.id: offer for offer in self.offers}

    @cached_property
    def placement(self) -> Mapping[str, Placement]:
        """Placements by id."""
        return {placement.id: placement for placement in self.placements}


def load_catalogue(folder: Path) -> OfferCatalogue:
    """The offers and placements of every `*.toml` in `folder`.

    Raises:
        SettingsInvalid: no folder or no file in it; every mistake of every file, with its place;
            an id that is used twice.
    """
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    if not files:
        raise SettingsInvalid(folder, ["no such folder, or no .toml file in it"])
    offers: dict[str, Offer] = {}
    placements: dict[str, Placement] = {}
    problems: list[str] = []
    for file in files:
        try:
            read = load(file, CatalogueFile)
        except SettingsInvalid as error:
            problems += [f"{file.name}: {problem}" for problem in error.problems]
            continue
        for offer in read.offers:
            if offers.setdefault(offer.id, offer) is not offer:
                problems.append(f"{file.name}: there is an offer '{offer.id}' already")
        for placement in read.placements:
            if placements.setdefault(placement.id, placement) is not placement:
                problems.append(f"{file.name}: there is a placement '{placement.id}' already")
    if problems:
        raise SettingsInvalid(folder, problems)
    return OfferCatalogue(tuple(offers.values()), tuple(placements.values()))
