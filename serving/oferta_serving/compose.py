"""From a customer's row to a page of items: what may be shown now, gaps filled, in one order.

The whole list is: what was scored for the customer, then the customer's segment's list, then
everybody's; each product once, none that may not be shown at this instant, none that the customer
holds and cannot have twice, or may hold where that is not known. A page is a slice of that list, so
pages of one release tile it.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from oferta.scoring.reasons import Reason
from oferta.store.release import CustomerRow, PopularList, Suggestion
from oferta_serving.parameters import Wanted
from oferta_serving.view import ReleaseView

Source = Literal["personalised", "similar", "segment", "popular"]
Level = tuple[Source, Sequence[Suggestion]]

_LENT: Mapping[Reason, Source] = {"popular_in_segment": "segment", "popular": "popular"}
"""What a list of one's own may hold too: that of a customer without a past is made of these."""

PERSONAL: frozenset[str] = frozenset({"personalised", "segment"})
"""Sources that depend on who asks: an answer with items of them says that it is personalised."""


@dataclass(frozen=True, slots=True)
class Page:
    """Items as bytes, best first, and where they stand in the whole list.

    Attributes:
        items: each a JSON object.
        best: the source of the first item, None when there is none.
        next_offset: where the next page starts, None at the end of the list.
    """

    items: list[bytes]
    best: Source | None
    next_offset: int | None


NOTHING = Page([], None, None)


def levels_for(
    view: ReleaseView, row: CustomerRow | None, segment: PopularList | None = None
) -> list[Level]:
    """Where the items come from, in order of preference.

    Args:
        view: the release.
        row: the customer's, None for a customer without one.
        segment: the list that was asked for by name, if one was.
    """
    levels: list[Level] = []
    if row is not None:
        levels.append(("personalised", row.suggestions))
        segment = view.segment(row.segment)
    if segment is not None:
        levels.append(("segment", segment.suggestions))
    levels.append(("popular", view.head.popular.suggestions))
    return levels


def page_of(
    view: ReleaseView,
    levels: Sequence[Level],
    wanted: Wanted,
    *,
    now: float,
    held: Sequence[int] = (),
    barred: Container[int] = (),
) -> Page:
    """The page that `wanted` describes of the list that `levels` make at the instant `now`.

    Args:
        view: the release that the levels are of.
        levels: where from; a product stands where it is met first.
        wanted: how many, from where, of which category.
        now: epoch seconds.
        held: what the customer has and must not be offered again.
        barred: other products that must not appear. May be large: it is only asked, never copied.
    """
    catalogue, categories, products = view.head.catalogue, view.categories, view.products
    category = wanted.category
    taken = set(held)
    items: list[bytes] = []
    best: Source | None = None
    skip, rank, room = wanted.offset, wanted.offset, wanted.n
    for level, suggestions in levels:
        for suggestion in suggestions:
            product = suggestion.product
            if product in taken or product in barred:
                continue
            if category is not None and categories[product] != category:
                continue
            if not catalogue[product].offerable(now):
                continue
            taken.add(product)
            if skip:
                skip -= 1
                continue
            if not room:
                return Page(items, best, rank)
            room -= 1
            rank += 1
            source = _LENT.get(suggestion.reason, level)
            best = best or source
            items.append(
                b'{"rank":%d,%b,"score":%.6g,"source":"%b",%b}'
                % (
                    rank,
                    products[product],
                    suggestion.score,
                    source.encode(),
                    view.reasons(suggestion),
                )
            )
    return Page(items, best, None)
