"""The checked form of a rule: a small tree that frames, programs and texts are made from.

Nothing of the parser is left in it, and nothing in it is unchecked: every node has its kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from oferta.rules.kinds import Kind, Value

# fmt: off
Op = Literal[
    "and", "or", "not", "=", "<>", "<", "<=", ">", ">=", "in", "between", "is_null", "like",
    "+", "-", "*", "/", "neg",
    "case", "coalesce", "nullif", "abs", "least", "greatest", "round", "floor", "ceil",
]
# fmt: on

COMPARISONS: Final = ("=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Column:
    """The value of a declared column."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; null has the kind that its place asks for."""

    value: Value
    kind: Kind


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or function over its arguments.

    `and`, `or`, `coalesce`, `least` and `greatest` take two or more; `in` the value and then its
    constants; `like` the value and its pattern; `between` value, low, high; `case` pairs of
    condition and result, then what holds otherwise.
    """

    op: Op
    args: "tuple[Node, ...]"
    kind: Kind


Node = Column | Constant | Operation


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, with repetition, in the order of reading."""
    yield node
    if isinstance(node, Operation):
        for arg in node.args:
            yield from walk(arg)


def depth(node: Node) -> int:
    """Levels of the tree; 1 for a column."""
    if not isinstance(node, Operation):
        return 1
    return 1 + max(depth(arg) for arg in node.args)
