"""How trees are to be grown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Learning:
    """How trees are to be grown; see `oferta.models.ranker.recipe.Ranker` for what it means.

    Attributes:
        params: LightGBM's parameters that hold for every kind of trees.
        rounds: most rounds of boosting.
        patience: rounds without gain after which the rest is not tried.
        objective: of ranking candidates.
        half_life_days: of occasions.
        completions: rounds of completing pasts.
    """

    params: Mapping[str, Any]
    rounds: int
    patience: int
    objective: str
    half_life_days: float | None
    completions: int
