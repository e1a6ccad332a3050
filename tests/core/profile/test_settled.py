from oferta.events.event import Position
from oferta.events.types import BUILT_IN, event_types
from oferta.profile.recent import RecentEvent
from oferta.profile.settled import declined, pieces_of

DAY = 86_400.0
NOW = 100 * DAY


def did(
    kind: str, product: str | None = "p", *, days_ago: float = 1, quantity: float | None = None
):
    at = NOW - days_ago * DAY
    return RecentEvent(Position(int(at * 1000), 0), kind, product, at, None, None, {}, quantity)


def test_pieces_are_bought_less_returned_whatever_they_weigh():
    events = [did("purchase", quantity=3), did("return"), did("own-word", "q"), did("view", "r")]
    assert pieces_of([*events, did("purchase", None)], BUILT_IN) == {"p": 2.0, "q": 1.0}
    light = event_types({"purchase": 0.5})
    assert pieces_of(events[:2], light) == {"p": 2.0}
    assert pieces_of([did("purchase", quantity=-1)], BUILT_IN) == {"p": -1.0}


def test_a_no_holds_for_its_days():
    events = [did("decline", "p", days_ago=29), did("decline", "q", days_ago=31), did("view", "r")]
    assert declined(events, BUILT_IN, now=NOW, days=30) == {"p"}
    assert declined(events, BUILT_IN, now=NOW, days=0) == frozenset()


def test_who_bought_it_after_all_did_not_decline_it():
    no, yes = did("decline", days_ago=5), did("purchase", days_ago=3)
    assert declined([no, yes], BUILT_IN, now=NOW, days=30) == frozenset()
    again = did("decline", days_ago=1)
    assert declined([again, no, yes], BUILT_IN, now=NOW, days=30) == {"p"}
    assert declined([did("click"), no], BUILT_IN, now=NOW, days=30) == {"p"}


def test_at_one_instant_the_no_counts():
    both = [did("decline", days_ago=2), did("purchase", days_ago=2)]
    assert declined(both, BUILT_IN, now=NOW, days=30) == {"p"}
    assert declined(both[::-1], BUILT_IN, now=NOW, days=30) == {"p"}
