"""Whom the engine may see: the customer, or nobody in particular.

A non-personalised answer is decided on a view without facts, state, propensities or id, so it can
not depend on the customer. What protects customers (vulnerable, in arrears) may close an answer; it
never says what is in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from oferta.decisions.decision import Selection
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue, Known, Request
from oferta.policy.consent import may_personalise
from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState
from oferta.policy.control import in_control


@dataclass(frozen=True, slots=True)
class View:
    """What a decision is made on.

    Attributes:
        personal: whether the answer may depend on the customer.
        control: whether they are in the control group of the period.
        closed: the code with which every offer is dropped; None: the answer is open.
        servicing_only: in arrears: nothing is promoted.
        selection: how offers of this view are selected, where nothing is explored.
        customer: id, for the seed; empty where the answer must not depend on it.
        facts: as stored; empty likewise. state: contacts; nobody was spoken to likewise.
    """

    personal: bool
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
    control = False
    selection: Selection = "best" if personal else "non_personalised"
    if facts.get("vulnerable") is True:
        closed = "customer.vulnerable"
    elif arrears and not personal:
        closed = "customer.in_arrears"
    elif personal and not arrears:
        control = in_control(request.customer_id, policy.control, at=known.at, zone=engine.zone)
        if control and policy.control.gets == "nothing":
            closed = "control.group"
        elif control:
            personal, selection = False, "control"
    return View(
        personal=personal,
        control=control,
        closed=closed,
        servicing_only=arrears,
        selection=selection,
        customer=request.customer_id if personal else "",
        facts=facts if personal else {},
        state=known.state if personal else NEVER_SPOKEN_TO,
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
