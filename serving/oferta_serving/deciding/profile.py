"""What is known of one customer, to be read: facts, where they are from, what was said and when."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import orjson

from oferta.clock import instant
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue
from oferta.policy.contact import Contact, CustomerState, Silence
from oferta.profile.facts import FACTS
from oferta_serving.deciding.known import Found

_EPOCH = date(1970, 1, 1)


def profile_answer(customer_id: str, found: Found, engine: Engine, *, at: float) -> bytes:
    """The profile as of the instant `at`, with the facts that hang on the day derived for it.

    Raises:
        RecordCorrupt: the evidence is damaged.
    """
    manifest = found.view.head.manifest
    facts: Mapping[str, FactValue] = found.fresh(at).customer.facts
    today = datetime.fromtimestamp(at, UTC).astimezone(engine.zone).date()
    row = engine.deriver.derive(facts, today=(today - _EPOCH).days)
    state = found.state
    said = {
        "customer_id": customer_id,
        "known": found.profile is not None,
        "release": manifest.release,
        "age_s": max(0, int(at - manifest.created_at)),
        "profile_at": instant(manifest.profile_at) if manifest.profile_at else None,
        "degraded_reason": found.degraded,
        "facts": {name: _plain(name, value, engine) for name, value in facts.items()},
        "derived": {
            name: _plain(name, row[name], engine)
            for name, fact in FACTS.items()
            if fact.origin == "derived" and name in row
        },
        "evidence": orjson.Fragment(found.profile.evidence) if found.profile is not None else {},
        **_state(state),
    }
    return orjson.dumps(said)


def _state(state: CustomerState) -> dict[str, object]:
    return {
        "state_version": state.version,
        "contacts": [_contact(contact) for contact in state.contacts],
        "silences": [_silence(silence) for silence in state.silences],
        "arrears_at": None if state.arrears_at is None else instant(state.arrears_at),
    }


def _contact(contact: Contact) -> dict[str, object]:
    instants = {
        "made_at": contact.made_at,
        "held_until": contact.held_until,
        "shown_at": contact.shown_at,
        "clicked_at": contact.clicked_at,
        "accepted_at": contact.accepted_at,
    }
    return {
        "offer_id": contact.offer,
        "product": contact.product,
        "family": contact.family,
        "channel": contact.channel,
        "placement": contact.placement,
        **{name: None if when is None else instant(when) for name, when in instants.items()},
    }


def _silence(silence: Silence) -> dict[str, object]:
    return {
        "answer": silence.answer,
        "offer_id": silence.offer,
        "product": silence.product,
        "family": silence.family,
        "until": instant(silence.until),
    }


def _plain(name: str, value: FactValue, engine: Engine) -> object:
    """The value as people write it: days of a date as a date."""
    if engine.columns.get(name) == "date" and isinstance(value, int | float):
        return (_EPOCH + timedelta(days=int(value))).isoformat()
    return value
