"""Claims of events are looked for as far back as any setting lets one live."""

from oferta.events.erasing import CLAIM_S
from oferta_serving.event_settings import EventSettings


def test_the_longest_claim_that_settings_allow_is_looked_for():
    longest = EventSettings(max_age_d=365, park_d=365)
    assert longest.keeping.claim_s <= CLAIM_S
