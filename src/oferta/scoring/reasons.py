"""Why a product is in a list: codes that travel with every score, and their sentences."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Reason = Literal[
    "similar_taste",  # an embedding model; `because` names the product that weighed most
    "bought_together",  # an item-item model, likewise
    "often_follows",  # a transition model, likewise
    "popular_in_segment",
    "popular",
    "similar_product",  # in a list of products similar to one: `because` names that one
    "fits_profile",  # an embedding model, of a customer of whom only attributes are known
]

REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order of their wire codes: append only, a stored release refers to them by position."""

SENTENCES: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        "similar_taste": (
            "Customers with a similar history choose this, above all because of {because}",
            "Customers with a similar history choose this",
        ),
        "bought_together": ("Often bought together with {because}", "Fits what you already have"),
        "often_follows": ("Often the next step after {because}", "Often a next step"),
        "popular_in_segment": (
            "Popular with customers like you",
            "Popular with customers like you",
        ),
        "popular": ("Popular right now", "Popular right now"),
        "fits_profile": (
            "Chosen by customers with a profile like yours",
            "Chosen by customers with a profile like yours",
        ),
        "similar_product": ("Similar to {because}", "A similar product"),
    }
)
"""Per reason: the sentence naming a product, and the one for when none is named."""


SENTENCES_ZH: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        "similar_taste": (
            "与您经历相似的客户会选择它，主要因为{because}",
            "与您经历相似的客户会选择它",
        ),
        "bought_together": ("常与{because}一同购买", "与您已有的产品相配"),
        "often_follows": ("常是{because}之后的下一步", "常是下一步的选择"),
        "popular_in_segment": ("与您相似的客户中很受欢迎", "与您相似的客户中很受欢迎"),
        "popular": ("目前很受欢迎", "目前很受欢迎"),
        "fits_profile": ("情况与您相近的客户会选择它", "情况与您相近的客户会选择它"),
        "similar_product": ("与{because}相似", "相似的产品"),
    }
)
"""The same in Chinese."""


def sentence(reason: Reason, because: str | None, *, language: Literal["en", "zh"] = "en") -> str:
    """The reason as a person reads it; `because` is the name of the product it names, if any."""
    named, plain = (SENTENCES if language == "en" else SENTENCES_ZH)[reason]
    return plain if because is None else named.format(because=because)
