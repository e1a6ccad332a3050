"""Comparing models: the same test rows, the same lengths of lists, every choice stated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.errors import FitFailed, SettingsInvalid
from oferta.evaluation.calibration import SMALL
from oferta.evaluation.chances import Chances, Listed
from oferta.evaluation.folds import Fold, cut_into, gather
from oferta.evaluation.intervals import Interval, bootstrap
from oferta.evaluation.limits import Limits, seconds_to_judge
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation, Scorecard, Skipped, plain_settings
from oferta.evaluation.scoring import Judged, judge
from oferta.evaluation.source import Source
from oferta.evaluation.trials import Trials
from oferta.evaluation.tune import tune as tune_settings
from oferta.interactions.idmap import IdMap
from oferta.models.protocol import Composite, Recommender, with_twins
from oferta.progress import Progress


@dataclass(slots=True)
class _Outcome:
    """What one model gave, fold by fold."""

    judged: list[Judged] = field(default_factory=list)
    fit_s: float = 0.0
    recommend_s: float = 0.0
    chances: Chances = field(default_factory=Chances)
    listed: Listed | None = None


def evaluate(
    source: Source,
    recipes: Mapping[str, Recommender],
    *,
    protocol: Protocol,
    limits: Limits,
    progress: Progress,
    candidates: pl.DataFrame | None = None,
    tune: int = 0,
    share: float = 1.0,
    trials: Trials | None = None,
    parts: Mapping[str, Recommender] | None = None,
    twins: bool = True,
) -> Evaluation:
    """The models of `recipes`, judged on the same test rows.

    `candidates` (`customer_id` or the protocol's group, `product_id`) restricts what is ranked. The
    same data, recipes and protocol give the same figures, save for the seconds. A model too dear
    for `limits` has no scorecard; the evaluation says why. With `tune`, up to that many settings of
    each model are tried on a cut of train first, and the best ones are fitted on all of train.
    Where models may take features, each that learns from them is judged without them too, unless
    `twins` is False: for callers who asked for these recipes alone.
    With a `share` below 1 models learn from that share of train's customers, drawn by the seed; the
    test rows and what is known of them stay the same. `trials` are for the search: see
    `oferta.evaluation.trials`. `parts` are recipes by model, whose settings composites take for
    parts that they state nothing of; those that a search chooses come before them. Where no model
    could be fitted, `results` is empty and `skipped` says why.

    Raises:
        SplitRefused: the data cannot give the protocol's split; carries those that it can.
        UnknownName: a column, event type or metric that is not there.
        SettingsInvalid: chances are asked for, and candidates given.
    """
    protocol = protocol.model_copy(update={"candidates": candidates is not None})
    _refuse_chances_of(candidates, protocol)
    ordering, begun = protocol.ordering, limits.timer()
    material = gather(source, protocol, candidates)
    tuned = None
    if tune:
        tuned = tune_settings(
            recipes,
            material,
            settings=tune,
            protocol=protocol,
            limits=limits,
            progress=progress,
            trials=trials,
            parts=parts,
        )
        recipes = tuned.recipes
    else:
        recipes = _with_parts(recipes, parts or {})
    if twins and (protocol.customer_features or protocol.product_features):
        recipes = with_twins(recipes)
    pace = 1.0 if tuned is None else tuned.pace
    outcomes = {name: _Outcome() for name in recipes}
    skipped: dict[str, str] = {}
    whose: list[pl.Series] = []
    tested: list[bytes] = []
    learners = 0
    past: list[NDArray[np.int64]] = []
    counts: dict[str, int] = {}
    for number, fold in enumerate(cut_into(material, protocol, share=share)):
        whose.append(fold.rows.customer_id)
        learners = max(learners, len(fold.data.customers))
        tested.append(fold.rows.digest())
        past.append(np.diff(fold.rows.histories.indptr))
        for name, count in fold.counts().items():
            counts[name] = counts.get(name, 0) + count
        costs = {name: recipe.cost(fold.data.shape) for name, recipe in recipes.items()}
        # Cheap ones first: where the time does not suffice for all, it does for most.
        by_cost = sorted(recipes, key=lambda name: costs[name].seconds)
        for name in [name for name in by_cost if name not in skipped]:
            lists = seconds_to_judge(len(fold.rows), fold.data.shape.products)
            longer = (pace - 1) * costs[name].seconds + pace * lists
            refused = limits.refusal(costs[name], spent=limits.timer() - begun + longer)
            try:
                if refused is None:
                    _fit_and_judge(
                        recipes[name],
                        fold,
                        outcomes[name],
                        seed=(protocol.seed, number),
                        protocol=protocol,
                        limits=limits,
                        progress=progress,
                    )
            except FitFailed as error:
                refused = str(error)
            if refused is not None:
                skipped[name] = refused
    customer_id, products_known = pl.concat(whose), np.concatenate(past).astype(np.int32)
    # Events and rows are those of all folds together; a customer is one in all of them.
    counts["cold"] = customer_id.filter(pl.Series(products_known == 0)).n_unique()
    cards = [
        _card(
            name,
            recipes[name],
            outcomes[name],
            customer_id,
            products=material.reading.products,
            protocol=protocol,
        )
        for name in recipes
        if name not in skipped
    ]
    return Evaluation(
        protocol=protocol,
        target=tuple(sorted(material.target)),
        customer_id=customer_id,
        past=products_known,
        rows_digest=blake2b(b"".join(tested), digest_size=16).hexdigest(),
        learners=learners,
        counts=counts,
        results=tuple(sorted(cards, key=lambda card: -card.metrics[ordering].mean)),
        skipped=tuple(Skipped(name, why) for name, why in skipped.items()),
        tuning=None if tuned is None else tuned.log,
        protected=material.protected,
    )


def _refuse_chances_of(candidates: pl.DataFrame | None, protocol: Protocol) -> None:
    if candidates is not None and protocol.calibrate not in {"none", "own"}:
        raise SettingsInvalid(
            "calibrate",
            ["chances are learnt on lists of all products: leave it out with given candidates"],
        )


def _with_parts(
    recipes: Mapping[str, Recommender], parts: Mapping[str, Recommender]
) -> dict[str, Recommender]:
    return {
        name: recipe.with_parts(parts) if isinstance(recipe, Composite) else recipe
        for name, recipe in recipes.items()
    }


def _fit_and_judge(
    recipe: Recommender,
    fold: Fold,
    outcome: _Outcome,
    *,
    seed: Sequence[int],
    protocol: Protocol,
    limits: Limits,
    progress: Progress,
) -> None:
    begun = limits.timer()
    fitted = recipe.fit(fold.data, rng=default_rng(seed), progress=progress)
    fit_done = limits.timer()
    judged = judge(fitted, fold.rows, protocol=protocol, crowd=fold.crowd, progress=progress)
    outcome.judged.append(judged)
    outcome.fit_s += fit_done - begun
    outcome.recommend_s += limits.timer() - fit_done
    outcome.chances.add(recipe, fitted, fold, protocol=protocol, progress=progress)
    if len(fold.data.products) <= SMALL:
        outcome.listed = outcome.listed or Listed.none(len(fold.data.products), protocol.k)
        outcome.listed.add(judged.lists, fold.rows.test)


def _card(
    name: str,
    recipe: Recommender,
    outcome: _Outcome,
    customer_id: pl.Series,
    *,
    products: IdMap,
    protocol: Protocol,
) -> Scorecard:
    values = {
        metric: np.concatenate([judged.values[metric] for judged in outcome.judged])
        for metric in outcome.judged[0].values
    }
    customer = IdMap.of(customer_id).rows(customer_id)
    coverage = {
        metric: float(np.mean([judged.coverage[metric] for judged in outcome.judged]))
        for metric in outcome.judged[0].coverage
    }
    return Scorecard(
        model=name,
        settings=plain_settings(recipe),
        customers=customer_id.n_unique(),
        rows=len(customer_id),
        fit_s=outcome.fit_s,
        recommend_s=outcome.recommend_s,
        metrics={
            **_intervals(values, customer, protocol.seed),
            **{metric: Interval(mean, mean, mean) for metric, mean in coverage.items()},
        },
        folds=tuple(
            {
                **{metric: float(found.mean()) for metric, found in judged.values.items()},
                **judged.coverage,
            }
            for judged in outcome.judged
        ),
        values=values,
        calibration=outcome.chances.worth(outcome.chances.listed),
        calibration_every=outcome.chances.worth(outcome.chances.every),
        products={} if outcome.listed is None else outcome.listed.recalls(products),
    )


def _intervals(
    values: Mapping[str, NDArray[np.float64]], customer: NDArray[np.int32], seed: int
) -> dict[str, Interval]:
    # The same draws for every model: what differs between two intervals is not the draw.
    found = bootstrap(
        np.stack(list(values.values()), axis=1), rng=default_rng(seed), customer=customer
    )
    return dict(zip(values, found, strict=True))
