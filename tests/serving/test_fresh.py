"""Lists after the last click: what is answered, whatever release is live by then."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving.fresh_worlds import (
    CATALOGUE,
    LENGTH,
    ONCE,
    PRODUCTS,
    SPACE,
    Shop,
    everywhere,
    listed_in,
    scorer,
)
from serving.worlds import NOON

from oferta.errors import StoreUnavailable
from oferta.events.event import START, Position
from oferta.profile.recent import NOTHING_RECENT, applied, merge
from oferta.store.contract import Pointer
from oferta.store.head import manifest_digest

HOUR = 3600
LAST = Position(10**15, 0)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Anna bought some things before the release; Bela is in it with nothing."""
    shop = Shop(tmp_path)
    shop.did("anna", "purchase", "p00", at=-90 * HOUR)
    shop.did("anna", "purchase", "p05", at=-80 * HOUR)
    shop.publish(["anna", "bela"], everywhere(LAST))
    return shop


def test_who_did_nothing_since_gets_the_releases_own_list(shop: Shop):
    answer = shop.answer("anna")
    assert listed_in(answer) == shop.expected("anna")
    assert (answer["freshened_by"], answer["events"], answer["level"]) == (None, 0, "L0")


def covered_now(shop: Shop) -> None:
    """The same release, that knows of what happened up to an hour before noon."""
    shop.publish(["anna", "bela"], everywhere(Position(round((NOON - HOUR) * 1000), 0)))


def test_a_click_changes_the_next_list(shop: Shop):
    covered_now(shop)
    before = listed_in(shop.answer("anna"))
    shop.did("anna", "view", "p02")
    shop.did("anna", "cart", "p09", at=60)
    answer = shop.answer("anna")
    assert listed_in(answer) == shop.expected("anna") != before
    assert (answer["freshened_by"], answer["events"], answer["cold"]) == ("neighbours", 2, False)
    reasons = {one["reasons"][0]["because"]["product_id"] for one in answer["items"][:3]}
    assert reasons & {"p02", "p09"}


def test_who_is_not_in_the_release_gets_a_list_of_their_own(shop: Shop):
    covered_now(shop)
    assert shop.answer("newcomer")["cold_reason"] == "unknown_customer"
    shop.did("newcomer", "view", "p04")
    answer = shop.answer("newcomer")
    assert listed_in(answer) == shop.expected("newcomer")
    assert (answer["cold"], answer["served_from"]) == (False, "personalised")


def test_who_had_no_past_in_the_release_gets_one(shop: Shop):
    covered_now(shop)
    assert shop.answer("bela")["cold"]
    shop.did("bela", "purchase", "p01")
    answer = shop.answer("bela")
    assert listed_in(answer) == shop.expected("bela")
    assert not answer["cold"]


def test_what_may_be_had_once_goes_when_it_is_bought_and_comes_back_when_returned(shop: Shop):
    covered_now(shop)
    shop.did("anna", "purchase", "p03")
    assert "p03" not in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]
    shop.did("anna", "cancel", "p03", at=60)
    assert listed_in(shop.answer("anna")) == shop.expected("anna")
    assert "p03" in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]


def test_what_the_release_held_comes_back_when_returned(tmp_path: Path):
    shop = Shop(tmp_path)
    shop.did("anna", "purchase", "p03", at=-90 * HOUR)
    shop.did("anna", "purchase", "p05", at=-90 * HOUR)
    covered_now(shop)
    assert "p03" not in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]
    shop.did("anna", "return", "p03")
    assert "p03" in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]


def test_what_may_be_had_again_stays(shop: Shop):
    covered_now(shop)
    shop.did("anna", "purchase", "p01")
    assert "p01" in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]


def test_what_was_declined_is_out_whether_the_release_knows_or_not(shop: Shop):
    for covered in (everywhere(START), everywhere(LAST)):
        shop.events.clear()
        shop.did("anna", "purchase", "p00", at=-90 * HOUR)
        first = shop.expected("anna")[0]
        shop.did("anna", "decline", first, at=-60)
        shop.publish(["anna"], covered)
        answer = shop.answer("anna", n=12)
        assert first not in [one["product_id"] for one in answer["items"]]
        shop.did("anna", "purchase", first, at=60)
        if first not in ONCE:
            assert first in [one["product_id"] for one in shop.answer("anna", n=12)["items"]]


def test_a_no_ends_after_its_days(tmp_path: Path):
    for days, gone in ((30.0, True), (1.0, False), (0.0, False)):
        shop = Shop(tmp_path, suppress_declined_d=days)
        shop.did("anna", "decline", "p02", at=-48 * HOUR)
        shop.publish(["anna"], everywhere(START))
        listed = [one["product_id"] for one in shop.answer("anna", n=12)["items"]]
        assert ("p02" not in listed) == gone


def test_events_that_are_no_taste_leave_the_list_as_it_is(shop: Shop):
    covered_now(shop)
    before = listed_in(shop.answer("anna"))
    shop.did("anna", "impression", "p02")
    shop.did("anna", "search", None)
    shop.did("anna", "view", "not-sold-here")
    answer = shop.answer("anna")
    assert listed_in(answer) == before
    assert (answer["freshened_by"], answer["events"]) == ("events", 3)


def test_without_a_scorer_what_is_bought_or_declined_goes_all_the_same(tmp_path: Path):
    shop = Shop(tmp_path)
    shop.did("anna", "purchase", "p00", at=-90 * HOUR)
    first, second, *_ = [one for one in shop.expected("anna") if one not in ONCE]
    shop.publish(["anna"], everywhere(Position(round((NOON - HOUR) * 1000), 0)), carry=False)
    shop.did("anna", "decline", first)
    shop.did("anna", "purchase", "p03")
    answer = shop.answer("anna", n=12)
    listed = [one["product_id"] for one in answer["items"]]
    assert first not in listed
    assert "p03" not in listed
    assert second in listed
    assert (answer["freshened_by"], answer["events"], answer["level"]) == ("events", 2, "L0")


@pytest.mark.parametrize("damage", ["no scorer", "scorer", "no past", "past", "no answer"])
def test_where_the_list_cannot_follow_the_releases_own_is_used_without_what_was_bought(
    shop: Shop, damage: str
):
    covered_now(shop)
    number = 2
    own = [one for one in listed_in(shop.answer("anna")) if one != "p03"]
    scorer_key = SPACE.scorer(number, 0)
    past = SPACE.past(number, 1, SPACE.digest("anna"))
    key = scorer_key if "scorer" in damage else past
    record, expiry = shop.store.records_by_key[key]
    if damage.startswith("no "):
        del shop.store.records_by_key[key]
    else:
        shop.store.records_by_key[key] = (record[:-1] + b"!", expiry)
    shop.did("anna", "purchase", "p03")
    shop.did("anna", "view", "p02")
    if "scorer" in damage:
        # A new process has to load it.
        shop.releases.current = type(shop.releases.current)()
    if damage == "no answer":
        shop.store.records_by_key[past] = (record, expiry)
        fetch = shop.store.fetch

        async def away(keys: Sequence[bytes]) -> list[bytes | None]:
            if past in keys:
                raise StoreUnavailable("away")
            return await fetch(keys)

        shop.store.fetch = away
    answer = shop.answer("anna", n=12)
    assert [one for one in listed_in(answer) if one in own] == own
    assert "p03" not in [one["product_id"] for one in answer["items"]]
    assert (answer["level"], answer["degraded_reason"]) == ("L1", "recent_unreadable")
    assert (answer["freshened_by"], answer["events"]) == ("events", 2)


def test_a_scorer_that_came_back_is_found_again(shop: Shop):
    covered_now(shop)
    kept = shop.store.records_by_key.pop(SPACE.scorer(2, 0))
    shop.did("anna", "view", "p02")
    assert shop.answer("anna")["level"] == "L1"
    shop.store.records_by_key[SPACE.scorer(2, 0)] = kept

    async def some_seconds() -> None:
        for _ in range(30):
            await shop.releases.refresh()

    asyncio.run(some_seconds())
    assert listed_in(shop.answer("anna")) == shop.expected("anna")


def test_the_same_release_and_events_make_the_same_answer(shop: Shop, tmp_path: Path):
    covered_now(shop)
    shop.did("anna", "view", "p02")
    first = shop.answer("anna")
    assert shop.answer("anna") == first
    again = Shop(tmp_path, events=shop.events)
    again.store.records_by_key = shop.store.records_by_key
    assert again.answer("anna") == first


def test_a_batch_makes_the_lists_of_single_answers(shop: Shop):
    covered_now(shop)
    names = ["anna", "bela", *(f"new-{at}" for at in range(40))]
    for at, name in enumerate(names):
        if at % 3:
            shop.did(name, "view", PRODUCTS[at % 12])
    several = asyncio.run(shop.found(*names))
    shop.freshener._kept.clear()
    single = [asyncio.run(shop.found(name))[0] for name in names]
    assert several == single
    assert sum(one.freshened_by == "neighbours" for one in several) == 28


def test_what_is_no_longer_or_not_yet_sold_is_in_no_fresh_list(tmp_path: Path):
    over = replace(CATALOGUE[1], ends_at=int(NOON) - 1)
    hidden = replace(CATALOGUE[2], status="hidden")
    later = replace(CATALOGUE[4], starts_at=int(NOON) + 10)
    shop = Shop(
        tmp_path, catalogue=(CATALOGUE[0], over, hidden, CATALOGUE[3], later, *CATALOGUE[5:])
    )
    shop.publish(["anna"], everywhere(START))
    shop.did("anna", "view", "p00")
    (found,) = asyncio.run(shop.found("anna"))
    assert not {1, 2, 4} & {one.product for one in found.row.suggestions}
    assert len(found.row.suggestions) == 5


def test_what_came_in_late_is_new_to_a_release_that_does_not_say_what_it_knows(tmp_path: Path):
    """It happened before the data end, and came in after they were read."""
    shop = Shop(tmp_path)
    shop.did("anna", "purchase", "p00", at=-90_000)
    shop.publish(["anna"], everywhere(LAST), tell=False)
    shop.did("anna", "purchase", "p04", at=-80_000, ms=round(NOON * 1000))
    answer = shop.answer("anna")
    assert answer["events"] == 1
    assert listed_in(answer) == shop.expected("anna")


moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("event"),
            st.sampled_from(["anna", "bela", "cleo"]),
            st.sampled_from(["purchase", "view", "cart", "return", "decline"]),
            st.sampled_from(PRODUCTS),
        ),
        st.tuples(st.just("publish"), st.integers(0, 30)),
        st.tuples(st.just("back")),
    ),
    min_size=8,
    max_size=16,
)


@settings(max_examples=25, deadline=None)
@given(moves=moves)
def test_whatever_is_published_or_rolled_back_nobody_steps_back_in_time(
    moves: list[tuple[object, ...]],
):
    """Releases are of any model, and of data of any age; answers follow all that ever happened.

    The oracle is training on all events at once, so an event that is forgotten, or counted twice,
    shows.
    """
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        who = ("anna", "bela", "cleo")
        shop.publish(who[:2], everywhere(START))
        at, published = 0, [1]
        for move in moves:
            at += 1
            if move[0] == "event":
                shop.did(move[1], move[2], move[3], at=at)
            elif move[0] == "publish":
                until = Position(round((NOON + at - move[1]) * 1000), 0)
                shop.scorer = scorer(at)
                # Data of some age; a stranger may have come into them, or not yet.
                published.append(shop.publish(who[: 2 + move[1] % 2], everywhere(until)))
            else:
                back_to(shop, published[-2:][0], at)
            for customer in who:
                if not shop.events.get(customer):
                    continue
                answer = shop.answer(customer, n=len(PRODUCTS))
                listed = listed_in(answer)
                wanted = shop.expected(customer, release=answer["release"])
                if answer["freshened_by"] != "neighbours":
                    # The release's own list gets shorter by what was declined; it is not refilled.
                    wanted = wanted[: max(len(listed), LENGTH - len(shop.declined(customer)))]
                assert listed == wanted or cold_of(shop, customer), (customer, answer)
                shown = {one["product_id"] for one in answer["items"]}
                assert not shop.declined(customer) & shown


def cold_of(shop: Shop, customer: str) -> bool:
    """Whether nothing that they did says anything of their taste."""
    kinds = {"purchase": 1.0, "view": 0.1, "cart": 0.5, "return": -1.0}
    sums: dict[str, list[float]] = {}
    for _, event in shop.events[customer]:
        amount = kinds.get(event.type, 0.0)
        had = sums.setdefault(event.product_id, [0.0, 0.0])
        had[amount < 0] += amount
    return not any(had > 0 and had + back > 1e-6 for had, back in sums.values())


def back_to(shop: Shop, release: int, at: int) -> None:
    """What a rollback does."""
    (manifest,) = shop.store.records([SPACE.manifest(release)])
    fence = shop.store.reserve_fence()
    pointer = Pointer(release, None, fence, NOON + at, manifest_digest(manifest))
    assert shop.store.swap(pointer)


def test_a_session_gets_a_list_of_what_it_did_until_it_is_somebodys(shop: Shop):
    covered_now(shop)
    assert shop.session_answer("s-1")["served_from"] == "popular"
    shop.did("visitor", "view", "p02")
    shop.did("visitor", "cart", "p09", at=60)
    seen = applied(NOTHING_RECENT, shop.events["visitor"], now=NOON)
    shop.keep_session("s-1", seen)
    answer = shop.session_answer("s-1")
    assert listed_in(answer) == shop.expected("visitor")
    assert (answer["session_id"], answer["events"], answer["cold"]) == ("s-1", 2, False)

    shard = SPACE.shard(SPACE.session("s-1"))
    own = applied(NOTHING_RECENT, shop.events["anna"], now=NOON)
    shop.keep("anna", merge(own, seen, shard=shard, now=NOON))
    shop.keep_session("s-1", replace(seen, merged_into="00" * 16))
    assert shop.session_answer("s-1")["served_from"] == "popular"
    shop.events["anna"] += shop.events["visitor"]
    assert listed_in(shop.answer("anna")) == shop.expected("anna")


def test_what_a_session_did_is_no_customers_of_that_name(shop: Shop):
    covered_now(shop)
    shop.did("visitor", "view", "p02")
    shop.keep_session("s-1", applied(NOTHING_RECENT, shop.events["visitor"], now=NOON))
    assert shop.answer("s-1")["events"] == 0


def test_a_session_whose_record_is_damaged_gets_everybodys_list(shop: Shop):
    covered_now(shop)
    key = SPACE.recent(SPACE.session("s-1"))
    shop.store.put([(key, b"damaged")], ttl_s=1000)
    answer = shop.session_answer("s-1")
    assert (answer["degraded_reason"], answer["served_from"]) == ("recent_unreadable", "popular")


def test_the_scorers_shape_is_told(tmp_path: Path):
    shop = Shop(tmp_path, scorer=replace(scorer(), step_decay=1.0, binary=True))
    shop.publish(["anna"], everywhere(START))
    shop.did("anna", "view", "p00")
    assert shop.answer("anna")["freshened_by"] == "neighbours"
    assert listed_in(shop.answer("anna")) == shop.expected("anna")
    assert np.isfinite([one["score"] for one in shop.answer("anna")["items"]]).all()
