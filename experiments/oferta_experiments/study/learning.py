"""How much the best variant and the baseline gain from more customers to learn from."""

from collections.abc import Mapping
from typing import Any

from oferta.evaluation.evaluate import evaluate
from oferta_experiments.study import compare
from oferta_experiments.study.judging import Bench, chosen_recipe
from oferta_experiments.study.result import Figure, Point
from oferta_experiments.study.state import Done

_SHARES = (1 / 9, 1 / 3)


def learning_curves(
    bench: Bench, judged: Mapping[str, Done], values: Mapping[str, compare.Values]
) -> dict[str, tuple[Point, ...]]:
    """The best variant and the baseline, learnt from shares of the customers; same test rows."""
    spec = bench.spec
    if not spec.learning_curve or not judged:
        return {}
    metric = spec.evaluation.ordering
    names = dict.fromkeys((compare.best_of(values), spec.reference))
    wanted = [(name, share) for name in names if name in judged for share in _SHARES]
    points: dict[str, list[Point]] = {name: [] for name in names if name in judged}
    with bench.progress.task(f"{bench.name}: learning curve", total=len(wanted)) as advance:
        for name, share in wanted:
            facts = _learnt_from(bench, name, judged[name], share)
            if facts.get("figure"):
                points[name].append(Point.model_validate(facts))
            advance(1)
    for name, found in points.items():
        known = judged[name].facts
        whole = Figure.model_validate(known["card"]["metrics"][metric])
        found.append(Point(share=1.0, customers=known["learners"], figure=whole))
    return {name: tuple(found) for name, found in points.items()}


def _learnt_from(bench: Bench, name: str, done: Done, share: float) -> dict[str, Any]:
    spec, part = bench.spec, f"{name} learnt from {share:.4f}"
    if not bench.state.has(part):
        found = evaluate(
            bench.dataset,
            {name: chosen_recipe(spec, name, done)},
            protocol=spec.variant(name).protocol(spec.evaluation),
            limits=bench.limits(),
            progress=bench.progress,
            candidates=bench.candidates,
            share=share,
        )
        facts: dict[str, Any] = {"share": share, "customers": found.learners}
        if found.results:
            mean = found.results[0].metrics[spec.evaluation.ordering]
            facts["figure"] = compare.figure(mean).model_dump()
        bench.state.keep(part, facts)
    return dict(bench.state.read(part).facts)
