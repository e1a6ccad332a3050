"""Which test rows are in which segment: the same groups that guards look at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta_training.facts import ACTIVITY, COLD, Facts


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The test rows of one segment.

    Attributes:
        by, label: the attribute (or `activity`, `cold`) and its value.
        rows: `(rows,) bool`.
    """

    by: str
    label: str
    rows: NDArray[np.bool_]


def check_segments(segments: Sequence[str], customers: pl.LazyFrame) -> None:
    """Find out before any fit whether customers can be told apart so.

    Raises:
        UnknownName: neither `activity` nor `cold` nor an attribute of the customers.
    """
    attributes = [one for one in customers.collect_schema().names() if one != "customer_id"]
    for name in segments:
        if name not in {ACTIVITY, COLD, *attributes}:
            raise UnknownName("segment", name, [ACTIVITY, COLD, *attributes])


def groups_of(facts: Facts, segments: Sequence[str], *, min_customers: int) -> list[Group]:
    """The test rows told apart in each way of `segments`, labels in the order of their numbers."""
    found = []
    for by in dict.fromkeys(segments):
        groups = facts.groups(by, min_customers=min_customers)
        found += [Group(by, label, groups[label]) for label in sorted(groups, key=_reading_order)]
    return found


def _reading_order(label: str) -> tuple[bool, float, str]:
    number = re.match(r"-?\d+(\.\d+)?", label)
    bracketed = label.startswith("(")  # what is not known, and small groups thrown together
    return bracketed, float(number.group()) if number else float("inf"), label
