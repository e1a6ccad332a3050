"""What is asked of one variant, and whose settings a model made of others takes for its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oferta.errors import ExtraMissing
from oferta.evaluation.scorecard import plain_settings
from oferta.models.protocol import Composite, Recommender
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import slot_of


@dataclass(slots=True)
class Parts:
    """The settings chosen so far, by model: those of the first variant of each."""

    recipes: dict[str, Recommender] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)

    def add(self, model: str, chosen: Recommender, *, variant: str) -> None:
        """Take the settings `chosen` for the variant, unless another one of the model was first."""
        if model not in self.recipes:
            self.recipes[model], self.variants[model] = chosen, variant


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one variant.

    Attributes:
        name: the variant's.
        slot: where what is found is kept.
        told: all that its figures depend on beside evaluation, data and code, as plain values.
        origins: model -> the variant whose settings it takes for a part of that model.
    """

    name: str
    slot: str
    told: dict[str, Any]
    origins: dict[str, str]
    _spec: StudySpec
    _parts: Mapping[str, Recommender]

    def recipe(self) -> Recommender:
        """The recipe to be judged, with the settings of its parts.

        Raises:
            ExtraMissing: its library is not installed.
        """
        made = self._spec.recipe(self.name)
        return made.with_parts(self._parts) if isinstance(made, Composite) else made


def told_of(spec: StudySpec, name: str) -> dict[str, Any]:
    """What the study's file says of the variant that changes its figures."""
    told = spec.variant(name).model_dump(mode="json", exclude={"name"}, exclude_none=True)
    return {**told, "searched": spec.budget.settings if spec.search else 0}


def ask(spec: StudySpec, name: str, parts: Parts) -> Asked:
    """What is asked of the variant `name`, where `parts` are chosen."""
    told = told_of(spec, name)
    origins: dict[str, str] = {}
    try:
        made = spec.recipe(name)
    except ExtraMissing:
        made = None  # told when it is judged
    if isinstance(made, Composite):
        origins = {
            model: parts.variants[model]
            for model, chosen in parts.recipes.items()
            if made.with_parts({model: chosen}) != made
        }
        told["parts"] = plain_settings(made.with_parts(parts.recipes))
    return Asked(name, slot_of(name, told), told, origins, spec, dict(parts.recipes))
