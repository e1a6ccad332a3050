"""What a study asks: its `study.toml` as one frozen object, every mistake named at once."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from oferta.errors import ExtraMissing, OfertaError, SettingsInvalid, UnknownName
from oferta.evaluation.protocol import Protocol
from oferta.interactions.weighting import Weighting
from oferta.models.catalog import MODELS, recipe
from oferta.models.protocol import Recommender
from oferta.settings import Settings, parse, read_toml
from oferta_training.guards import Guards

FILE = "study.toml"
DEMO = "demo"
"""Names the demo's data instead of a folder."""

SHARES = (1 / 9, 1 / 3)
"""Of the customers: what a learning curve is made of, beside all of them."""

DATA_VARIABLE = "OFERTA_BENCH_DATA"
_PLACE = "${" + DATA_VARIABLE + "}"
_NAME = r"^[\w(][\w ,.:;+()%&=-]{0,59}$"


class Budget(Settings):
    """What a study may take."""

    settings: int = Field(default=20, ge=1)
    """How many settings of each variant a search tries."""

    minutes: float = Field(default=25, gt=0)
    """For all variants together, searches and final fits."""


class VariantSpec(Settings):
    """One of the things that are compared: a model with settings, and what it is given to learn."""

    name: str = Field(pattern=_NAME)
    model: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model. One that is stated is never searched."""

    weighting: Weighting | None = None
    """What events count for, where it differs from the study's: stated fields replace those."""

    segments: tuple[str, ...] | None = None
    """Customer attributes that the model may use as segments, where they differ."""

    customer_features: tuple[str, ...] | None = None
    product_features: tuple[str, ...] | None = None
    """Attributes that the model may learn from, where they differ from the study's."""

    def protocol(self, base: Protocol) -> Protocol:
        """`base` with what this variant states. None of it changes which rows are tested."""
        stated: dict[str, Any] = {}
        if self.weighting is not None:
            own = self.weighting.model_dump(exclude_unset=True)
            stated["weighting"] = base.weighting.model_copy(update=own)
        for name in ("segments", "customer_features", "product_features"):
            value = getattr(self, name)
            if value is not None:
                stated[name] = value
        return base.model_copy(update=stated)

    def beyond(self) -> dict[str, Any]:
        """What is stated beside the model's settings, as plain values."""
        kept = self.model_dump(mode="json", exclude_unset=True)
        return {k: v for k, v in kept.items() if k not in {"name", "model"} and v not in (None, {})}


class StudySpec(Settings):
    """A study, before it ran."""

    question: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    """A dataset or a folder of source files, relative to the study's folder; `demo`: the demo's."""

    candidates: str = ""
    """A file of `customer_id` (or the protocol's group) and `product_id`: only these are ranked."""

    baseline: str = ""
    """The variant that others are compared with; empty: the first."""

    report_by: tuple[str, ...] = ("activity", "cold")
    """By what customers are told apart in the report: `activity`, `cold`, or any attribute."""

    segment_customers: int = Field(default=50, ge=30)
    """Fewer customers than this are no segment: no mean of a skewed metric has the distribution
    there that the test assumes."""

    search: bool = False
    calibrate: bool = False
    learning_curve: bool = False
    evaluation: Protocol = Protocol(k=(5, 10, 20), metric="ndcg@10")
    budget: Budget = Budget()
    guards: Guards = Guards()
    """What a variant must pass to be promoted: docs/training.md, `[gate]`."""

    variants: tuple[VariantSpec, ...] = Field(min_length=1)

    @property
    def protocol(self) -> Protocol:
        """The evaluation, with what the guards look at: that must be measured."""
        wanted: dict[str, Any] = {}
        if self.guards.fairness.exposure and not self.evaluation.exposure:
            wanted["exposure"] = self.guards.fairness.exposure
        chances = self.calibrate or self.guards.calibration.ece is not None
        if chances and self.evaluation.calibrate == "none":
            wanted["calibrate"] = "auto"
        return self.evaluation.model_copy(update=wanted)

    @property
    def reference(self) -> str:
        """The baseline's name."""
        return self.baseline or self.variants[0].name

    def variant(self, name: str) -> VariantSpec:
        """The variant called `name`.

        Raises:
            UnknownName: there is none.
        """
        for one in self.variants:
            if one.name == name:
                return one
        raise UnknownName("variant", name, [one.name for one in self.variants])

    def recipe(self, name: str) -> Recommender:
        """The recipe of the variant `name`.

        Raises:
            ExtraMissing: its library is not installed.
        """
        one = self.variant(name)
        return recipe(one.model, one.settings)

    def source(self, folder: Path) -> Path:
        """Where the data lies; `folder` is the study's.

        Raises:
            SettingsInvalid: the variable that the path names is not set.
        """
        return _placed(self.dataset, "dataset", folder)

    def candidates_file(self, folder: Path) -> Path | None:
        """The file of candidates; None where all products are ranked.

        Raises:
            SettingsInvalid: the variable that the path names is not set.
        """
        return _placed(self.candidates, "candidates", folder) if self.candidates else None


def _placed(place: str, key: str, folder: Path) -> Path:
    if _PLACE in place:
        value = os.environ.get(DATA_VARIABLE)
        if not value:
            raise SettingsInvalid(
                folder / FILE, [f"{key}: {DATA_VARIABLE} is not set; it names a folder"]
            )
        place = place.replace(_PLACE, value)
    return (folder / Path(place).expanduser()).resolve()


def load_study(folder: Path) -> StudySpec:
    """The study in `folder`, or in the file given.

    Raises:
        SettingsInvalid: every unknown key, wrong value, model and setting at once.
    """
    path = folder if folder.suffix == ".toml" else folder / FILE
    values = read_toml(path)
    problems: list[str] = []
    spec: StudySpec | None = None
    try:
        spec = parse(values, StudySpec, place=path)
    except SettingsInvalid as error:
        problems += error.problems
    problems += _problems(values)
    if problems or spec is None:
        raise SettingsInvalid(path, problems)
    return spec


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    """What no single field shows: names that must meet, settings that a model must know."""
    listed = values.get("variants")
    variants = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    names = [str(one["name"]) for one in variants if "name" in one]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"variants: two are called '{name}'"
    baseline = values.get("baseline") or ""
    if baseline and baseline not in names:
        yield f"baseline: {UnknownName('variant', str(baseline), names)}"
    for number, one in enumerate(variants):
        if isinstance(one.get("model"), str):
            yield from _model_problems(number, one)
    for key in ("dataset", "candidates"):
        place = values.get(key)
        if isinstance(place, str) and "${" in place.replace(_PLACE, ""):
            yield f"{key}: only {_PLACE} may stand in it"
    evaluation = values.get("evaluation")
    if isinstance(evaluation, dict):
        yield from _protocol_problems(evaluation)


def _model_problems(number: int, variant: Mapping[str, Any]) -> Iterator[str]:
    where = f"variants.{number}"
    if variant["model"] not in MODELS:
        yield f"{where}.model: {UnknownName('model', variant['model'], MODELS)}"
        return
    settings = variant.get("settings", {})
    try:
        recipe(variant["model"], settings if isinstance(settings, dict) else {})
    except ExtraMissing:
        return  # told when it runs: the others can still be judged
    except SettingsInvalid as error:
        yield from (f"{where}.settings.{problem}" for problem in error.problems)


def _protocol_problems(evaluation: Mapping[str, Any]) -> Iterator[str]:
    if evaluation.get("candidates"):
        yield 'evaluation.candidates: name the file at the top, as candidates = "..."'
    try:
        protocol = parse(evaluation, Protocol, place="evaluation")
    except SettingsInvalid:
        return  # named already
    try:
        protocol.ordering  # noqa: B018 - raises where there is no such metric
    except OfertaError as error:
        yield f"evaluation.metric: {error}"
