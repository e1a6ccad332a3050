"""Caps: what takes a place, under which name, and until when."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.policy.caps import counters_of, frees_at, used, used_in_total
from oferta.policy.contact import Contact
from oferta.policy.file import Cap, CapEvent, Scope

HOUR = 3600.0
NOW = 100 * HOUR
EVENTS: tuple[CapEvent, ...] = ("decision", "impression", "click", "accept")
SCOPES: tuple[Scope, ...] = ("offer", "product", "family", "channel", "placement", "all")


def cap(event: CapEvent = "impression", **settings: object) -> Cap:
    plain: dict[str, object] = {"name": "cap", "event": event, "limit": 2, "period": "24h"}
    return Cap.model_validate({**plain, **settings})


def contact(
    *,
    decision: str = "d_1",
    offer: str = "o1",
    made: float = 1,
    held: float = 2,
    shown: float | None = None,
    clicked: float | None = None,
    accepted: float | None = None,
) -> Contact:
    """A contact made, shown... so many hours ago; held for so many hours from when it was made."""

    def ago(hours: float | None) -> float | None:
        return None if hours is None else NOW - hours * HOUR

    return Contact(
        decision=decision,
        offer=offer,
        product="p1",
        family="loan",
        channel="app",
        placement="home",
        made_at=NOW - made * HOUR,
        held_until=NOW - (made - held) * HOUR,
        shown_at=ago(shown),
        clicked_at=ago(clicked),
        accepted_at=ago(accepted),
    )


@pytest.mark.parametrize(
    ("said", "one", "counted"),
    [
        ("made and held", contact(made=1, held=2), "decision impression click accept"),
        ("hold over, never shown", contact(made=3, held=2), ""),
        ("shown, hold over", contact(made=5, held=2, shown=4), "decision impression"),
        ("shown, still held", contact(made=1, held=2, shown=1), "decision impression click accept"),
        ("clicked", contact(made=5, held=2, shown=4, clicked=4), "decision impression click"),
        (
            "accepted",
            contact(made=5, held=2, shown=4, clicked=4, accepted=3),
            "decision impression click accept",
        ),
        ("shown before the period", contact(made=30, held=2, shown=25), ""),
        ("shown within it, made before", contact(made=30, held=8, shown=23), "impression"),
        ("shown at its very start", contact(made=30, held=8, shown=24), ""),
        ("held for longer than it", contact(made=30, held=72), "impression click accept"),
    ],
)
def test_what_takes_a_place(said: str, one: Contact, counted: str):
    assert said
    places = {event for event in EVENTS if used(cap(event), [one], at=NOW)}
    assert places == set(counted.split())


def test_a_message_with_three_offers_is_one_decision_and_three_impressions():
    three = [contact(offer=f"o{number}", shown=1) for number in range(3)]
    assert used(cap("decision"), three, at=NOW) == {"all": 1}
    assert used(cap("impression"), three, at=NOW) == {"all": 3}
    assert used(cap("decision", scope="offer"), three, at=NOW) == {"o0": 1, "o1": 1, "o2": 1}


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("offer", "o1"),
        ("product", "p1"),
        ("family", "loan"),
        ("channel", "app"),
        ("placement", "home"),
        ("all", "all"),
    ],
)
def test_each_scope_counts_under_its_own_name(scope: Scope, key: str):
    assert used(cap(scope=scope), [contact(shown=1)], at=NOW) == {key: 1}


def test_a_cap_may_be_about_some_of_them_only():
    assert used(cap(scope="offer", of=["o1"]), [contact(shown=1)], at=NOW) == {"o1": 1}
    assert used(cap(scope="offer", of=["o2"]), [contact(shown=1)], at=NOW) == {}


def test_counters_of_total_caps_are_named_for_the_cap_and_what_it_counts():
    caps = [cap(per="total", scope="offer"), cap(name="mine"), cap(name="sum", per="total")]
    assert [name for _, name in counters_of(caps, contact())] == ["cap/o1", "sum/all"]
    assert used_in_total(caps[0], {"cap/o1": 4, "cap/o2": 1, "sum/all": 9}) == {"o1": 4, "o2": 1}


def test_a_full_cap_frees_a_place_when_the_oldest_leaves():
    contacts = [
        contact(decision="d_1", made=20, shown=20),
        contact(decision="d_2", made=10, shown=10),
        contact(decision="d_3", made=1, held=2),
    ]
    # Three places are taken, two are allowed: the second to leave is the one held for an hour yet.
    assert frees_at(cap(), contacts, "all", at=NOW) == NOW + 4 * HOUR
    assert frees_at(cap(limit=4), contacts, "all", at=NOW) is None


def hours() -> st.SearchStrategy[float]:
    return st.integers(0, 40).map(float)


@st.composite
def contacts(draw: st.DrawFn) -> Contact:
    made = draw(hours())
    shown = draw(st.none() | st.integers(0, int(made)).map(float))
    clicked = None if shown is None else draw(st.none() | st.integers(0, int(shown)).map(float))
    accepted = (
        None if clicked is None else draw(st.none() | st.integers(0, int(clicked)).map(float))
    )
    one = contact(
        decision=draw(st.sampled_from(["d_1", "d_2", "d_3", "d_4"])),
        offer=draw(st.sampled_from(["o1", "o2"])),
        made=made,
        held=draw(st.sampled_from([0.5, 3.0, 72.0])),
        shown=shown,
        clicked=clicked,
        accepted=accepted,
    )
    return replace(one, channel=draw(st.sampled_from(["app", "email"])))


@given(
    st.lists(contacts(), max_size=8, unique_by=lambda one: (one.decision, one.offer)),
    st.sampled_from(EVENTS),
    st.sampled_from(SCOPES),
    st.integers(1, 3),
)
def test_a_cap_has_room_from_the_instant_it_says_and_not_a_moment_before(
    past: list[Contact], event: CapEvent, scope: Scope, limit: int
):
    rule = cap(event, scope=scope, limit=limit)
    for key, count in used(rule, past, at=NOW).items():
        free = frees_at(rule, past, key, at=NOW)
        if count < limit:
            assert free is None
        else:
            assert free is not None
            assert used(rule, past, at=free).get(key, 0) < limit
            assert used(rule, past, at=free - 1).get(key, 0) >= limit
