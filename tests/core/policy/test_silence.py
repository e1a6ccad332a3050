"""Cool-down: an answer silences what it was about, in every channel, until it ends."""

from datetime import timedelta
from typing import Literal

import pytest

from oferta.policy.contact import Silence
from oferta.policy.file import CoolDown
from oferta.policy.silence import lasts, silence_on

NO = Silence("decline", "balloon-36", "balloon", "loan", until=100.0)

Scope = Literal["offer", "product", "family"]


def silenced(scope: Scope, offer: str, product: str, *, at: float = 50.0) -> bool:
    found = silence_on(
        [NO], offer=offer, products=(product, "roadside"), family="loan", scope=scope, at=at
    )
    return found is not None


@pytest.mark.parametrize(
    ("scope", "same_offer", "same_product", "same_family"),
    [("offer", True, False, False), ("product", True, True, False), ("family", True, True, True)],
)
def test_a_no_holds_for_offer_product_or_family(
    scope: Scope, same_offer: bool, same_product: bool, same_family: bool
):
    assert silenced(scope, "balloon-36", "balloon") is same_offer
    assert silenced(scope, "balloon-48", "balloon") is same_product
    assert silenced(scope, "loan-48", "loan") is same_family


def test_it_ends_at_its_instant():
    assert silenced("offer", "balloon-36", "balloon", at=99.9)
    assert not silenced("offer", "balloon-36", "balloon", at=100.0)


def test_of_several_the_one_that_ends_last_is_told():
    longer = Silence("complaint", "balloon-36", "balloon", "loan", until=300.0)
    found = silence_on(
        [NO, longer], offer="balloon-36", products=("balloon",), family="loan", scope="offer", at=1
    )
    assert found is longer


def test_a_bundle_is_silenced_by_any_of_its_products():
    found = silence_on(
        [NO], offer="x", products=("roadside", "balloon"), family="service", scope="product", at=1
    )
    assert found is NO


def test_each_answer_lasts_as_the_policy_says():
    rules = CoolDown.model_validate({"decline": "1d", "later": "2d"})
    assert lasts("decline", rules) == timedelta(days=1)
    assert lasts("later", rules) == timedelta(days=2)
    assert lasts("complaint", rules) == timedelta(days=365)
    assert lasts("accept", rules) == timedelta(days=30)
