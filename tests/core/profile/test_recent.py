from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from oferta import columns
from oferta.events.event import Event, Position
from oferta.profile.recent import (
    KEPT,
    KEPT_S,
    NOTHING_RECENT,
    SETTLING_KEPT,
    WISHES,
    Recent,
    applied,
    decode_recent,
    encode_recent,
    merge,
)

NOW = 1_780_000_000.0
TYPES = ("view", "click", "purchase", "decline", "return", "calculator", "own-word")


def at(ms: int, seq: int = 0) -> Position:
    """A position within the last days."""
    return Position(int(NOW * 1000) - 1_000_000 + ms, seq)


def event(number: int, type_: str = "view", **said: object) -> Event:
    fields = {"id": f"event-{number}", "type": type_, "at": NOW - 1000, "received_at": NOW - 999}
    return Event(**{**fields, "customer_id": "c", "product_id": "p", **said})  # type: ignore[arg-type]  # of any kind


streams = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 3), st.sampled_from(TYPES)),
    max_size=60,
    unique_by=lambda one: one[:2],
).map(lambda rows: [(at(ms, seq), event(ms * 4 + seq, type_)) for ms, seq, type_ in rows])


visits = streams.map(lambda rows: [(at, replace(one, id=f"visit-{one.id}")) for at, one in rows])
"""Of a session: other events than those of `streams`."""


def test_wishes_are_those_of_events() -> None:
    assert set(columns.WISHES) == WISHES


@given(streams, st.data())
def test_any_order_and_any_redelivery_come_to_the_same(
    stream: list[tuple[Position, Event]], data: st.DataObject
) -> None:
    straight = applied(NOTHING_RECENT, sorted(stream, key=lambda one: one[0]), now=NOW)
    shuffled = data.draw(st.permutations(stream + stream[:5]))
    cut = data.draw(st.integers(0, len(shuffled)))
    twice = applied(applied(NOTHING_RECENT, shuffled[:cut], now=NOW), shuffled[cut:], now=NOW)
    assert twice.events == straight.events
    assert twice.newest == straight.newest
    assert applied(twice, stream, now=NOW) is twice


@given(streams)
def test_it_is_in_order_and_survives_its_encoding(stream: list[tuple[Position, Event]]) -> None:
    recent = applied(NOTHING_RECENT, stream, now=NOW)
    assert list(recent.events) == sorted(recent.events, key=lambda one: one.position)
    assert recent.version == bool(stream)
    assert decode_recent(encode_recent(recent)) == recent


def test_every_change_grows_the_version() -> None:
    one = applied(NOTHING_RECENT, [(at(1), event(1))], now=NOW)
    two = applied(one, [(at(2), event(2))], now=NOW)
    assert (one.version, two.version) == (1, 2)
    assert applied(two, [], now=NOW) is two


def test_what_a_session_sent_and_then_its_customer_is_one_event() -> None:
    session = applied(NOTHING_RECENT, [(at(1), event(1, "purchase"))], now=NOW)
    before = applied(NOTHING_RECENT, [(at(5), event(1, "purchase"))], now=NOW)
    assert merge(before, session, shard=3, now=NOW) is before
    tied = merge(NOTHING_RECENT, session, shard=3, now=NOW)
    after = applied(tied, [(at(5), event(1, "purchase")), (at(6), event(2))], now=NOW)
    assert [one.type for one in after.events] == ["purchase", "view"]
    assert after.newest == at(6)


def test_records_of_before_events_were_named_are_read() -> None:
    old = orjson.dumps(
        [3, [9, 1], None, [[[9, 1], "view", "p", 1.0, None, None, {}, None, None, None]]]
    )
    (kept,) = decode_recent(old).events
    assert (kept.position, kept.named) == (Position(9, 1), None)


def test_the_newest_are_kept() -> None:
    many = [(at(ms), event(ms)) for ms in range(KEPT + 50)]
    recent = applied(NOTHING_RECENT, many, now=NOW)
    assert [one.position for one in recent.events] == [at(ms) for ms in range(50, KEPT + 50)]
    assert applied(recent, many, now=NOW) is recent, "what was pushed out does not come back"


def test_looking_around_does_not_push_out_what_was_bought_or_declined() -> None:
    stream = [(at(0), event(0, "purchase")), (at(1), event(1, "decline"))]
    stream += [(at(ms), event(ms)) for ms in range(2, 3 * KEPT)]
    recent = applied(NOTHING_RECENT, stream, now=NOW)
    assert [one.type for one in recent.events][:3] == ["purchase", "decline", "view"]
    assert len(recent.events) == KEPT


def test_settling_alone_does_not_push_out_the_newest_wishes() -> None:
    stream = [(at(ms), event(ms, "purchase")) for ms in range(KEPT)]
    stream += [(at(KEPT + ms), event(KEPT + ms)) for ms in range(KEPT)]
    kinds = [one.type for one in applied(NOTHING_RECENT, stream, now=NOW).events]
    assert kinds.count("purchase") == SETTLING_KEPT
    assert kinds.count("view") == KEPT - SETTLING_KEPT


def test_what_both_happened_and_came_in_long_ago_gives_way() -> None:
    old = Position(int((NOW - KEPT_S - 10) * 1000), 0)
    late = event(2, at=NOW - KEPT_S - 10)
    recent = applied(
        NOTHING_RECENT, [(old, event(1, at=NOW - KEPT_S - 10)), (at(1), late)], now=NOW
    )
    assert [one.position for one in recent.events] == [at(1)]
    assert recent.newest == at(1)


def test_it_keeps_what_answers_need_and_nothing_else() -> None:
    typed = {"wished_amount": 20_000.0, "wished_model": "Van", "browser": "x"}
    one = event(1, "calculator", attributes=typed, channel="app", value=3.0, quantity=2.0)
    (kept,) = applied(NOTHING_RECENT, [(at(1), one)], now=NOW).events
    wishes = {"wished_amount": 20_000.0, "wished_model": "Van"}
    said = (at(1), "calculator", "p", NOW - 1000, "app", 3.0, wishes, 2.0, None, None)
    assert kept == (*said, kept.named)
    assert len(kept.named or "") == 16, "a hash, not the id"


@given(streams, visits)
def test_a_session_merged_twice_is_merged_once(
    mine: list[tuple[Position, Event]], theirs: list[tuple[Position, Event]]
) -> None:
    customer = applied(NOTHING_RECENT, mine, now=NOW)
    session = applied(NOTHING_RECENT, theirs, now=NOW)
    merged = merge(customer, session, shard=3, now=NOW)
    assert len(merged.events) == len(mine) + len(theirs)
    assert {one.position for one in merged.events if one.shard == 3} == {at for at, _ in theirs}
    assert merge(merged, session, shard=3, now=NOW) is merged
    assert merged.newest == customer.newest
    assert [one.position for one in merged.events] == sorted(one.position for one in merged.events)
    later = applied(merged, [(at(400), event(2000))], now=NOW)
    assert len(later.events) == len(merged.events) + 1


@given(streams, visits, st.integers(0, 300), st.integers(0, 300))
def test_since_holds_each_event_against_its_own_shard(
    mine: list[tuple[Position, Event]],
    theirs: list[tuple[Position, Event]],
    own: int,
    other: int,
) -> None:
    merged = merge(
        applied(NOTHING_RECENT, mine, now=NOW),
        applied(NOTHING_RECENT, theirs, now=NOW),
        shard=3,
        now=NOW,
    )
    new = merged.since(at(own), 0.0, elsewhere={3: at(other)})
    assert {one.position for one in new if one.shard is None} == {
        place for place, _ in mine if place > at(own)
    }
    assert {one.position for one in new if one.shard == 3} == {
        place for place, _ in theirs if place > at(other)
    }


def test_where_a_release_does_not_say_what_it_knows_its_cut_does() -> None:
    early, late = event(1, at=NOW - 100), event(2, at=NOW - 50)
    recent = applied(NOTHING_RECENT, [(at(2), early), (at(1), late)], now=NOW)
    assert [one.at for one in recent.since(None, NOW - 100)] == [NOW - 50]
    assert [one.at for one in recent.since(None, NOW - 101)] == [NOW - 50, NOW - 100]
    came_in = at(1).ms / 1000
    assert [one.at for one in recent.since(None, NOW, read_at=came_in)] == [NOW - 100]


def test_records_of_before_quantities_and_shards_can_be_read() -> None:
    position = list(at(1))
    data = b'[3,[%d,%d],null,[[[%d,%d],"view","p",5.0,null,null,{}]]]' % (*position, *position)
    recent = decode_recent(data)
    assert recent == Recent(3, recent.events, None, at(1))
    assert (recent.events[0].quantity, recent.events[0].shard) == (None, None)


def test_a_release_that_does_not_know_whose_a_session_was_does_not_know_what_it_did() -> None:
    """Its data held the session's events, as nobody's: they would be forgotten until the next."""
    session = applied(NOTHING_RECENT, [(at(5), event(5))], now=NOW)
    merged = merge(NOTHING_RECENT, session, shard=3, now=NOW, tied=at(20))
    kept = decode_recent(encode_recent(merged))
    assert kept == merged
    assert len(kept.since(at(10), 0.0, elsewhere={3: at(10)})) == 1
    assert not kept.since(at(20), 0.0, elsewhere={3: at(10)})
