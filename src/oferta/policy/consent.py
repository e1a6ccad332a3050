"""What a customer has agreed to: content that depends on them, and messages on a channel.

Consent that is not known is not given, but for personalisation, where the policy says what holds.
"""

from collections.abc import Mapping
from typing import Literal

from oferta.catalogue.offers import Channel
from oferta.policy.file import Policy

Refused = Literal["consent.marketing", "consent.channel"]

Facts = Mapping[str, float | str | bool | None]


def may_personalise(facts: Facts, policy: Policy) -> bool:
    """Whether an answer may depend on the customer."""
    said = facts.get("consent_personalisation")
    if said is None:
        return policy.personalisation.without_consent == "personalised"
    return said is True


def contact_refused(channel: Channel, facts: Facts, policy: Policy) -> Refused | None:
    """Why the customer may not be contacted on a channel of the policy; None: they may.

    A message that we begin (outbound) needs consent to marketing; any channel needs the consent
    that the policy names for it.
    """
    rules = policy.channels[channel]
    if rules.direction == "outbound" and facts.get("consent_marketing") is not True:
        return "consent.marketing"
    if rules.consent is not None and facts.get(f"consent_{rules.consent}") is not True:
        return "consent.channel"
    return None
