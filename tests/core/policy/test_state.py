"""A customer's state: reservations, feedback that may come twice and in any order, bytes."""

from dataclasses import replace
from itertools import permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offer_worlds import NOON, policy

from oferta.catalogue.families import FAMILIES
from oferta.catalogue.offers import Channel
from oferta.errors import RecordCorrupt
from oferta.policy.contact import NEVER_SPOKEN_TO, Answer, Contact, CustomerState, Silence
from oferta.policy.feedback import FEEDBACK, Feedback, FeedbackKind
from oferta.policy.state import apply_feedback, decode_state, encode_state, prune, reserve

DAY = 86_400.0
POLICY = policy(caps=[{"name": "c", "limit": 2, "period": "7d"}])
CONTACT = Contact("d_1", "o1", "p1", "loan", "app", "home", NOON, NOON + 1800)
MADE = CustomerState(version=1, contacts=(CONTACT,))


def said(kind: FeedbackKind, *, id: str = "f1", at: float = NOON + 60) -> Feedback:  # noqa: A002 - its field
    return Feedback(id, "d_1", "o1", "p1", "loan", kind, at)


def after(*feedback: Feedback, state: CustomerState = MADE) -> CustomerState:
    for one in feedback:
        state = apply_feedback(state, one, policy=POLICY)
    return state


def test_a_reservation_is_a_new_version_and_no_reservation_is_the_same_state():
    state = reserve(NEVER_SPOKEN_TO, [CONTACT], at=NOON, policy=POLICY)
    assert (state.version, state.contacts) == (1, (CONTACT,))
    assert reserve(state, [], at=NOON, policy=POLICY) is state


@pytest.mark.parametrize("kind", FEEDBACK)
def test_the_same_feedback_twice_changes_nothing_the_second_time(kind: FeedbackKind):
    once = after(said(kind))
    assert once.version == 2
    assert after(said(kind), said(kind)) is not once
    assert apply_feedback(once, said(kind), policy=POLICY) is once


def test_an_impression_a_click_and_an_acceptance_are_noted_when_they_happened():
    state = after(
        said("impression", id="a", at=NOON + 1),
        said("click", id="b", at=NOON + 2),
        said("accept", id="c", at=NOON + 3),
    )
    (contact,) = state.contacts
    assert (contact.shown_at, contact.clicked_at, contact.accepted_at) == (
        NOON + 1,
        NOON + 2,
        NOON + 3,
    )


def test_whoever_clicked_has_seen_it():
    (contact,) = after(said("click")).contacts
    assert contact.shown_at == contact.clicked_at == NOON + 60


@pytest.mark.parametrize(
    ("kind", "answer", "days"),
    [
        ("decline", "decline", 90),
        ("rejected", "decline", 90),
        ("later", "later", 14),
        ("complaint", "complaint", 365),
        ("accept", "accept", 30),
        ("applied", "accept", 30),
        ("funded", "accept", 30),
    ],
)
def test_an_answer_silences_what_it_is_about(kind: FeedbackKind, answer: Answer, days: int):
    (silence,) = after(said(kind)).silences
    assert silence == Silence(answer, "o1", "p1", "loan", NOON + 60 + days * DAY)


def test_later_on_a_day_that_the_customer_names():
    named = replace(said("later"), until=NOON + 3 * DAY)
    assert after(named).silences[0].until == NOON + 3 * DAY


@pytest.mark.parametrize("kind", ["impression", "click", "rating", "arrears"])
def test_other_feedback_silences_nothing(kind: FeedbackKind):
    assert after(said(kind)).silences == ()


def test_arrears_are_remembered_until_a_release_knows():
    assert after(said("arrears", at=NOON + 5)).arrears_at == NOON + 5


def test_an_answer_to_a_bundle_silences_each_of_its_products():
    bundle = replace(said("decline"), products=("p1", "p2"))
    state = after(bundle, replace(bundle, id="f2"))
    until = NOON + 60 + 90 * DAY
    assert set(state.silences) == {
        Silence("decline", "o1", product, "loan", until) for product in ("p1", "p2")
    }
    assert len(state.silences) == 2
    assert decode_state(encode_state(state)) == state


def test_feedback_on_a_contact_that_is_not_kept_still_silences():
    state = after(said("decline"), state=NEVER_SPOKEN_TO)
    assert state.contacts == ()
    assert [silence.offer for silence in state.silences] == ["o1"]


@given(st.lists(st.tuples(st.sampled_from(FEEDBACK), st.integers(0, 5)), min_size=2, max_size=4))
def test_the_order_of_arrival_does_not_matter(heard: list[tuple[FeedbackKind, int]]):
    told = [
        said(kind, id=f"f{number}", at=NOON + offset) for number, (kind, offset) in enumerate(heard)
    ]

    def outcome(order: tuple[Feedback, ...]) -> tuple[object, ...]:
        state = after(*order)
        return state.contacts, frozenset(state.silences), state.arrears_at

    assert len({outcome(order) for order in permutations(told)}) == 1


def test_a_stream_that_is_replayed_after_ids_were_forgotten_changes_nothing_that_counts():
    many = [said("click", id=f"f{number}", at=NOON + number) for number in range(100)]
    state = after(said("decline", id="first", at=NOON + 9), *many)
    assert "first" not in state.seen_feedback
    again = after(said("decline", id="first", at=NOON + 9), state=state)
    assert (again.contacts, again.silences) == (state.contacts, state.silences)


def test_what_no_cap_can_ask_about_is_forgotten_at_the_next_reservation():
    old = replace(CONTACT, decision="d_0", made_at=NOON - 9 * DAY, held_until=NOON - 9 * DAY)
    shown = replace(old, decision="d_s", shown_at=NOON - 5 * DAY)
    state = CustomerState(3, (old, shown), (Silence("later", "o", "p", "loan", NOON - 2 * DAY),))
    kept = reserve(state, [CONTACT], at=NOON, policy=POLICY)
    assert [contact.decision for contact in kept.contacts] == ["d_s", "d_1"]
    assert kept.silences == ()
    assert kept.version == 4


def test_feedback_from_a_clock_that_is_wrong_frees_no_cap():
    future = said("impression", at=NOON + 400 * DAY)
    other = replace(CONTACT, decision="d_2")
    state = after(future, state=replace(MADE, contacts=(CONTACT, other)))
    assert [contact.decision for contact in state.contacts] == ["d_1", "d_2"]


def test_pruning_keeps_the_state_that_has_nothing_to_forget():
    assert prune(MADE, at=NOON + 60, policy=POLICY) is MADE


instants = st.floats(0, 4e9, allow_nan=False) | st.integers(0, 4_000_000_000).map(float)
names = st.text(min_size=1, max_size=8)
families = st.sampled_from(FAMILIES)
states = st.builds(
    CustomerState,
    st.integers(0, 2**40),
    st.lists(
        st.builds(
            Contact,
            names,
            names,
            names,
            families,
            st.sampled_from(get_args(Channel)),
            names,
            instants,
            instants,
            st.none() | instants,
            st.none() | instants,
            st.none() | instants,
        ),
        max_size=3,
    ).map(tuple),
    st.lists(
        st.builds(Silence, st.sampled_from(get_args(Answer)), names, names, families, instants),
        max_size=3,
    ).map(tuple),
    st.lists(names, max_size=3).map(tuple),
    st.none() | instants,
)


@given(states)
def test_bytes_and_back_is_the_same_state(state: CustomerState):
    assert decode_state(encode_state(state)) == state
    assert encode_state(decode_state(encode_state(state))) == encode_state(state)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"[1]", b"[1,[[1]],[],[],null]", b"\xff"])
def test_foreign_bytes_are_refused(data: bytes):
    with pytest.raises(RecordCorrupt):
        decode_state(data)
