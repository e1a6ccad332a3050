"""One month of a chunk, in the order in which things happen."""

from collections.abc import Callable

import numpy as np

from oferta_experiments.world.arrays import Flags
from oferta_experiments.world.browsing import (
    ask_unasked,
    begin_looking,
    look_for_cars,
    visit_workshops,
)
from oferta_experiments.world.moments import moments, possible
from oferta_experiments.world.opening import latecomers
from oferta_experiments.world.payments import pay_instalments, renew_covers
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.times import MIDDLE, first_day

Contact = Callable[[Chunk, int, Flags], None]
"""Speaks to customers: a chunk, the month, and `(n,)` who is a customer by then."""

_FORGETS = 0.5


def live_month(chunk: Chunk, *, month: int, contact: Contact) -> None:
    """Payments, renewals, contacts, what customers do by themselves, then who comes new."""
    state, products, people = chunk.state, chunk.products, chunk.people
    chunk.luck.month = month
    start, end = int(first_day(month)), int(first_day(month + 1))
    active = people.joined < start
    pay_instalments(chunk, month)
    renew_covers(chunk, month)
    state.contacts *= _FORGETS
    contact(chunk, month, active)
    middle = start + MIDDLE
    at = moments(state, products, middle)
    begin_looking(chunk, at, month=month, active=active)
    look_for_cars(chunk, month=month, active=active)
    at = moments(state, products, middle)
    can = possible(state, products, at, middle)
    ask_unasked(chunk, at, can, month=month, active=active)
    visit_workshops(chunk, month=month, active=active)
    latecomers(chunk, among=np.asarray((people.joined >= start) & (people.joined < end)))
