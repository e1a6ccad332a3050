"""The columns that rules of each place may speak of, with their kinds.

Rules of offers and policy see the customer's facts, the seller's own attributes (`attr_NAME`), the
placement's context (`context_NAME`) and `channel`. A margin also sees the terms; a request's filter
also sees the offer.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from oferta.catalogue.offers import OfferCatalogue
from oferta.policy.file import Policy
from oferta.profile.facts import FACTS, FactKind

TERMS: Final[Mapping[str, FactKind]] = MappingProxyType(
    {"amount": "number", "months": "number", "rate": "number", "price": "number"}
)
"""What a margin computes with besides the facts: of the terms that are offered."""

OFFER: Final[Mapping[str, FactKind]] = MappingProxyType(
    {
        "offer": "text",
        "product": "text",
        "family": "text",
        "provider": "text",
        "fulfilment": "text",
        "incentive": "boolean",
    }
)
"""What a request's filter sees of an offer; `product` is its first one."""


def rule_columns(catalogue: OfferCatalogue, policy: Policy) -> dict[str, FactKind]:
    """Every column of rules, by name."""
    columns: dict[str, FactKind] = {name: fact.kind for name, fact in FACTS.items()}
    columns.update({f"attr_{name}": kind for name, kind in policy.attributes.items()})
    for placement in catalogue.placements:
        columns.update({f"context_{name}": kind for name, kind in placement.context.items()})
    columns["channel"] = "text"
    return columns


def context_conflicts(catalogue: OfferCatalogue) -> Iterator[str]:
    """Context fields that two placements declare with different kinds."""
    seen: dict[str, tuple[str, str]] = {}
    for placement in catalogue.placements:
        for name, kind in placement.context.items():
            first, known = seen.setdefault(name, (placement.id, kind))
            if known != kind:
                yield (
                    f"placement '{placement.id}': context.{name} is {kind}, and {known} in "
                    f"'{first}'; one field has one kind everywhere"
                )
