"""One release as a serving process holds it: everything that can be prepared, prepared once.

An answer is put together from bytes that were serialised when the release was loaded; per request
only the choice and order of the products is new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import orjson

from oferta.events.event import Position
from oferta.profile.recent import Recent, RecentEvent
from oferta.scoring.reasons import Reason, sentence
from oferta.store.release import CatalogueEntry, Head, PopularList, Suggestion


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseView:
    """A release's head with its look-ups and prepared bytes. Shared by all requests, immutable.

    Attributes:
        head: what was loaded.
        positions: product id -> position in the catalogue.
        once_only: the products that may not be offered to who holds them.
        sells_again: whether anything on the popular list may be offered to who holds it.
        categories: per product.
        known_categories: all of them.
        segments: name -> its list.
        products: per product its members of an item, `"product_id":..,"name":..,"category":..`.
        tail: the members of an answer that are the same for all of the release.
        covered: by shard of events, up to which position the release knows of them; of the others
            it is not known.
        families: of each product by id: its category where it states no family.
        from_disk: whether it was restored from the file of the last release, not read from Redis.
    """

    head: Head
    positions: dict[str, int]
    once_only: frozenset[int]
    sells_again: bool
    categories: tuple[str | None, ...]
    known_categories: frozenset[str]
    segments: dict[str, PopularList]
    products: tuple[bytes, ...]
    tail: bytes
    covered: Mapping[int, Position] = field(default_factory=dict)
    families: Mapping[str, str | None] = field(default_factory=dict)
    from_disk: bool = False
    _reasons: dict[tuple[Reason, int | None], bytes] = field(default_factory=dict)

    def reasons(self, suggestion: Suggestion) -> bytes:
        """The `reasons` member of a suggestion, kept once made: there are few of them."""
        key = (suggestion.reason, suggestion.because)
        made = self._reasons.get(key)
        if made is None:
            made = self._reasons[key] = self._make_reasons(suggestion)
        return made

    def news(self, recent: Recent, shard: int) -> Sequence[RecentEvent]:
        """What somebody whose events go through `shard` did that this release does not know of."""
        if not recent.events:
            return ()
        manifest = self.head.manifest
        return recent.since(
            self.covered.get(shard),
            manifest.data_until or manifest.dataset_at or manifest.trained_at,
            elsewhere=self.covered,
            read_at=manifest.dataset_at or inf,
        )

    def segment(self, position: int | None) -> PopularList | None:
        """A customer's segment's list, if there is one."""
        if position is None or position >= len(self.head.segments):
            return None
        return self.head.segments[position]

    def _make_reasons(self, suggestion: Suggestion) -> bytes:
        if suggestion.because is None:
            fields: dict[str, object] = {
                "code": suggestion.reason,
                "text": sentence(suggestion.reason, None),
            }
        else:
            because = self.head.catalogue[suggestion.because]
            fields = {
                "code": suggestion.reason,
                "text": sentence(suggestion.reason, because.name or because.product_id),
                "because": {"product_id": because.product_id, "name": because.name},
            }
        return b'"reasons":' + orjson.dumps([fields])


def view_of(head: Head, *, from_disk: bool = False) -> ReleaseView:
    """Prepare a release for serving: about 2 us a product, to be done off the event loop."""
    catalogue = head.catalogue
    return ReleaseView(
        head=head,
        positions={entry.product_id: at for at, entry in enumerate(catalogue)},
        once_only=frozenset(at for at, entry in enumerate(catalogue) if not entry.repeatable),
        sells_again=any(catalogue[each.product].repeatable for each in head.popular.suggestions),
        categories=tuple(entry.category for entry in catalogue),
        known_categories=frozenset(e.category for e in catalogue if e.category is not None),
        segments={each.segment: each for each in head.segments if each.segment is not None},
        products=tuple(_members(entry) for entry in catalogue),
        tail=b'"release":%d,"model":%b'
        % (head.manifest.release, orjson.dumps(head.manifest.model)),
        covered=_covered(head.manifest.covered),
        families={entry.product_id: entry.family or entry.category for entry in catalogue},
        from_disk=from_disk,
    )


def _covered(positions: Sequence[str]) -> dict[int, Position]:
    return {shard: Position.parse(said) for shard, said in enumerate(positions) if said}


def _members(entry: CatalogueEntry) -> bytes:
    fields = {"product_id": entry.product_id, "name": entry.name, "category": entry.category}
    return orjson.dumps(fields)[1:-1]
