"""Trees written as one Python function: what programs run, and what constants are folded with.

The function is generated from checked trees alone; names and constants reach it by closure, so no
text of a rule is ever executed.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from oferta.rules.kinds import Value
from oferta.rules.tree import Column, Constant, Node, Operation

_WHOLE: Final = 2.0**52
"""From here on every float is whole."""


Get = Callable[[str], Value]
"""The value of a column by its name; None where there is none."""


def compiled(trees: Sequence[Node]) -> Callable[[Get], list[Value]]:
    """One function that gives the value of every tree; equal subtrees are computed once."""
    return _Writer(trees).function()


class _Writer:
    """Writes the function: each distinct operation is one assignment to a name of its own.

    An operation that is null as soon as an argument is ("strict") and that is needed once is
    written into the expression that needs it, whose check for nulls then covers its arguments, too.
    """

    def __init__(self, trees: Sequence[Node]) -> None:
        self._trees = trees
        self._names: dict[Node, str] = {}
        self._constants: list[object] = []
        self._lines: list[str] = []
        self._uses = Counter[Node]()
        counted: set[Node] = set()
        waiting = list(trees)
        self._uses.update(trees)
        while waiting:
            node = waiting.pop()
            if node in counted or not isinstance(node, Operation):
                continue
            counted.add(node)
            self._uses.update(node.args)
            waiting += node.args

    def function(self) -> Callable[[Get], list[Value]]:
        results = ", ".join([self._name(tree) for tree in self._trees])
        names = ", ".join(f"k{at}" for at in range(len(self._constants)))
        body = "\n        ".join([*self._lines, f"return [{results}]"])
        source = f"def make({names}):\n    def program(get):\n        {body}\n    return program\n"
        scope: dict[str, object] = {"__builtins__": {}}
        exec(compile(source, "<rules>", "exec"), scope)  # noqa: S102 - generated from checked trees
        make = cast("Callable[..., Callable[[Get], list[Value]]]", scope["make"])
        return make(*self._constants)

    def _constant(self, value: object) -> str:
        self._constants.append(value)
        return f"k{len(self._constants) - 1}"

    def _assign(self, node: Node, code: str) -> str:
        name = f"v{len(self._names)}"
        self._names[node] = name
        self._lines.append(f"{name} = {code}")
        return name

    def _name(self, node: Node) -> str:
        """A name that holds the value of `node`."""
        known = self._names.get(node)
        if known is not None:
            return known
        if isinstance(node, Constant):
            name = self._names[node] = self._constant(node.value)
            return name
        if isinstance(node, Column):
            return self._assign(node, f"get({self._constant(node.name)})")
        if _strict(node):
            code, nullable = self._strictly(node)
            return self._assign(node, _unless_null(code, nullable))
        return self._assign(node, self._loosely(node))

    def _inline(self, node: Node) -> tuple[str, list[str]]:
        """Code for `node` that is right where none of the returned names is null."""
        if isinstance(node, Constant):
            name = self._name(node)
            return name, [name] if node.value is None else []
        if node in self._names or not _strict(node) or self._uses[node] > 1:
            name = self._name(node)
            return name, [name]
        code, nullable = self._strictly(cast("Operation", node))
        return f"({code})", nullable

    def _strictly(self, node: Operation) -> tuple[str, list[str]]:
        op = node.op
        if op in {"in", "like"}:
            value, nullable = self._inline(node.args[0])
            if op == "in":
                among = frozenset(cast("Constant", arg).value for arg in node.args[1:])
                return f"{value} in {self._constant(among)}", nullable
            pattern = str(cast("Constant", node.args[1]).value)
            return f"{self._constant(_matcher(pattern))}({value})", nullable
        args = [self._inline(arg) for arg in node.args]
        names = [name for _, nullable in args for name in nullable]
        codes = [code for code, _ in args]
        function = _FUNCTIONS.get(op)
        if function is not None:
            return f"{self._constant(function)}({codes[0]})", names
        if op in {"not", "neg"}:
            return f"{'not' if op == 'not' else '-'} {codes[0]}", names
        if op == "/":
            # As `oferta.rules.text.for_polars` has it, to the last digit.
            divisor = cast("float", cast("Constant", node.args[1]).value)
            return f"{codes[0]} * {self._constant(1 / divisor)}", names
        return f"{codes[0]} {_PYTHON.get(op, op)} {codes[1]}", names

    def _loosely(self, node: Operation) -> str:
        names = [self._name(arg) for arg in node.args]
        first, last = names[0], names[-1]
        match node.op:
            case "and" | "or":
                ends = "False" if node.op == "and" else "True"
                decided = " or ".join(f"{name} is {ends}" for name in names)
                unknown = " or ".join(f"{name} is None" for name in names)
                code = f"{ends} if {decided} else None if {unknown} else not {ends}"
            case "between":
                code = _between(*names)
            case "is_null":
                code = f"{first} is None"
            case "/":
                unknown = f"{first} is None or {last} is None or {last} == 0"
                code = f"None if {unknown} else {first} / {last}"
            case "nullif":
                code = f"None if {first} == {last} else {first}"
            case "coalesce":
                code = " else ".join([*(f"{one} if {one} is not None" for one in names[:-1]), last])
            case "least" | "greatest":
                chosen = _least if node.op == "least" else _greatest
                code = f"{self._constant(chosen)}(({', '.join(names)}))"
            case _:
                pairs = zip(names[:-1:2], names[1:-1:2], strict=True)
                whens = (f"{then} if {when} is True" for when, then in pairs)
                code = " else ".join([*whens, last])
        return code


_LOOSE: Final = frozenset(
    {"and", "or", "between", "is_null", "nullif", "coalesce", "least", "greatest", "case"}
)
_PYTHON: Final = {"=": "==", "<>": "!="}


def _strict(node: Node) -> bool:
    """Whether it is null exactly where one of its arguments is."""
    if not isinstance(node, Operation) or node.op in _LOOSE:
        return False
    if node.op != "/":
        return True
    divisor = node.args[1]
    return isinstance(divisor, Constant) and divisor.value not in (None, 0)


def _unless_null(code: str, names: Sequence[str]) -> str:
    checks = " or ".join(f"{name} is None" for name in dict.fromkeys(names))
    return f"None if {checks} else {code}" if checks else code


def _between(value: str, low: str, high: str) -> str:
    """`low <= value AND value <= high`: false as soon as one bound tells."""
    return (
        f"None if {value} is None else "
        f"False if {low} is not None and {value} < {low} "
        f"or {high} is not None and {value} > {high} "
        f"else None if {low} is None or {high} is None else True"
    )


def _matcher(pattern: str) -> Callable[[str], bool]:
    """LIKE: `%` is any text, `_` one character, the rest itself; case matters.

    A request may send a pattern, so its cost is bounded by the two lengths multiplied: a part
    between two `%` is taken at its first place and never looked for again (an atomic group). That
    loses no match, for whatever follows has the more text left the earlier a part was found.
    """
    first, *rest = [
        "".join("." if sign == "_" else re.escape(sign) for sign in part)
        for part in pattern.split("%")
    ]
    inner = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    last = f".*{rest[-1]}" if rest else ""
    match = re.compile(first + inner + last, re.DOTALL).fullmatch
    return lambda text: match(text) is not None


def _round(value: float) -> float:
    """To the nearest whole number, halves to the even one."""
    return float(round(value)) if abs(value) < _WHOLE else value


def _floor(value: float) -> float:
    return float(math.floor(value)) if abs(value) < _WHOLE else value


def _ceil(value: float) -> float:
    return float(math.ceil(value)) if abs(value) < _WHOLE else value


_FUNCTIONS: Final[Mapping[str, Callable[[float], float]]] = {
    "abs": abs,
    "round": _round,
    "floor": _floor,
    "ceil": _ceil,
}


def _least(values: tuple[float | None, ...]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _greatest(values: tuple[float | None, ...]) -> float | None:
    return max((value for value in values if value is not None), default=None)
