"""The non-personalised list of a channel, before consent to the channel is asked."""

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.case import Case
from oferta.decisions.offered import Valued
from oferta.decisions.opening import open_offers
from oferta.decisions.pricing import Pricer
from oferta.decisions.sift import candidates, eligible
from oferta.decisions.valuing import Inputs, valued_for_anyone


def offers_for_anyone(
    case: Case, channel: Channel, placements: tuple[Placement, ...]
) -> list[Valued]:
    """What may be offered to anybody, the best first; `case` is nobody's in particular."""
    engine, view = case.engine, case.view
    left, _ = candidates(case)
    opened = open_offers(engine, left, channel, placements, view.at).left
    row = {**case.row, "channel": channel}
    values = engine.program(row)
    conditions = len(engine.conditions)
    failed = sum(1 << at for at, value in enumerate(values[:conditions]) if value is not True)
    allowed, _ = eligible(case, opened, channel, failed, row)
    inputs = Inputs(Pricer(engine, case.request, view, row), values[conditions:], failed, None)
    return valued_for_anyone(case, allowed, inputs)
