"""How much the best variant and the baseline gain from more customers to learn from."""

from collections.abc import Mapping

from oferta.evaluation.evaluate import evaluate
from oferta_experiments.study import compare
from oferta_experiments.study.finished import Learnt
from oferta_experiments.study.judging import Bench, card_of, chosen_recipe
from oferta_experiments.study.result import Point
from oferta_experiments.study.spec import SHARES
from oferta_experiments.study.state import Done


def learning_curves(
    bench: Bench, judged: Mapping[str, Done], values: Mapping[str, compare.Values]
) -> dict[str, tuple[Point, ...]]:
    """The best variant and the baseline, learnt from shares of the customers; same test rows.

    A share for which the budget does not suffice any more is left out.
    """
    spec = bench.spec
    if not spec.learning_curve or not judged:
        return {}
    metric = spec.protocol.ordering
    names = dict.fromkeys((compare.best_of(values), spec.reference))
    wanted = [(name, share) for name in names if name in judged for share in SHARES]
    points: dict[str, list[Point]] = {name: [] for name in names if name in judged}
    with bench.progress.task(f"{bench.name}: learning curve", total=len(wanted)) as advance:
        for name, share in wanted:
            found = _learnt_from(bench, judged[name], share)
            if found.figure is not None:
                points[name].append(
                    Point(share=share, customers=found.customers, figure=found.figure)
                )
            advance(1)
    for name, curve in points.items():
        known = judged[name].found
        if known.card is not None:
            whole = known.card.metrics[metric]
            curve.append(Point(share=1.0, customers=known.learners, figure=whole))
    return {name: tuple(curve) for name, curve in points.items()}


def _learnt_from(bench: Bench, done: Done, share: float) -> Learnt:
    spec, name = bench.spec, done.found.name
    part = f"{name} learnt from {share:.4f}"
    known = bench.state.read_learnt(done.slot, share)
    if known is not None and known.figure is not None and known.of == done.found.made.mark:
        bench.seconds[part] = known.seconds
        return known
    begun = bench.timer()
    found = evaluate(
        bench.dataset,
        {name: chosen_recipe(done)},
        protocol=spec.variant(name).protocol(spec.protocol),
        limits=bench.limits(),
        progress=bench.progress,
        candidates=bench.candidates,
        share=share,
        twins=False,
    )
    card = card_of(found, name)
    learnt = Learnt(
        of=done.found.made.mark,
        share=share,
        customers=found.learners,
        seconds=bench.timer() - begun,
        figure=None if card is None else compare.figure(card.metrics[spec.protocol.ordering]),
    )
    bench.seconds[part] = learnt.seconds
    bench.state.keep_learnt(done.slot, learnt)
    return learnt
