"""Consent: what is not known is not given."""

import pytest
from offer_worlds import FACTS, policy

from oferta.policy.consent import contact_refused, may_personalise


@pytest.mark.parametrize(("said", "may"), [(True, True), (False, False), (None, False)])
def test_content_depends_on_a_person_only_if_they_agreed(said: bool | None, may: bool):
    facts = {} if said is None else {"consent_personalisation": said}
    assert may_personalise(facts, policy()) is may


def test_a_policy_may_personalise_where_consent_is_not_known_but_never_against_a_no():
    open_policy = policy(personalisation={"without_consent": "personalised"})
    assert may_personalise({}, open_policy)
    assert not may_personalise({"consent_personalisation": False}, open_policy)


@pytest.mark.parametrize("said", [False, None])
def test_we_do_not_write_first_without_consent_to_marketing(said: bool | None):
    facts = {**FACTS, "consent_marketing": said}
    assert contact_refused("email", facts, policy()) == "consent.marketing"
    assert contact_refused("app", facts, policy()) is None


@pytest.mark.parametrize("said", [False, None])
def test_a_channel_needs_the_consent_that_the_policy_names(said: bool | None):
    facts = {**FACTS, "consent_email": said}
    assert contact_refused("email", facts, policy()) == "consent.channel"
    assert contact_refused("push", facts, policy()) is None


def test_an_inbound_channel_may_need_consent_too():
    channels = {"call_centre": {"direction": "inbound", "consent": "phone"}}
    asked = policy(channels=channels)
    assert contact_refused("call_centre", FACTS, asked) == "consent.channel"
    assert contact_refused("call_centre", {"consent_phone": True}, asked) is None
