"""A customer's state as it changes: reservations taken, feedback heard, what is old forgotten.

Pure: every function gives a new state. `apply_feedback` may be repeated and reordered at will: an
impression keeps its first instant, a silence its last, so a replayed stream changes nothing.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from operator import attrgetter
from typing import Final

import orjson

from oferta.errors import RecordCorrupt
from oferta.policy.contact import Answer, Contact, CustomerState, Silence
from oferta.policy.feedback import Feedback, FeedbackKind
from oferta.policy.file import Policy
from oferta.policy.silence import lasts

SILENCES: Final[dict[FeedbackKind, Answer]] = {
    "accept": "accept",
    "applied": "accept",
    "approved": "accept",
    "funded": "accept",
    "decline": "decline",
    "rejected": "decline",  # asking again what was just refused helps nobody
    "later": "later",
    "complaint": "complaint",
}
"""The feedback that silences what it is about, and as which answer."""

_SEEN: Final = 64  # ids kept: what comes back later than that changes nothing anyway
_DAY: Final = 86_400.0
_CONTACT: Final = attrgetter(*(field.name for field in fields(Contact)))
_SILENCE: Final = attrgetter(*(field.name for field in fields(Silence)))


def reserve(
    state: CustomerState, contacts: Iterable[Contact], *, at: float, policy: Policy
) -> CustomerState:
    """The state after these contacts were made; the same one if there are none."""
    new = tuple(contacts)
    if not new:
        return state
    kept = prune(state, at=at, policy=policy)
    return replace(kept, version=state.version + 1, contacts=(*kept.contacts, *new))


def apply_feedback(state: CustomerState, feedback: Feedback, *, policy: Policy) -> CustomerState:
    """The state after a feedback; the same one if it was heard before.

    A feedback on a contact that is not in the state (a non-personalised answer, or one long past)
    still silences. Nothing is forgotten here: the instant is the sender's, and a wrong one must not
    free a cap.
    """
    if feedback.id in state.seen_feedback:
        return state
    contacts = tuple(
        _heard(contact, feedback)
        if contact.decision == feedback.decision and contact.offer == feedback.offer
        else contact
        for contact in state.contacts
    )
    arrears = state.arrears_at
    if feedback.kind == "arrears":
        arrears = feedback.at if arrears is None else max(arrears, feedback.at)
    return CustomerState(
        version=state.version + 1,
        contacts=contacts,
        silences=_silenced(state.silences, feedback, policy),
        seen_feedback=(*state.seen_feedback, feedback.id)[-_SEEN:],
        arrears_at=arrears,
    )


def prune(state: CustomerState, *, at: float, policy: Policy) -> CustomerState:
    """The state without what no cap and no cool-down can ask about any more.

    A contact is kept for the longest period of any cap after the last thing heard of it, and a day
    beyond, for feedback that arrives late and is told in the past.
    """
    longest = max((cap.period.total_seconds() for cap in policy.caps), default=0.0) + _DAY
    contacts = tuple(one for one in state.contacts if _latest(one) > at - longest)
    silences = tuple(one for one in state.silences if one.until > at - _DAY)
    if len(contacts) == len(state.contacts) and len(silences) == len(state.silences):
        return state
    return replace(state, contacts=contacts, silences=silences)


def encode_state(state: CustomerState) -> bytes:
    """The state as compact JSON; equal states give equal bytes."""
    return orjson.dumps(
        [
            state.version,
            [_CONTACT(contact) for contact in state.contacts],
            [_SILENCE(silence) for silence in state.silences],
            state.seen_feedback,
            state.arrears_at,
        ]
    )


def decode_state(data: bytes) -> CustomerState:
    """The state that `encode_state` wrote.

    Raises:
        RecordCorrupt: it did not write this.
    """
    try:
        version, contacts, silences, seen, arrears_at = orjson.loads(data)
        return CustomerState(
            version,
            tuple(Contact(*contact) for contact in contacts),
            tuple(Silence(*silence) for silence in silences),
            tuple(seen),
            arrears_at,
        )
    except (TypeError, ValueError) as error:
        raise RecordCorrupt(f"a customer's state is no state: {error}") from None


def _latest(contact: Contact) -> float:
    heard = (contact.shown_at, contact.clicked_at, contact.accepted_at)
    return max(contact.made_at, contact.held_until, *(one for one in heard if one is not None))


def _heard(contact: Contact, feedback: Feedback) -> Contact:
    """The contact after a feedback. Whoever clicks has seen it, whoever accepts likewise."""
    at = feedback.at
    match feedback.kind:
        case "impression":
            return replace(contact, shown_at=_first(contact.shown_at, at))
        case "click":
            return replace(
                contact,
                shown_at=_first(contact.shown_at, at),
                clicked_at=_first(contact.clicked_at, at),
            )
        case "accept" | "applied" | "approved" | "funded":
            return replace(
                contact,
                shown_at=_first(contact.shown_at, at),
                accepted_at=_first(contact.accepted_at, at),
            )
        case "decline" | "later" | "complaint" | "rejected" | "rating":
            return replace(contact, shown_at=_first(contact.shown_at, at))
        case "arrears":
            return contact


def _first(known: float | None, at: float) -> float:
    return at if known is None else min(known, at)


def _silenced(
    silences: tuple[Silence, ...], feedback: Feedback, policy: Policy
) -> tuple[Silence, ...]:
    answer = SILENCES.get(feedback.kind)
    if answer is None:
        return silences
    until = feedback.at + lasts(answer, policy.cool_down).total_seconds()
    if answer == "later" and feedback.until is not None:
        until = feedback.until
    for product in feedback.products or (feedback.product,):
        about = Silence(answer, feedback.offer, product, feedback.family, until)
        same = [one for one in silences if _about(one) == _about(about)]
        if not any(one.until >= until for one in same):
            silences = (*(one for one in silences if one not in same), about)
    return silences


def _about(silence: Silence) -> tuple[str, str, str]:
    return silence.answer, silence.offer, silence.product
