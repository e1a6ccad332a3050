"""Whom the engine may see: the customer, or nobody in particular.

A non-personalised answer is decided on a view without facts, state, propensities or id, so it can
not depend on the customer. `vulnerable` may close it; it never says what is in it.

Who is in arrears and has not agreed to personalisation is owed help with the contract all the same
when they come to us: it is decided on facts of the contract, on no behaviour and no scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from oferta.decisions.decision import Selection
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Known, Request
from oferta.policy.consent import may_personalise
from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState
from oferta.policy.control import in_control
from oferta.profile.facts import FACTS

OWED: Final = frozenset(
    [fact.name for fact in FACTS.values() if fact.origin in {"contract", "consent"}] + ["risk_tier"]
)
"""Facts that help with a contract in arrears is decided on, whoever agreed to what: the contract,
and the tier without which the rate card has no price for it."""


@dataclass(frozen=True, slots=True)
class View:
    """What a decision is made on.

    Attributes:
        personal: whether the answer may depend on the customer.
        remembered: whether contacts with them count and are kept: of who agreed, the control group
            included.
        owed: in arrears without consent: help with the contract, decided on the contract alone.
        control: whether they are in the control group of the period.
        closed: the code with which every offer is dropped; None: the answer is open.
        servicing_only: in arrears: nothing is promoted.
        selection: how offers of this view are selected, where nothing is explored.
        customer: id, for the seed; empty where the answer must not depend on it.
        facts: as stored; empty likewise. state: contacts, where they are remembered.
    """

    personal: bool
    remembered: bool
    owed: bool
    control: bool
    closed: str | None
    servicing_only: bool
    selection: Selection
    customer: str
    facts: Mapping[str, FactValue]
    state: CustomerState
    at: float
    day: date


def view_of(engine: Engine, request: Request, known: Known) -> View:
    """Whom the engine may see in this request."""
    policy = engine.policy
    facts = known.customer.facts
    personal = request.personalise and may_personalise(facts, policy)
    arrears = _in_arrears(known)
    closed: str | None = None
    control = owed = False
    remembered = personal
    selection: Selection = "best" if personal else "non_personalised"
    if facts.get("vulnerable") is True:
        closed = "customer.vulnerable"
    elif arrears and not personal:
        personal, owed, selection = True, True, "best"
        facts = {name: value for name, value in facts.items() if name in OWED}
    elif personal and not arrears:
        control = in_control(request.customer_id, policy.control, at=known.at, zone=engine.zone)
        if control and policy.control.gets == "nothing":
            closed = "control.group"
        elif control:
            personal, selection = False, "control"
    return View(
        personal=personal,
        remembered=remembered,
        owed=owed,
        control=control,
        closed=closed,
        servicing_only=arrears,
        selection=selection,
        customer=request.customer_id if personal else "",
        facts=facts if personal else {},
        state=known.state if remembered else NEVER_SPOKEN_TO,
        at=known.at,
        day=datetime.fromtimestamp(known.at, engine.zone).date(),
    )


def _in_arrears(known: Known) -> bool:
    """In arrears by the profile, or by a feedback that its data cannot know of yet."""
    if known.customer.facts.get("in_arrears") is True:
        return True
    told = known.state.arrears_at
    if told is None:
        return False
    # Not when the release was made: that may be of older data.
    return told > (known.release_at if known.data_at is None else known.data_at)
