"""What routes work with, made once per tenant by `tenant_services`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oferta.clock import Clock, SystemClock
from oferta.store.keys import KeySpace
from oferta.store.rates import RedisRates
from oferta_serving.access.audit import Audit
from oferta_serving.access.rates import Rates
from oferta_serving.answers import Answers
from oferta_serving.breaker import Breaker
from oferta_serving.consent.following import Following
from oferta_serving.consent.keeping import Keeping
from oferta_serving.erasing.requests import Erasing
from oferta_serving.events.receiver import Receiver
from oferta_serving.live import Releases
from oferta_serving.lookup import Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.overload import Turnstile
from oferta_serving.settings import ServingSettings
from oferta_serving.store_watch import StoreWatch

if TYPE_CHECKING:  # imported by `tenant_services` where decisions are made, and else never
    from oferta_serving.base.live import LiveBase
    from oferta_serving.deciding.parts import Deciding


class Draining:
    """Set when the process was told to stop: it says so while it still serves."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False


@dataclass(frozen=True, slots=True)
class Process:
    """What the tenants of one process share: nothing of any customer."""

    clock: Clock
    metrics: Metrics
    turnstile: Turnstile
    draining: Draining
    rates: Rates
    audit: Audit
    watch: StoreWatch | None = None

    @classmethod
    def of(
        cls,
        settings: ServingSettings,
        *,
        clock: Clock | None = None,
        draining: Draining | None = None,
        rates: RedisRates | None = None,
        redis_url: str | None = None,
    ) -> "Process":
        """A process of these settings; by the machine's clock, unless another is given."""
        clock, metrics = clock or SystemClock(), Metrics()
        turnstile = Turnstile(settings.overload, metrics, clock=time.monotonic)
        counted = Rates(rates, settings.rate, clock, workers=settings.workers)
        watch = None if redis_url is None else StoreWatch(redis_url, metrics)
        return cls(clock, metrics, turnstile, draining or Draining(), counted, Audit(), watch)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that serve one tenant."""

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
    rates: Rates
    consent: Keeping | Following
    receiver: Receiver | None = None
    erasing: Erasing | None = None
    """None where another machine keeps the ledger."""
    deciding: "Deciding | None" = None
    watch: StoreWatch | None = None
    tenants: "tuple[Services, ...]" = ()
    """Of further tenants in this process: to tell how they are, and for nothing else."""
    base: "Callable[[], LiveBase] | None" = None
    """Imports data frames at the first call: half a second that no other process spends."""
