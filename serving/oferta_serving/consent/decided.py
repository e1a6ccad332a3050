"""Whether a decision that was made may still be shown: consent may have been withdrawn since."""

from typing import cast

from oferta.catalogue.offers import Channel
from oferta.decisions.decision import Decision
from oferta.decisions.request import Customer
from oferta.policy.consent import contact_refused, may_personalise
from oferta.policy.file import Policy


def withdrawn(decision: Decision, customer: Customer, policy: Policy) -> bool:
    """Whether the customer does not agree, by now, to what was decided.

    Not to a personal answer, unless it is help that is owed with a contract in arrears; not to
    marketing on the channel of an offer.
    """
    if not decision.offers:
        return False
    personal = decision.personalised and not decision.owed
    if personal and not may_personalise(customer.facts, policy):
        return True
    return any(
        contact_refused(cast("Channel", offer.channel), customer.facts, policy) is not None
        for offer in decision.offers
    )
