"""What `[events]` of serving.toml may say."""

from typing import Literal, Self

from pydantic import Field, model_validator

from oferta.errors import UnknownName
from oferta.events.types import EventType, event_types
from oferta.profile.recent import KEPT_S
from oferta.settings import Settings
from oferta.store.events_redis import Keeping

DAY_S = 86_400.0


class EventSettings(Settings):
    """What events mean, how old they may be, and how long what they leave is kept."""

    types: dict[str, float | str] = Field(
        default_factory=dict
    )  # as in source.toml: the built-in type, or the weight
    max_age_d: float = Field(default=7, gt=0, le=365)  # an older event is refused
    park_d: float = Field(default=7, gt=0, le=365)  # that an event waits for its product
    dead_d: float = Field(default=30, gt=0, le=365)  # that a dead letter can be put back
    suppress_declined_d: float = Field(
        default=30, ge=0, le=90
    )  # that a declined product is left out of lists
    stream_cap: int = Field(
        default=50_000, ge=100, le=10_000_000
    )  # waiting events of one of 16 shards: 20 MB; from 80 % on new ones are refused
    durable: Literal["everysec", "always"] = "everysec"  # what Redis must do before a 202
    replicas: int = Field(default=0, ge=0, le=10)  # that must have an event before a 202
    take_over_s: float = Field(
        default=15, ge=0.05, le=3600
    )  # longer than anything takes: then another consumer has a dead one's events
    archive: bool = True  # False: events that were applied are forgotten
    archive_s: float = Field(default=60, ge=0.1, le=3600)  # between two files of the archive

    @model_validator(mode="after")
    def _types_known(self) -> Self:
        try:
            event_types(self.types)
        except UnknownName as error:
            raise ValueError(f"types: {error}") from None
        return self

    def known_types(self) -> dict[str, EventType]:
        """Every type that an event may have, by name."""
        return event_types(self.types)

    @property
    def keeping(self) -> Keeping:
        """How long and how much the store keeps.

        An event id is known a day longer than an event may be old: a replay is either recognised or
        too old. It outlives parking, too.
        """
        days = max(self.max_age_d, self.park_d) + 1
        return Keeping(
            claim_s=days * DAY_S,
            recent_s=KEPT_S,
            cap=self.stream_cap,
            replicas=self.replicas,
            always=self.durable == "always",
        )
