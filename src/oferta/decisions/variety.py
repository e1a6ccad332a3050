"""Variety within one answer: no product twice, and not too many offers of one family."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from oferta.catalogue.offers import Offer
from oferta.decisions.offered import Pick


class Shown(NamedTuple):
    """What the picks show already: products, and families that there are enough of."""

    products: frozenset[str]
    families: frozenset[str]


NOTHING: Final = Shown(frozenset(), frozenset())


def shown_by(picks: Sequence[Pick], *, per_family: int | None) -> Shown:
    """What the picks show; at most `per_family` offers of one family are wanted."""
    if not picks:
        return NOTHING
    offers = [pick.valued.compiled.offer for pick in picks]
    families = [offer.family for offer in offers]
    return Shown(
        frozenset([product for offer in offers for product in offer.products]),
        frozenset(
            []
            if per_family is None
            else [one for one in families if families.count(one) >= per_family]
        ),
    )


def too_alike(offer: Offer, shown: Shown) -> str | None:
    """Why an offer would make an answer monotonous, as a code."""
    if not shown.products.isdisjoint(offer.products):
        return "diversity.product"
    return "diversity.family" if offer.family in shown.families else None
