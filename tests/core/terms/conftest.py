"""The small card, read once."""

import pytest
from core.terms.cards import cards

from oferta.terms.card import RateCards


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> RateCards:
    return cards(tmp_path_factory.mktemp("cards") / "rates")
