"""Whatever is wrong with a log or a policy is said at once, in words, with the number of rows."""

from collections.abc import Callable

import polars as pl
import pytest
from core.off_policy.worlds import log_frame, same_everywhere, world

from oferta.errors import DecisionsRefused, UnknownName
from oferta.evaluation.off_policy.decisions import logged_decisions
from oferta.evaluation.off_policy.policy import policy_for

Change = Callable[[pl.DataFrame], pl.DataFrame]


def cells(name: str, *values: object) -> Change:
    """The first cells of a column replaced."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        old = frame[name].to_list()
        new = pl.Series(name, [*values, *old[len(values) :]], strict=False)
        return frame.with_columns(new)

    return change


LOG_FAULTS: list[tuple[Change, str]] = [
    (lambda frame: frame.drop("reward"), "no column 'reward' (there are: decision_id, position"),
    (lambda frame: frame.head(0), "no rows"),
    (cells("probability", 0.0, 1.2, -0.1), "probability: 3 rows outside (0, 1]"),
    (cells("probability", float("nan"), None), "probability: 2 rows without a finite number"),
    (cells("probability", "half"), "probability: 1 row without a finite number"),
    (cells("reward", float("nan"), float("inf"), None), "reward: 3 rows without a finite number"),
    (cells("product_id", None, None), "product_id: 2 rows without a value"),
    (cells("position", None), "position: 1 row without a value"),
    (cells("customer_id", None), "customer_id: 1 row without a value"),
    (cells("position", 2), "decision_id and position: 2 rows share theirs with another row"),
    (cells("age", None, None), "context column age: 2 rows without a value"),
    (cells("region", None), "context column region: 1 row without a value"),
]


@pytest.mark.parametrize(("change", "said"), LOG_FAULTS, ids=[said for _, said in LOG_FAULTS])
def test_a_fault_of_the_log_is_named_with_its_rows(change: Change, said: str):
    with pytest.raises(DecisionsRefused) as refused:
        logged_decisions(change(log_frame()), place="june.csv", context=["age", "region"])
    assert refused.value.place == "june.csv"
    assert said in str(refused.value)


def test_all_faults_are_said_at_once():
    frame = cells("probability", 0.0)(cells("position", 2)(cells("age", None)(log_frame())))
    with pytest.raises(DecisionsRefused) as refused:
        logged_decisions(frame, context=["age"])
    assert len(refused.value.problems) == 3


def long_policy() -> pl.DataFrame:
    """A distribution per decision and position."""
    keys = log_frame().select("decision_id", "position")
    return keys.join(same_everywhere(), how="cross")


POLICY_FAULTS: list[tuple[Change, str]] = [
    (lambda frame: frame.drop("probability"), "no column 'probability'"),
    (cells("probability", 1.25, -0.5), "probability: 2 rows outside [0, 1]"),
    (cells("probability", 0.4), "1 of 6 distributions do not sum to 1 (they sum to 0.9 to 1)"),
    (cells("probability", None), "probability: 1 row without a finite number"),
    (cells("product_id", "card"), "product_id: 2 rows name one that the same distribution names"),
    (cells("decision_id", "d9"), "decision_id and position: 1 row of the policy are of none"),
    (lambda frame: frame.slice(3), "decision_id and position: 1 row of the log have no distrib"),
    (
        lambda frame: frame.with_columns(pl.col("product_id").replace("gap", "Gap")),
        "product_id: 2 rows of the log show a product that the policy does not name ('gap')",
    ),
]


@pytest.mark.parametrize(("change", "said"), POLICY_FAULTS, ids=[said for _, said in POLICY_FAULTS])
def test_a_fault_of_the_policy_is_named_with_its_rows(change: Change, said: str):
    log = logged_decisions(log_frame())
    with pytest.raises(DecisionsRefused) as refused:
        policy_for(log, change(long_policy()), place="new.csv")
    assert refused.value.place == "new.csv"
    assert said in str(refused.value)


def test_a_policy_by_decision_needs_a_log_with_decisions():
    with pytest.raises(DecisionsRefused, match="goes by decision_id, which the log does not have"):
        world(log_frame().drop("decision_id"), long_policy())


def test_a_context_column_that_is_not_there_is_named():
    with pytest.raises(UnknownName, match=r"'agee'.*'age'"):
        logged_decisions(log_frame(), context=["agee"])


def test_only_the_position_is_known_unless_more_is_named():
    assert logged_decisions(log_frame()).context == ("position",)
    assert logged_decisions(log_frame(), context=["age"]).context == ("position", "age")


def test_an_id_is_no_context():
    many = pl.DataFrame(
        {"product_id": "loan", "probability": 1.0, "reward": 0.0, "session": range(2000)},
        schema_overrides={"session": pl.String},
        strict=False,
    )
    with pytest.raises(DecisionsRefused, match="session: 2,000 different values"):
        logged_decisions(many, context=["session"])
