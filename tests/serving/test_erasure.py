"""A customer is forgotten everywhere, whatever is killed when; and told everything before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from erasing_worlds import ANNA, BELA, SESSION, Seller, seller
from redis_servers import newest

from oferta.privacy.erasures import Erasure
from oferta.privacy.places import PLACES
from oferta_serving.erasing.export import exported
from oferta_serving.erasing.places import all_places

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Seller]:
    with seller(tmp_path, newest()) as made:
        yield made


def held(world: Seller, customer_id: str) -> dict[str, int]:
    """How many things each place holds of a customer."""
    said = world.ask(lambda ground: exported(ground, customer_id))
    places = said["held"]
    assert isinstance(places, dict)
    return {name: len(rows) for name, rows in places.items()}


def needles(world: Seller, customer_id: str) -> tuple[bytes, ...]:
    digest = world.space.digest(customer_id)
    return customer_id.encode(), digest.hex().encode(), digest[8:][::-1]


def test_a_customer_is_in_every_place_and_after_the_erasure_in_none(world: Seller):
    before, other = held(world, ANNA), held(world, BELA)
    assert set(before) == set(PLACES), "a place without an export"
    empty = {name for name, count in before.items() if not count}
    assert empty <= {"claims", "pasts"}, "the world of this test lacks them"
    done = world.erase()
    assert done.state == "done", [one for one in done.places if one.state != "clean"]
    assert not any(held(world, ANNA).values())
    assert held(world, BELA) == other, "somebody else lost something"


def test_no_byte_of_the_id_or_of_its_hash_is_left_but_the_tombstone(world: Seller):
    assert len(world.traces(*needles(world, ANNA))) > 8, "this test looks in the wrong places"
    world.erase()
    left = world.traces(*needles(world, ANNA))
    # The ledger and the receipt have the tombstone, and nothing has the id.
    assert left == ["privacy/ledger.sqlite", *(one for one in left if "receipts/" in one)]
    assert world.traces(ANNA.encode(), SESSION.encode()) == []
    assert world.traces(BELA.encode()) != []


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it."""


def steps_of(world: Seller) -> list[str]:
    seen: list[str] = []
    world.erase(on_step=seen.append)
    return seen


def test_killed_at_any_step_it_goes_on_and_ends(world: Seller):
    other = held(world, BELA)
    steps = steps_of(world)
    assert len(steps) == 2 + 2 * len(PLACES) + 2, steps
    for at in range(len(steps)):
        count = 0

        def killing(step: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at + 1:
                raise Killed(step)

        customer = f"c{at + 20:07d}"
        assert held(world, customer)["lists"]
        with pytest.raises(Killed):
            world.erase(customer, on_step=killing)
        again = world.resume()
        assert [one.state for one in again] == ["done"], (steps[at], again)
    gone = [f"c{at + 20:07d}".encode() for at in range(len(steps))]
    assert world.traces(*gone) == []
    assert held(world, BELA)["lists"] == other["lists"]
