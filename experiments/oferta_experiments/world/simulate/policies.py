"""Who decides: the seller's policy, and three others under the same hard rules.

All of them ask the same engine, so that eligibility, consent, caps and terms are the same; they
differ in which of the offers that may be made they make.
"""

from typing import Final, Literal, get_args

from oferta.catalogue.offers import OfferCatalogue
from oferta.decisions.engine import Engine
from oferta.policy.file import Control, Exploration, Policy, Risk
from oferta.terms.card import RateCards

Arm = Literal["engine", "popularity", "random", "nothing"]

ARMS: Final[tuple[Arm, ...]] = get_args(Arm)
MEANINGS: Final[dict[Arm, str]] = {
    "engine": "the policy: expected value from propensities, margins, clock and levers",
    "popularity": "of the offers that may be made, the one that most customers take",
    "random": "of the offers that may be made and pay, any",
    "nothing": "nobody is offered anything",
}


def engine_of(
    arm: Arm, catalogue: OfferCatalogue, policy: Policy, cards: RateCards
) -> Engine | None:
    """The engine of an arm; None: it offers nothing.

    The control group is not its own here: who would be in it is asked when uplift is measured.

    Raises:
        SettingsInvalid: every problem of the files.
    """
    open_to_all = policy.model_copy(update={"control": Control()})
    if arm == "engine":
        return Engine.build(catalogue, open_to_all, cards)
    if arm == "random":
        # Exploration draws the first offer, each as likely, among all that could be made.
        drawn = open_to_all.model_copy(update={"exploration": Exploration(share=1.0)})
        return Engine.build(catalogue, drawn, cards)
    if arm == "popularity":
        plain = open_to_all.model_copy(
            update={"exploration": Exploration(), "weights": (), "levers": (), "risk": Risk()}
        )
        same = tuple(offer.model_copy(update={"margin": "1"}) for offer in catalogue.offers)
        return Engine.build(OfferCatalogue(same, catalogue.placements), plain, cards)
    return None
