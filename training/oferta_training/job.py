"""A training job: one TOML file, one frozen object. Every default is stated here, once."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from oferta.errors import UnknownName
from oferta.interactions.weighting import Weighting
from oferta.models.catalog import MODELS, recipe
from oferta.models.protocol import Recommender
from oferta.settings import Settings, load


class Segments(Settings):
    """Which customer attributes make a segment: each combination of their values is one."""

    by: tuple[str, ...] = ()
    min_customers: int = Field(default=50, ge=1)
    """A smaller segment's popular list would be noise: its customers count as without one."""


class Policy(Settings):
    """What may be offered at all."""

    repeatable: bool = True
    """Whether a product that the customer has may be offered again, where the catalogue is silent.
    Insurance renews and groceries run out, so the default is yes."""


class Comparison(Settings):
    """How the job's models are compared before one is registered. See docs/evaluation.md."""

    split: str = "time:28d"
    k: tuple[int, ...] = (5, 10, 20)
    metric: str = "ndcg@10"
    keep_seen: bool | None = None
    """Whether products of the past stay in the lists; None: as `policy.repeatable`, so that what is
    measured is what will be published."""
    target: tuple[str, ...] = ()
    folds: int = Field(default=1, ge=1)
    tune: int = Field(default=0, ge=0)
    budget_minutes: float = Field(default=25, gt=0)


class Gate(Settings):
    """When a new version may become champion."""

    margin: float = Field(default=0.02, ge=0, le=1)
    """How much of the champion's mean the lower end of the paired difference may lie below zero:
    what a seller would not notice."""


class Embedding(Settings):
    """The model whose vectors a registered version carries when its own model has none."""

    model: str = "als"
    settings: dict[str, Any] = Field(default_factory=dict)


class Scores(Settings):
    """How much of the scores is kept."""

    top_n: int = Field(default=20, ge=1, le=100)
    """Products a customer's published list holds. Gaps beyond it are filled when read."""

    every_product_up_to: int = Field(default=256, ge=0)
    """A catalogue this small is scored whole: audiences and what-ifs then miss nobody."""

    similar: int = Field(default=20, ge=0, le=100)
    popular: int = Field(default=100, ge=1, le=500)


class Job(Settings):
    """Everything that decides what a training run does, but the data and the clock."""

    name: str = Field(default="oferta", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    """Names the registered model and the experiment."""

    seed: int = Field(default=7, ge=0)
    interactions: Weighting = Weighting()
    segments: Segments = Segments()
    policy: Policy = Policy()
    evaluation: Comparison = Comparison()
    gate: Gate = Gate()
    embedding: Embedding = Embedding()
    scores: Scores = Scores()
    models: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {"popularity": {}, "transitions": {}, "ease": {}, "als": {}}
    )
    """The models to compare, by name, each with the settings that differ from its defaults."""

    @field_validator("models")
    @classmethod
    def _known_models(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in value:
            if name not in MODELS:
                raise ValueError(str(UnknownName("model", name, MODELS)))
        return value

    def recipes(self) -> dict[str, Recommender]:
        """The models to compare, ready to fit.

        Raises:
            SettingsInvalid: a model's setting is unknown or wrong.
            ExtraMissing: a model's library is not installed.
        """
        return {name: recipe(name, settings) for name, settings in self.models.items()}

    @property
    def keep_seen(self) -> bool:
        """Whether lists of the comparison may hold products of the past."""
        chosen = self.evaluation.keep_seen
        return self.policy.repeatable if chosen is None else chosen


def load_job(path: Path | None) -> Job:
    """The job in `path`, or the default one.

    Raises:
        SettingsInvalid: every unknown key and wrong value at once.
    """
    return Job() if path is None else load(path, Job)
