"""The law of every list: nothing forbidden, nothing twice, pages that tile it, whatever the mix."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from serving.worlds import NOON, SECRET, World, entry, listed

from oferta.store.keys import KeySpace
from oferta.store.release import CatalogueEntry, CustomerRow
from oferta_serving.compose import levels_for, page_of
from oferta_serving.parameters import Wanted
from oferta_serving.view import view_of

SPACE = KeySpace(SECRET)
PRODUCTS = 11

instants = st.sampled_from([None, int(NOON) - 1, int(NOON), int(NOON) + 1])
positions = st.lists(st.integers(0, PRODUCTS - 1), max_size=14)


@st.composite
def entries(draw: st.DrawFn, at: int) -> CatalogueEntry:
    return entry(
        f"p{at}",
        category=draw(st.sampled_from(["loan", "insurance", None])),
        status=draw(st.sampled_from(["active", "active", "hidden", "paused", "archived"])),
        starts_at=draw(instants),
        ends_at=draw(instants),
        repeatable=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, CustomerRow]:
    row = CustomerRow(
        draw(st.sampled_from([None, 0, 1, 7])),
        listed(draw(positions)),
        held=tuple(draw(positions)),
    )
    world = World(
        catalogue=tuple(draw(entries(at)) for at in range(PRODUCTS)),
        popular=listed(draw(positions)),
        segments={"a": listed(draw(positions)), "b": listed(draw(positions))},
        customers={"c": row},
    )
    return world, row


@settings(max_examples=300, deadline=None)
@given(worlds(), st.sampled_from([None, "loan", "insurance"]), st.integers(1, 5))
def test_no_list_holds_what_it_must_not_and_pages_tile_it(
    made: tuple[World, CustomerRow], category: str | None, n: int
):
    world, row = made
    view = view_of(world.head(1, SPACE))
    levels = levels_for(view, row)

    def items(n: int, offset: int) -> tuple[list[dict], int | None]:
        wanted = Wanted(n=n, offset=offset, category=category)
        page = page_of(view, levels, wanted, now=NOON, held=row.held)
        return [json.loads(item) for item in page.items], page.next_offset

    whole, end = items(100, 0)
    assert end is None
    for item in whole:
        at = int(item["product_id"][1:])
        product = world.catalogue[at]
        assert product.offerable(NOON)
        assert category is None or product.category == category
        assert at not in row.held
        # Every item is from where it says.
        if item["source"] == "personalised":
            assert at in {each.product for each in row.suggestions}
    shown = [item["product_id"] for item in whole]
    assert len(shown) == len(set(shown))
    assert [item["rank"] for item in whole] == list(range(1, len(whole) + 1))

    pages: list[dict] = []
    offset: int | None = 0
    while offset is not None:
        page, offset = items(n, offset)
        pages += page
    assert pages == whole

    # Nothing that may be shown is left out: gaps are filled.
    missing = {f"p{at}" for at in range(PRODUCTS)} - set(shown)
    for product_id in missing:
        at = int(product_id[1:])
        product = world.catalogue[at]
        barred = not product.offerable(NOON) or product.category != (category or product.category)
        in_row = at in {each.product for each in row.suggestions}
        in_popular = at in {each.product for each in world.popular}
        assert barred or at in row.held or not (in_row or in_popular)


def test_a_product_ends_between_two_requests():
    """Half-open: at `starts_at` it is on offer, at `ends_at` no more."""
    world = World(
        catalogue=(entry("a", starts_at=int(NOON), ends_at=int(NOON) + 10), entry("b"), entry("c")),
        popular=listed([0, 1, 2]),
        segments={},
        customers={},
    )
    view = view_of(world.head(1, SPACE))

    def shown(now: float) -> int:
        return len(page_of(view, levels_for(view, None), Wanted(), now=now).items)

    assert [shown(NOON + late) for late in (-0.001, 0, 9.999, 10)] == [2, 3, 3, 2]
