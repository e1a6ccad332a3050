"""Cool-down: what was refused, complained about or just taken is not offered for a while.

A silence holds in every channel: a no on the telephone is a no in the app.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from oferta.catalogue.families import Family
from oferta.policy.contact import Answer, Silence
from oferta.policy.file import CoolDown

Scope = Literal["offer", "product", "family"]


def lasts(answer: Answer, cool_down: CoolDown) -> timedelta:
    """How long an answer silences what it was about."""
    match answer:
        case "decline":
            return cool_down.decline
        case "later":
            return cool_down.later
        case "complaint":
            return cool_down.complaint
        case "accept":
            return cool_down.accept


def silence_on(
    silences: Sequence[Silence],
    *,
    offer: str,
    products: Sequence[str],
    family: Family,
    scope: Scope,
    at: float,
) -> Silence | None:
    """The silence that ends last among those on an offer at `at`; None: it may be made."""
    found: Silence | None = None
    for silence in silences:
        if silence.until > at and (found is None or silence.until > found.until):
            if scope == "offer":
                silent = silence.offer == offer
            elif scope == "product":
                silent = silence.product in products
            else:
                silent = silence.family == family
            if silent:
                found = silence
    return found
