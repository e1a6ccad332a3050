"""The two tables of off-policy evaluation: what was shown, and what would be shown.

Other columns of the log may be named as *context*: what was known when the decision was made.
"""

from typing import Final

import polars as pl

from oferta.columns import Column, Table

DECISIONS: Final = Table(
    "decisions",
    (
        Column("decision_id", pl.String()),
        Column("position", pl.String()),  # the place in the list or on the page
        Column("customer_id", pl.String()),
        Column("product_id", pl.String(), required=True),  # what was shown
        Column("probability", pl.Float64(), required=True),  # with which it was shown, there
        Column("reward", pl.Float64(), required=True),  # a click is 1; any amount will do
    ),
    key=("decision_id", "position"),
)

POLICY: Final = Table(
    "policy",
    (
        Column("decision_id", pl.String()),  # absent: the policy is the same for every decision
        Column("position", pl.String()),  # absent: the same at every position
        Column("product_id", pl.String(), required=True),
        Column("probability", pl.Float64(), required=True),
    ),
    key=("decision_id", "position", "product_id"),
)
