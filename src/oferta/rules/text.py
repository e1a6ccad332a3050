"""A checked tree as SQL: the canonical text that people read, and the one that Polars evaluates.

Both are equal but for divisions by constants, quoted names, and the type of numbers and nulls,
which Polars must be told (it reads `0.5` as a decimal of one digit and computes with so many).
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

from oferta.rules.kinds import Kind
from oferta.rules.tree import COMPARISONS, Column, Constant, Node, Operation

WORDS: Final = frozenset(
    {"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "LIKE", "TRUE", "FALSE", "DATE"}
    | {"CASE", "WHEN", "THEN", "ELSE", "END"}
)
"""Words of the language; a column of such a name is written in double quotes."""

EPOCH: Final = date(1970, 1, 1)

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPE: Final[dict[Kind, str]] = {
    "number": "DOUBLE",
    "date": "DOUBLE",
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
}
_EXACT: Final = 1e15

# How tightly an operator binds; an argument that binds less tightly is put in parentheses.
_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY, _UNARY, _ATOM = range(8)
_BINDS: Final = {
    "or": _OR,
    "and": _AND,
    "not": _NOT,
    **dict.fromkeys((*COMPARISONS, "in", "between", "is_null", "like"), _COMPARE),
    "+": _ADD,
    "-": _ADD,
    "*": _MULTIPLY,
    "/": _MULTIPLY,
    "neg": _UNARY,
}
# How it is written, and how tightly each argument must bind to stand there without parentheses.
_FORMS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    **{op: (f"{{}} {op} {{}}", (_ADD, _ADD)) for op in COMPARISONS},
    "between": ("{} BETWEEN {} AND {}", (_ADD, _ADD, _ADD)),
    "is_null": ("{} IS NULL", (_ADD,)),
    "like": ("{} LIKE {}", (_ADD, _OR)),
    "+": ("{} + {}", (_ADD, _MULTIPLY)),
    "-": ("{} - {}", (_ADD, _MULTIPLY)),
    "*": ("{} * {}", (_MULTIPLY, _UNARY)),
    "/": ("{} / {}", (_MULTIPLY, _UNARY)),
    "neg": ("-{}", (_ATOM,)),
}
_NEGATED: Final = {
    "is_null": (" IS NULL", " IS NOT NULL"),
    "in": (" IN ", " NOT IN "),
    "like": (" LIKE ", " NOT LIKE "),
    "between": (" BETWEEN ", " NOT BETWEEN "),
}


def canonical(node: Node) -> str:
    """The tree as a person would write it, fully explicit: equal trees have equal texts."""
    return _text(node, _readable)


def for_polars(node: Node) -> str:
    """The tree as `polars.sql_expr` evaluates it: all numbers are doubles, all nulls are typed.

    Polars divides by a constant by multiplying with its inverse, or not, depending on how the frame
    is cut (2.1: 2.5 / 595 in a frame of two rows and of five); so it is told to multiply.
    """
    return _text(_without_constant_divisors(node), _typed)


def _without_constant_divisors(node: Node) -> Node:
    if not isinstance(node, Operation):
        return node
    args = tuple(_without_constant_divisors(arg) for arg in node.args)
    if node.op == "/" and isinstance(args[1], Constant) and isinstance(args[1].value, float):
        return Operation("*", (args[0], Constant(1 / args[1].value, "number")), "number")
    return Operation(node.op, args, node.kind)


def _readable(leaf: Column | Constant) -> str:
    if isinstance(leaf, Column):
        plain = _PLAIN.fullmatch(leaf.name) and leaf.name.upper() not in WORDS
        return leaf.name if plain else f'"{leaf.name}"'
    value = leaf.value
    if value is None:
        return "NULL"
    if isinstance(value, str | bool):
        return _spelt(value)
    if leaf.kind == "date":
        return f"DATE '{(EPOCH + timedelta(days=value)).isoformat()}'"
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < _EXACT else repr(value)


def _typed(leaf: Column | Constant) -> str:
    if isinstance(leaf, Column):
        return f'"{leaf.name}"'
    value = leaf.value
    if value is None:
        return f"CAST(NULL AS {_TYPE[leaf.kind]})"
    if isinstance(value, str | bool):
        return _spelt(value)
    digits = repr(float(value))
    return digits if "e" in digits else f"{digits}e0"


def _spelt(value: str | bool) -> str:  # noqa: FBT001 - the value of a literal
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return "'" + value.replace("'", "''") + "'"


def _text(node: Node, leaf: Callable[[Column | Constant], str]) -> str:
    if not isinstance(node, Operation):
        return leaf(node)
    args, op = node.args, node.op
    if op == "/":
        args = (args[0], _guarded(args[1]))
    form, binds = _FORMS.get(op, ("", ()))
    if form:
        return form.format(
            *(_inside(arg, bind, leaf) for arg, bind in zip(args, binds, strict=True))
        )
    if op == "not":
        return _negated(args[0], leaf)
    if op in {"and", "or"}:
        return f" {op.upper()} ".join(_inside(arg, _BINDS[op] + 1, leaf) for arg in args)
    return _listed(op, args, leaf)


def _listed(op: str, args: tuple[Node, ...], leaf: Callable[[Column | Constant], str]) -> str:
    """Forms with any number of arguments."""
    whole = [_text(arg, leaf) for arg in args]
    if op == "in":
        return f"{_inside(args[0], _ADD, leaf)} IN ({', '.join(whole[1:])})"
    if op == "case":
        pairs = zip(whole[:-1:2], whole[1:-1:2], strict=True)
        whens = "".join(f"WHEN {when} THEN {then} " for when, then in pairs)
        return f"CASE {whens}ELSE {whole[-1]} END"
    return f"{op.upper()}({', '.join(whole)})"


def _negated(node: Node, leaf: Callable[[Column | Constant], str]) -> str:
    said = _text(node, leaf)
    if isinstance(node, Operation) and node.op in _NEGATED:
        word, negated = _NEGATED[node.op]
        value = _inside(node.args[0], _ADD, leaf)
        return value + said[len(value) :].replace(word, negated, 1)
    return f"NOT ({said})"


def _inside(node: Node, binds: int, leaf: Callable[[Column | Constant], str]) -> str:
    """The text of an argument, in parentheses where it binds less tightly than its place asks."""
    said = _text(node, leaf)
    loose = isinstance(node, Operation) and _BINDS.get(node.op, _ATOM) < binds
    # A negative number next to a minus would read as a comment.
    negative = said.startswith("-") and binds > _ADD
    return f"({said})" if loose or negative else said


def _guarded(node: Node) -> Node:
    """What divides, or null where it is zero; a guard that is written already stays as it is."""
    if isinstance(node, Constant) and node.value != 0:
        return node
    zero = Constant(0.0, "number")
    if isinstance(node, Operation) and node.op == "nullif" and node.args[1] == zero:
        return node
    return Operation("nullif", (node, zero), "number")
