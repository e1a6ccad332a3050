"""How data is cut into what a model learns from and what it is asked to foresee."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from oferta.errors import SplitRefused

FORMS = (
    "time:28d",
    "column:NAME",
    "column:NAME=TESTVALUE",
    "leave-one-out:last",
    "leave-one-out:random",
    "random:0.2",
    "cold-products:0.2",
    "cold-customers:0.2",
)
"""Every form that `--split` has."""


@dataclass(frozen=True, slots=True)
class TimeCut:
    """The last `window` of the data is the test."""

    window: timedelta

    def __str__(self) -> str:
        seconds = int(self.window.total_seconds())
        days, rest = divmod(seconds, 86_400)
        return f"time:{seconds // 3600}h" if rest else f"time:{days}d"


@dataclass(frozen=True, slots=True)
class ColumnCut:
    """A column says which part a row belongs to: `train`, `valid` (optional) or `test_value`."""

    column: str
    test_value: str = "test"

    def __str__(self) -> str:
        value = "" if self.test_value == "test" else f"={self.test_value}"
        return f"column:{self.column}{value}"


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """One product of each customer is the test: the last one, or one at random."""

    which: Literal["last", "random"]

    def __str__(self) -> str:
        return f"leave-one-out:{self.which}"


@dataclass(frozen=True, slots=True)
class RandomCut:
    """A share of all (customer, product) pairs, drawn at random, is the test."""

    share: float

    def __str__(self) -> str:
        return f"random:{self.share:g}"


@dataclass(frozen=True, slots=True)
class ColdCut:
    """A share of the customers, or of the products, drawn at random, is as if it were new.

    All events of theirs are out of train, and are the test. Of new products, only these are ranked.
    """

    of: Literal["customers", "products"]
    share: float

    def __str__(self) -> str:
        return f"cold-{self.of}:{self.share:g}"


Cut: TypeAlias = TimeCut | ColumnCut | LeaveOneOut | RandomCut | ColdCut

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_cut(text: str) -> Cut:
    """The cut that `--split` names.

    >>> parse_cut("time:4w")
    TimeCut(window=datetime.timedelta(days=28))
    >>> str(parse_cut("leave-one-out"))
    'leave-one-out:last'

    Raises:
        SplitRefused: not one of the forms, or a window or share that cannot be.
    """
    kind, _, rest = text.partition(":")
    if kind == "time" and (found := re.fullmatch(r"(\d{1,5})([hdw])", rest)) and int(found[1]):
        return TimeCut(int(found[1]) * _UNITS[found[2]])
    if kind == "column" and (found := re.fullmatch(r"([^=]+)(?:=(.+))?", rest)):
        return ColumnCut(found[1], found[2] or "test")
    if text in {"leave-one-out", "leave-one-out:last"}:
        return LeaveOneOut("last")
    if text == "leave-one-out:random":
        return LeaveOneOut("random")
    if kind == "random" and re.fullmatch(r"0?\.\d+", rest) and 0 < float(rest) < 1:
        return RandomCut(float(rest))
    if kind in {"cold-products", "cold-customers"} and re.fullmatch(r"0?\.\d+", rest):
        of: Literal["customers", "products"] = (
            "products" if kind == "cold-products" else "customers"
        )
        if 0 < float(rest) < 1:
            return ColdCut(of, float(rest))
    raise SplitRefused(text, "no such split", possible=FORMS)
