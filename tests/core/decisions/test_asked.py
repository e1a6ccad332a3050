"""Which placements a request asks for, and what it is told where they cannot be filled."""

import pytest
from serving.decision_worlds import write_rules

from oferta.catalogue.offers import load_catalogue
from oferta.decisions.asked import ask
from oferta.decisions.engine import Engine
from oferta.decisions.request import Request, Wish
from oferta.errors import RequestInvalid
from oferta.policy.file import load_policy
from oferta.terms.card import load_cards


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("rules")
    write_rules(folder)
    return Engine.build(
        load_catalogue(folder / "catalogue"),
        load_policy(folder / "policy.toml"),
        load_cards(folder / "rate_cards"),
    )


def test_a_channel_s_placements_without_their_context_are_left_out(engine: Engine):
    ((channel, places),) = ask(engine, Request("c", "app", ())).ways

    assert (channel, [place.id for place in places]) == ("app", ["home"])


def test_a_named_placement_names_all_that_it_lacks(engine: Engine):
    with pytest.raises(
        RequestInvalid, match=r"'charging-stop' needs kwh \(number\), station"
    ) as told:
        ask(engine, Request("c", "app", ("home", "charging-stop")))

    assert told.value.placement == "charging-stop"
    assert told.value.missing == ("kwh", "station")


def test_an_offer_is_no_wish(engine: Engine):
    with pytest.raises(RequestInvalid, match="is an offer; a product or a family is asked for"):
        ask(engine, Request("c", "app", (), wish=Wish(product="not-yet")))
