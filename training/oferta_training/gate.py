"""May the new version go live? Every guard is asked; all must pass."""

from numpy.random import Generator

from oferta.evaluation.scorecard import Scorecard
from oferta_training import checks, group_checks
from oferta_training.facts import Facts
from oferta_training.guards import Guards
from oferta_training.verdict import Outcome, Verdict


def decide(
    candidate: Scorecard,
    champion: Scorecard | None,
    *,
    facts: Facts,
    guards: Guards,
    rng: Generator,
) -> Verdict:
    """Whether the candidate may replace the champion: it may where no guard fails.

    Both cards are of the same test rows. Without a champion those guards that compare with one are
    not asked; limits of their own hold.
    """
    metric, k = facts.metric, facts.metric.partition("@")[2]
    outcomes: list[Outcome] = []
    difference = None
    because = "there was no champion to compare with"
    if champion is not None:
        ours, theirs = candidate.values[metric], champion.values[metric]
        first, difference = checks.overall(
            ours, theirs, metric=metric, margin=guards.margin, rng=rng, customer=facts.customer
        )
        because = first.sentence
        outcomes.append(first)
        outcomes += group_checks.segments(ours, theirs, facts=facts, guard=guards.segments)
    outcomes += checks.coverage(candidate, champion, k=k, guard=guards.coverage)
    ece = None if candidate.calibration is None else candidate.calibration.ece
    outcomes += checks.calibration(ece, guard=guards.calibration)
    outcomes += group_checks.fairness(candidate, facts=facts, k=k, guard=guards.fairness)
    outcomes += checks.cost(candidate, champion, guard=guards.cost)
    outcomes.append(checks.protected(facts.protected, credit=facts.credit))
    failing = [one for one in outcomes if not one.passed]
    if failing:
        because = "; ".join(f"guard '{one.guard}': {one.sentence}" for one in failing)
    return Verdict(not failing, because, difference, tuple(outcomes))
