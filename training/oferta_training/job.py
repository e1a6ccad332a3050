"""A training job: one TOML file, one frozen object. Every default is stated here, once."""

from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator

from oferta.errors import UnknownName
from oferta.evaluation.protocol import Protocol
from oferta.interactions.weighting import Weighting
from oferta.models.catalog import MODELS, recipe
from oferta.models.propensity.facts import REBUILT
from oferta.models.protocol import Recommender
from oferta.profile.facts import FactKind
from oferta.profile.settings import ProfileSettings
from oferta.settings import Settings, load
from oferta_training.guards import Guards


class Segments(Settings):
    """Which customer attributes make a segment: each combination of their values is one."""

    by: tuple[str, ...] = ()
    min_customers: int = Field(default=50, ge=1)
    """A smaller segment's popular list would be noise: its customers count as without one."""


class Features(Settings):
    """Which attributes models may learn from, beside events."""

    customers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


class Policy(Settings):
    """What may be offered at all."""

    repeatable: bool = True
    """Whether a product that the customer has may be offered again, where the catalogue is silent.
    Insurance renews and groceries run out, so the default is yes."""

    credit: bool | None = None
    """Whether anything sold is credit, where the catalogue does not say. Not stated: it is,
    and no model of protected attributes becomes champion."""

    consent: Literal["auto", "ledger"] = "auto"
    """Where it is asked who refused training: the source's consent table and, where there is one,
    the consent ledger of the state folder; `ledger`: without one nothing is trained."""

    allow_protected: dict[str, str] = Field(default_factory=dict)
    """Protected customer attributes that models may use after all, each with the reason why."""


class Tuning(Settings):
    """Whether settings are searched before models are compared; never on test rows."""

    settings: int = Field(default=0, ge=0)
    """How many settings per model; 0: those of the job as they are."""

    budget_minutes: float = Field(default=25, gt=0)


class Embedding(Settings):
    """The model whose vectors a registered version carries when its own model has none."""

    model: str = "ials"
    settings: dict[str, Any] = Field(default_factory=dict)


class Calibration(Settings):
    """Whether scores are told as chances, too. Lists are ranked by the scores."""

    method: Literal["none", "isotonic", "platt", "auto", "own"] = "none"
    """How: steps, a curve of two numbers, or whichever suits how much was chosen; these cost a
    second fit of every model that is compared, and of the winner. `own`: as the model states them,
    if it does."""


class Propensities(Settings):
    """Chances that know when: trees over the model's scores and the customer's clock.

    They replace those of `[calibration]` in scores, and are of choosing the product within the
    split's window at all. Only for a split by time and up to 256 products.
    """

    learn: bool = False
    windows: int = Field(default=3, ge=1, le=24)
    """So many windows before the data's end are learnt from, and one more is judged by."""

    facts: tuple[str, ...] = REBUILT
    """Facts of profiles that are looked at: those that can be told of the past as of the past."""

    @field_validator("facts")
    @classmethod
    def _known_facts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in REBUILT:
                raise ValueError(
                    str(UnknownName("fact that can be told of the past", name, REBUILT))
                )
        return value


class Profiles(Settings):
    """Customers' profiles: what decisions are made of, scored and published along with lists."""

    make: bool | None = None
    """Whether. Not stated: where the data has contracts, vehicles, attributes or consent."""

    zone: str = "UTC"
    """The time zone whose days dates are: the one of the policy that decides on them."""

    attributes: dict[str, FactKind] = Field(default_factory=dict)
    """The seller's own attributes, as the policy declares them."""

    settings: ProfileSettings = ProfileSettings()

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"'{value}' is no time zone: write one as Europe/Berlin") from None
        return value


class Scores(Settings):
    """How much of the scores is kept."""

    top_n: int = Field(default=20, ge=1, le=100)
    """Products a customer's published list holds. Gaps beyond it are filled when read."""

    every_product_up_to: int = Field(default=256, ge=0)
    """A catalogue this small is scored whole: audiences and what-ifs then miss nobody."""

    similar: int = Field(default=20, ge=0, le=100)
    popular: int = Field(default=200, ge=1, le=500)
    """Length of the popular lists: gaps and filters by category are filled from them."""


_SECTIONS = {
    "weighting": "interactions",
    "segments": "segments",
    "segment_customers": "segments",
    "customer_features": "features",
    "product_features": "features",
    "allow_protected": "policy",
    "exposure": "gate.fairness",
    "calibrate": "calibration",
}
"""Where a job states what its evaluation takes from it."""

_BEFORE = {"interactions", "segments", "features", "policy", "gate", "calibration"}
"""Fields of a job that its evaluation follows, and so are stated before it."""


class Job(Settings):
    """Everything that decides what a training run does, but the data and the clock."""

    name: str = Field(default="oferta", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    """Names the registered model and the experiment."""

    seed: int = Field(default=7, ge=0)
    interactions: Weighting = Weighting()
    segments: Segments = Segments()
    features: Features = Features()
    policy: Policy = Policy()
    calibration: Calibration = Calibration()
    gate: Guards = Guards()
    evaluation: Protocol = Field(
        default=Protocol(k=(5, 10, 20), metric="ndcg@10"), validate_default=True
    )
    """How models are compared: docs/evaluation.md. What `[interactions]`, `[segments]`,
    `[features]`, `[policy]` and `[gate]` say is taken from there;
    `keep_seen`, where it is not stated, is `policy.repeatable`, so that what is measured is what
    will be published."""

    tuning: Tuning = Tuning()
    embedding: Embedding = Embedding()
    scores: Scores = Scores()
    profiles: Profiles = Profiles()
    propensity: Propensities = Propensities()
    models: dict[str, dict[str, Any]] = Field(
        default={"popularity": {}, "transitions": {}, "ease": {}, "ials": {}}, min_length=1
    )
    """The models to compare, by name, each with the settings that differ from its defaults."""

    @field_validator("evaluation")
    @classmethod
    def _one_truth(cls, value: Protocol, info: ValidationInfo) -> Protocol:
        if not info.data.keys() >= _BEFORE:  # one of them is wrong, which is told
            return value
        job = cls.model_construct(**info.data)
        stated: dict[str, Any] = {
            "weighting": job.interactions,
            "segments": job.segments.by,
            "segment_customers": job.segments.min_customers,
            "customer_features": job.features.customers,
            "product_features": job.features.products,
            "allow_protected": job.policy.allow_protected,
            "exposure": job.gate.fairness.exposure,
            "calibrate": job.calibration.method,
        }
        if value.candidates:
            raise ValueError(
                "'candidates': a job ranks all products: only `oferta evaluate` takes them"
            )
        for name in stated.keys() & value.model_fields_set:
            if getattr(value, name) != stated[name]:
                raise ValueError(f"'{name}': state it under [{_SECTIONS[name]}] alone")
        if "keep_seen" not in value.model_fields_set:
            stated["keep_seen"] = job.policy.repeatable
        return value.model_copy(update=stated)

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


def load_job(path: Path | None) -> Job:
    """The job in `path`, or the default one.

    Raises:
        SettingsInvalid: every unknown key and wrong value at once.
    """
    return Job() if path is None else load(path, Job)
