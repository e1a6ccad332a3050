"""The rule language: SQL expressions over declared columns, checked when they are read.

One text serves the whole base (`oferta.rules.frames`, Polars) and one customer
(`oferta.rules.program`), with the same answer: SQL's three-valued logic, `x / 0` is null, dates are
whole days. What it takes is in `docs/rules.md`.

Reading a rule imports the parser (0.1 s); running one does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import SAID, Kind
from oferta.rules.text import canonical
from oferta.rules.tree import Column, Node, Operation, walk


@dataclass(frozen=True, slots=True)
class Expression:
    """One checked expression.

    Attributes:
        text: as it was written.
        sql: canonical: equal meanings written alike have equal texts; divisions are guarded.
        kind: of its value.
        columns: names of the columns it reads.
        tree: what frames and programs are made from.
    """

    text: str
    sql: str
    kind: Kind
    columns: frozenset[str]
    tree: Node = field(repr=False)


def parse(
    text: str, columns: Mapping[str, Kind], *, wanted: Kind | None = "boolean", place: str = "rule"
) -> Expression:
    """`text` as a checked expression over `columns`.

    Args:
        text: SQL, at most 2000 characters.
        columns: all that the rule may read, with kinds.
        wanted: the kind that its value must have; None: any.
        place: what holds the rule, for the message.

    Raises:
        RuleInvalid: what is wrong, where in the text, and the nearest known name.
    """
    from oferta.rules.parsing import parsed  # noqa: PLC0415 - the parser takes 0.1 s to import

    tree = parsed(text, columns, place)
    if wanted is not None and tree.kind != wanted:
        raise RuleInvalid(place, text, f"it gives {SAID[tree.kind]}, where {SAID[wanted]} belongs")
    return _expression(text, tree)


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """The conditions that must all hold for `expression` to hold; itself where it is no AND."""
    tree = expression.tree
    if not (isinstance(tree, Operation) and tree.op == "and"):
        return (expression,)
    return tuple(_expression(canonical(term), term) for term in tree.args)


def _expression(text: str, tree: Node) -> Expression:
    columns = frozenset(node.name for node in walk(tree) if isinstance(node, Column))
    return Expression(text, canonical(tree), tree.kind, columns, tree)
