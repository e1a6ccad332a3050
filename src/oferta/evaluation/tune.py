"""Choosing settings within a budget: on a cut of train, never on the test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oferta.evaluation.folds import Material
from oferta.evaluation.limits import Limits, seconds_to_judge
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.trials import Pace, Search, Trials
from oferta.evaluation.validation import ValidationFolds, validation_split
from oferta.models.protocol import Composite, Recommender
from oferta.progress import Progress


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen.

    Attributes:
        recipes: the chosen ones, by model.
        log: what led there, as plain values for JSON.
        pace: seconds that trials took by those they declared, 1 or more: what last fits will take.
    """

    recipes: Mapping[str, Recommender]
    log: Mapping[str, Any]
    pace: float = 1.0


def tune(
    recipes: Mapping[str, Recommender],
    material: Material,
    *,
    settings: int,
    protocol: Protocol,
    limits: Limits,
    progress: Progress,
    trials: Trials | None = None,
    parts: Mapping[str, Recommender] | None = None,
) -> Tuned:
    """Try up to `settings` settings of each model and choose the best by the protocol's metric.

    Cheap models go first; what they leave of the budget is for the others. Models that are made of
    others go last and get the settings chosen for those, or those in `parts`. Where the declared
    costs of all settings fit into a model's part, each is fitted on all of the validation cut's
    train; else by successive halving: all on a ninth of the customers, the best third of them on a
    third, the best third of those on all. Where a fit costs as much on few customers as on many (it
    grows with the products), all are on all, until the time is up. Given the same data and seed the
    choice is the same, unless the budget cuts it short. With `trials`, what is kept there is not
    fitted again and counts with the seconds that it took.

    Raises:
        SplitRefused: train has nothing to validate on.
    """
    begun = limits.timer()
    cut, name = validation_split(material, protocol)
    validation = ValidationFolds(cut, material, protocol)
    shape, rows = validation.whole.data.shape, len(validation.whole.rows)
    costs = {model: recipe.cost(shape) for model, recipe in recipes.items()}
    chosen = dict(recipes)
    models = []
    recalled, pace = 0.0, Pace()
    ordered = sorted(
        recipes, key=lambda model: (isinstance(recipes[model], Composite), costs[model].seconds)
    )
    for position, model in enumerate(ordered):
        recipe = recipes[model]
        if isinstance(recipe, Composite):
            recipe = recipe.with_parts({**(parts or {}), **chosen})
            costs[model] = recipe.cost(shape)
            chosen[model] = recipe
        refused = limits.refusal(costs[model])
        if refused is not None:
            models.append({"model": model, "skipped": refused})
            continue
        # Those that are refused anyway take nothing from the others.
        later = [
            other
            for other in ordered[position:]
            if other == model or limits.refusal(costs[other]) is None
        ]
        judging = seconds_to_judge(rows, shape.products)
        last = pace.of * sum(costs[other].seconds + judging for other in later)
        own = (limits.seconds - limits.spent) * limits.part
        left = own - (limits.timer() - begun) - recalled
        seconds = (left - last * protocol.folds) / len(later)
        search = Search(model, recipe, validation, limits, seconds, trials, pace)
        chosen[model] = search.run(settings, protocol.seed, progress)
        recalled += search.recalled
        models.append(search.report(chosen[model], costs[model].seconds))
    return Tuned(
        chosen,
        {
            "validation": name,
            "metric": protocol.ordering,
            "budget_s": limits.seconds,
            "models": models,
        },
        pace.of,
    )
