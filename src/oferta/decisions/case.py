"""Everything that is given in one decision, before anything is decided."""

from dataclasses import dataclass, replace
from datetime import date

from oferta.decisions.asked import Asked, ask
from oferta.decisions.decision import Versions
from oferta.decisions.engine import Engine
from oferta.decisions.identity import seed_of
from oferta.decisions.request import FactValue, Known, Request
from oferta.decisions.row import anyones_row, day_number
from oferta.decisions.view import View, view_of


@dataclass(frozen=True, slots=True)
class Case:
    """What one decision is made from.

    Attributes:
        known: without the facts and scores that what is owed in arrears does not depend on.
        asked: the request, read against the engine; view: whom the engine may see.
        row: the columns of rules but `channel`, by name.
    """

    engine: Engine
    request: Request
    known: Known
    asked: Asked
    view: View
    versions: Versions
    row: dict[str, FactValue]
    seed: int

    @property
    def day(self) -> date:
        """The day of the decision, in the policy's zone."""
        return self.view.day


def case_of(engine: Engine, request: Request, known: Known) -> Case:
    """The case of a request.

    Raises:
        RequestInvalid: a field of the request is missing, mistyped or names what there is not.
    """
    asked = ask(engine, request)
    view = view_of(engine, request, known)
    if view.owed:
        known = replace(known, customer=replace(known.customer, facts=view.facts, propensities={}))
    versions = Versions(
        policy=engine.policy_version,
        catalogue=engine.catalogue_version,
        rate_card=engine.cards.version,
        release=known.release,
        model=known.model,
    )
    row = anyones_row(view.day, asked.context)
    if view.personal:
        derived = engine.deriver.derive(view.facts, today=int(day_number(view.day)))
        row = {**derived, **row}
    seed = seed_of(
        request,
        customer=view.customer,
        placements=tuple([place.id for _, places in asked.ways for place in places]),
        versions=versions,
        day=view.day,
    )
    return Case(engine, request, known, asked, view, versions, row, seed)
