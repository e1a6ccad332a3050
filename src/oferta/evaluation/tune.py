"""Choosing settings within a budget: on a cut of train, never on the test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.random import default_rng

from oferta.errors import ModelTooLarge
from oferta.evaluation.folds import Fold, Material, make_fold
from oferta.evaluation.limits import Limits
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import plain_settings
from oferta.evaluation.scoring import judge
from oferta.evaluation.search import difference, settings_to_try
from oferta.evaluation.splits import Split
from oferta.evaluation.validation import validation_split
from oferta.models.protocol import Recommender
from oferta.progress import Progress, Silent

_SHARES = (1 / 9, 1 / 3, 1.0)  # of the customers: each round keeps the best third
_FEWEST = 2_000  # customers below which a sample says little and saves nothing
_MOST_JUDGED = 20_000  # customers that judge a setting: the order of settings needs no more


@dataclass(frozen=True, slots=True)
class Tuned:
    """The chosen recipes by model, and what led there, as plain values for JSON."""

    recipes: Mapping[str, Recommender]
    log: Mapping[str, Any]


def tune(
    recipes: Mapping[str, Recommender],
    material: Material,
    *,
    settings: int,
    protocol: Protocol,
    limits: Limits,
    progress: Progress,
) -> Tuned:
    """Try up to `settings` settings of each model and choose the best by the protocol's metric.

    Cheap models go first; what they leave of the budget is for the others. Where the declared costs
    of all settings fit into a model's part, each is fitted on all of the validation cut's train;
    else by successive halving: all on a ninth of the customers, the best third of them on a third,
    the best third of those on all. Given the same data and seed the choice is the same, unless the
    budget cuts it short.

    Raises:
        SplitRefused: train has nothing to validate on.
    """
    begun = limits.timer()
    cut, name = validation_split(material, protocol)
    validation = _Validation(cut, material, protocol)
    costs = {model: recipe.cost(validation.whole.data.shape) for model, recipe in recipes.items()}
    chosen = dict(recipes)
    models = []
    by_cost = sorted(recipes, key=lambda model: costs[model].seconds)
    for position, model in enumerate(by_cost):
        refused = limits.refusal(costs[model])
        if refused is not None:
            models.append({"model": model, "skipped": refused})
            continue
        last_fits = sum(costs[later].seconds for later in by_cost[position:]) * protocol.folds
        left = limits.seconds - (limits.timer() - begun) - last_fits
        search = _Search(
            model, recipes[model], validation, limits, left / (len(recipes) - position)
        )
        chosen[model] = search.run(settings, protocol.seed, progress)
        models.append(search.report(chosen[model], costs[model].seconds))
    return Tuned(
        chosen,
        {
            "validation": name,
            "metric": protocol.ordering,
            "budget_s": limits.seconds,
            "models": models,
        },
    )


class _Validation:
    """The validation cut, whole and in samples of its customers, made when first asked for."""

    def __init__(self, cut: Split, material: Material, protocol: Protocol) -> None:
        # The test's candidates hold its answers, and valid is what is asked here.
        self.protocol = protocol.model_copy(update={"history": "train", "candidates": False})
        self._material = Material(material.events, material.target, material.reading, None)
        self._cut = cut
        ids = pl.concat([cut.train["customer_id"], cut.test["customer_id"]]).unique().sort()
        draw = default_rng([protocol.seed, 0, 2]).random(len(ids))
        self._draws = pl.DataFrame({"customer_id": ids, "draw": draw}).sort("draw")
        self._folds: dict[float, Fold] = {}

    @property
    def whole(self) -> Fold:
        """All of it."""
        return self.sample(1.0)

    @property
    def customers(self) -> int:
        """How many customers it has."""
        return len(self._draws)

    def sample(self, share: float) -> Fold:
        """`share` of the customers, and of them at most 20,000 to judge; larger hold smaller."""
        if share not in self._folds:
            chosen = self._draws.filter(pl.col("draw") < share)
            test = self._cut.test.join(chosen, on="customer_id", how="semi")
            judges = chosen.join(test, on="customer_id", how="semi").head(_MOST_JUDGED)
            train = self._cut.train.join(
                chosen, on="customer_id", how="semi", maintain_order="left"
            )
            parts = Split(
                train if share < 1 else self._cut.train,
                None,
                test.join(judges, on="customer_id", how="semi"),
                self._cut.starts_at,
                0,
            )
            self._folds[share] = make_fold(parts, self._material, self.protocol)
        return self._folds[share]


@dataclass(slots=True)
class _Search:
    """One model's search."""

    model: str
    recipe: Recommender
    validation: _Validation
    limits: Limits
    seconds: float
    tried: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    slowness: float = 1.0

    def run(self, settings: int, seed: int, progress: Progress) -> Recommender:
        """The best settings found; the recipe itself where there was no time to try any."""
        begun = self.limits.timer()
        rng = default_rng([seed, *self.model.encode()])
        left = self._affordable(settings_to_try(self.recipe, settings, rng=rng))
        best = self.recipe
        shares = self._shares(left)
        planned = sum(-(-len(left) // 3**rung) for rung in range(len(shares)))
        with progress.task(f"tune {self.model}", total=planned) as advance:
            for share in shares:
                values = []
                for position, candidate in enumerate(left):
                    spent = self.limits.timer() - begun
                    if spent + self._expected(candidate, share) > self.seconds:
                        self._stop(left[position:], share)
                        break
                    value = self._value(candidate, share, seed)
                    advance(1)
                    if value is not None:
                        values.append((value, position))
                ranked = sorted(values, key=lambda found: (-found[0], found[1]))
                left = [left[position] for _, position in ranked[: -(-len(left) // 3)]]
                best = left[0] if left else best
                if self.stopped or not left:
                    break
        return best

    def report(self, chosen: Recommender, declared_s: float) -> dict[str, Any]:
        """What was tried, stopped and skipped, as plain values."""
        return {
            "model": self.model,
            "declared_s": round(declared_s, 3),
            "chosen": plain_settings(chosen),
            "tried": self.tried,
            "stopped": self.stopped,
            "skipped": self.skipped,
        }

    def _affordable(self, candidates: Sequence[Recommender]) -> list[Recommender]:
        kept = []
        for candidate in candidates:
            why = self.limits.refusal(candidate.cost(self.validation.whole.data.shape))
            if why is None:
                kept.append(candidate)
            else:
                self.skipped.append({"settings": difference(self.recipe, candidate), "why": why})
        return kept

    def _shares(self, candidates: Sequence[Recommender]) -> tuple[float, ...]:
        shape = self.validation.whole.data.shape
        whole = sum(candidate.cost(shape).seconds for candidate in candidates)
        if whole <= self.seconds / 2 or len(candidates) == 1:
            return (1.0,)
        return tuple(
            share for share in _SHARES if share * self.validation.customers >= _FEWEST
        ) or (1.0,)

    def _expected(self, candidate: Recommender, share: float) -> float:
        return candidate.cost(self.validation.sample(share).data.shape).seconds * self.slowness

    def _value(self, candidate: Recommender, share: float, seed: int) -> float | None:
        fold, protocol = self.validation.sample(share), self.validation.protocol
        entry: dict[str, Any] = {
            "settings": difference(self.recipe, candidate),
            "share_of_customers": round(share, 4),
            "customers": len(fold.data.customers),
        }
        begun = self.limits.timer()
        try:
            fitted = candidate.fit(fold.data, rng=default_rng([seed, 0]), progress=Silent())
        except ModelTooLarge as error:
            self.skipped.append({**entry, "why": str(error)})
            return None
        judged = judge(fitted, fold.rows, protocol=protocol, crowd=fold.crowd, progress=Silent())
        seconds = self.limits.timer() - begun
        # What fits really take, lists included, corrects what they declared.
        declared = max(candidate.cost(fold.data.shape).seconds, 1e-3)
        self.slowness = max(self.slowness, min(seconds / declared, 100.0))
        value = float(np.mean(judged.values[protocol.ordering]))
        self.tried.append({**entry, "value": value, "seconds": round(seconds, 3)})
        return value

    def _stop(self, candidates: Sequence[Recommender], share: float) -> None:
        for candidate in candidates:
            self.stopped.append(
                {
                    "settings": difference(self.recipe, candidate),
                    "share_of_customers": round(share, 4),
                    "why": f"the model's {self.seconds:.0f} s of the budget were spent",
                }
            )
