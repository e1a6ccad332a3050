"""Small logs with every kind of column, and policies for them."""

from collections.abc import Sequence

import polars as pl

from oferta.evaluation.off_policy.decisions import LoggedDecisions, logged_decisions
from oferta.evaluation.off_policy.policy import Policy, policy_for

PRODUCTS = ("loan", "card", "gap")


def log_frame() -> pl.DataFrame:
    """Six rows: three decisions of two positions each, by two customers."""
    return pl.DataFrame(
        {
            "decision_id": ["d1", "d1", "d2", "d2", "d3", "d3"],
            "position": [1, 2, 1, 2, 1, 2],
            "customer_id": ["ann", "ann", "bob", "bob", "ann", "ann"],
            "product_id": ["loan", "card", "card", "gap", "loan", "gap"],
            "probability": [0.5, 0.25, 0.25, 0.5, 0.5, 0.5],
            "reward": [1.0, 0.0, 0.0, 0.0, 1.0, 1.0],
            "age": [30, 30, 55, 55, 31, 31],
            "region": ["north", "north", "south", "south", "north", "north"],
        }
    )


def same_everywhere(chances: Sequence[float] = (0.5, 0.25, 0.25)) -> pl.DataFrame:
    """A policy that looks at nothing."""
    return pl.DataFrame({"product_id": PRODUCTS, "probability": chances})


def world(
    log: pl.DataFrame, policy: pl.DataFrame, *, context: Sequence[str] = ()
) -> tuple[LoggedDecisions, Policy]:
    """A log and a policy for it, checked as a command would."""
    decisions = logged_decisions(log, context=context)
    return decisions, policy_for(decisions, policy)
