"""Entries of a stream as what somebody did; what is none is poison."""

from typing import NamedTuple

from oferta.errors import RecordCorrupt
from oferta.events.event import Event, decode_event
from oferta.store.events import Entry
from oferta.store.keys import KeySpace


class Deed(NamedTuple):
    """An event to be applied.

    Attributes:
        owner: hash of the customer, or of the session where no customer is known.
        claim: key of its claim.
        session: hash of the session, where a customer and a session are known.
    """

    entry: Entry
    event: Event
    owner: bytes
    claim: bytes
    session: bytes | None = None


def deed_of(entry: Entry, space: KeySpace) -> Deed:
    """What an entry tells.

    Raises:
        RecordCorrupt: its bytes are no event.
    """
    event = decode_event(entry.data)
    if not _is_sound(event):
        raise RecordCorrupt("an event in the stream has fields of other types")
    session = None if event.session_id is None else space.session(event.session_id)
    if event.customer_id is not None:
        owner = space.digest(event.customer_id)
    elif session is not None:
        owner, session = session, None
    else:
        raise RecordCorrupt("an event in the stream is nobody's")
    return Deed(entry, event, owner, space.event(owner, event.id), session)


def _is_sound(event: Event) -> bool:
    texts = (event.customer_id, event.session_id, event.product_id, event.channel)
    numbers = (event.value, event.quantity)
    return (
        isinstance(event.id, str)
        and isinstance(event.type, str)
        and _is_number(event.at)
        and _is_number(event.received_at)
        and all(text is None or isinstance(text, str) for text in texts)
        and all(number is None or _is_number(number) for number in numbers)
        and isinstance(event.attributes, dict)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
