"""Variety within one answer: no product twice, and not too many offers of one family."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from oferta.catalogue.offers import Offer
from oferta.decisions.offered import Pick


class Shown(NamedTuple):
    """Products and families that the picks show already; families once for each pick."""

    products: frozenset[str]
    families: list[str]


NOTHING: Final = Shown(frozenset(), [])


def shown_by(picks: Sequence[Pick]) -> Shown:
    """What the picks show."""
    offers = [pick.valued.compiled.offer for pick in picks]
    products = frozenset([product for offer in offers for product in offer.products])
    return Shown(products, [offer.family for offer in offers])


def too_alike(offer: Offer, shown: Shown, per_family: int | None) -> str | None:
    """Why an offer would make an answer monotonous, as a code."""
    if not shown.products.isdisjoint(offer.products):
        return "diversity.product"
    if per_family is not None and shown.families.count(offer.family) >= per_family:
        return "diversity.family"
    return None
