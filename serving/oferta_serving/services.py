"""What routes work with, made once per process by `app.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oferta.clock import Clock
from oferta.store.keys import KeySpace
from oferta_serving.answers import Answers
from oferta_serving.breaker import Breaker
from oferta_serving.consent.following import Following
from oferta_serving.consent.keeping import Keeping
from oferta_serving.events.receiver import Receiver
from oferta_serving.live import Releases
from oferta_serving.lookup import Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.overload import Turnstile
from oferta_serving.settings import ServingSettings

if TYPE_CHECKING:  # imported by `app` where decisions are made, and else never
    from oferta_serving.base.live import LiveBase
    from oferta_serving.deciding.parts import Deciding


class Draining:
    """Set when the process was told to stop: it says so while it still serves."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one serving process."""

    settings: ServingSettings
    clock: Clock
    space: KeySpace
    metrics: Metrics
    breaker: Breaker
    releases: Releases
    lookup: Lookup
    answers: Answers
    draining: Draining
    turnstile: Turnstile
    consent: Keeping | Following
    receiver: Receiver | None = None
    deciding: "Deciding | None" = None
    base: "Callable[[], LiveBase] | None" = None
    """Imports data frames at the first call: half a second that no other process spends."""
