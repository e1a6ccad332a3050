"""What the language is made of: every node of the parser is admitted by name, or refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, cast

from sqlglot import exp

from oferta.rules.compiled import compiled
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import SAID, Kind
from oferta.rules.text import EPOCH
from oferta.rules.tree import Column, Constant, Node, Op, Operation, walk

_LARGEST: Final = 1e15
_SMALLEST: Final = 1e-15

_COMPARES: Final[Mapping[type[exp.Expr], Op]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_COMPUTES: Final[Mapping[type[exp.Expr], Op]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}
_CHOOSES: Final[Mapping[type[exp.Expr], Op]] = {
    exp.Coalesce: "coalesce",
    exp.Least: "least",
    exp.Greatest: "greatest",
}
_ROUNDS: Final[Mapping[type[exp.Expr], Op]] = {
    exp.Abs: "abs",
    exp.Round: "round",
    exp.Floor: "floor",
    exp.Ceil: "ceil",
}
# What a node may carry besides its arguments without meaning anything else.
_HARMLESS: Final = frozenset({"ignore_nulls", "typed", "safe", "quoted"})

UNTYPED: Final = Constant(None, "text")
"""A null whose kind its place has not told yet; compared by identity."""


class Checker:
    """Admits the parser's nodes one by one, with kinds."""

    def __init__(self, text: str, columns: Mapping[str, Kind], place: str) -> None:
        self._text = text
        self._columns = columns
        self._place = place
        # All that the language is made of; what is not here is refused.
        self._admitted: Mapping[type, Callable[[exp.Expr], Node]] = {
            exp.Paren: self._paren,
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: self._boolean,
            exp.Null: self._null,
            exp.Neg: self._negative,
            exp.Cast: self._day,
            exp.And: self._junction,
            exp.Or: self._junction,
            exp.Not: self._negation,
            exp.Between: self._between,
            exp.Is: self._is_null,
            exp.In: self._among,
            exp.Like: self._like,
            exp.Case: self._case,
            exp.Nullif: self._nullif,
            **dict.fromkeys(_COMPARES, self._comparison),
            **dict.fromkeys(_COMPUTES, self._arithmetic),
            **dict.fromkeys(_CHOOSES, self._choice),
            **dict.fromkeys(_ROUNDS, self._rounding),
        }

    def _refused(self, source: exp.Expr, problem: str) -> RuleInvalid:
        return RuleInvalid(self._place, self._text, problem, position=_position(source))

    def node(self, source: exp.Expr) -> Node:
        """The checked form of `source` and all below it.

        Raises:
            RuleInvalid: at the first thing that is wrong.
        """
        admitted = self._admitted.get(type(source))
        if admitted is None:
            raise self._refused(source, "this form is not part of the language")
        return self._folded(admitted(source), source)

    def _folded(self, node: Node, source: exp.Expr) -> Node:
        """What holds no column is computed now: both evaluators then see the same literal."""
        if (
            not isinstance(node, Operation)
            or node.kind == "date"
            or not all(isinstance(arg, Constant) or arg.kind == "date" for arg in node.args)
            or any(isinstance(one, Column) for one in walk(node))
        ):
            return node
        value = compiled([node])(lambda _: None)[0]
        if value is None:
            raise self._refused(source, "this is always NULL")
        if isinstance(value, float):
            self._reasonable(value, source)
        return Constant(value, node.kind)

    def _reasonable(self, number: float, source: exp.Expr) -> None:
        if not math.isfinite(number) or abs(number) > _LARGEST or 0 < abs(number) < _SMALLEST:
            raise self._refused(source, f"a number beyond {_LARGEST:g} or below {_SMALLEST:g}")

    def _args(self, source: exp.Expr, *names: str) -> exp.Expr:
        """The argument of the first name; any argument outside `names` is refused."""
        for name, value in source.args.items():
            if name not in names and name not in _HARMLESS and value not in (None, False, []):
                raise self._refused(source, "this form is not part of the language")
        first = source.args.get(names[0])
        if not isinstance(first, exp.Expr | list):
            raise self._refused(source, "something is missing here")
        return cast("exp.Expr", first)

    def _column(self, source: exp.Expr) -> Node:
        name = self._args(source, "this").name
        if name not in self._columns:
            raise self._refused(source, f"unknown column '{name[:64]}'")
        return Column(name, self._columns[name])

    def _paren(self, source: exp.Expr) -> Node:
        return self.node(self._args(source, "this"))

    def _null(self, _source: exp.Expr) -> Node:
        return UNTYPED

    def _boolean(self, source: exp.Expr) -> Node:
        return Constant(bool(source.args["this"]), "boolean")

    def _negative(self, source: exp.Expr) -> Node:
        inner = self._number(self._args(source, "this"))
        if isinstance(inner, Constant) and isinstance(inner.value, float):
            return Constant(-inner.value, "number")
        return Operation("neg", (inner,), "number")

    def _literal(self, source: exp.Expr) -> Node:
        if source.args.get("is_string"):
            return Constant(str(source.this), "text")
        try:
            number = float(str(source.this))
        except ValueError:
            raise self._refused(source, "this is not a number") from None
        self._reasonable(number, source)
        return Constant(number, "number")

    def _day(self, source: exp.Expr) -> Node:
        """DATE '2026-01-31': the only cast that the tokens let through."""
        what, to = source.args.get("this"), source.args.get("to")
        if not (
            isinstance(what, exp.Literal)
            and what.args.get("is_string")
            and isinstance(to, exp.DataType)
            and to.this == exp.DataType.Type.DATE
        ):
            raise self._refused(source, "a date is written DATE '2026-01-31'")
        try:
            day = date.fromisoformat(str(what.this))
        except ValueError:
            raise self._refused(
                what, f"'{str(what.this)[:20]}' is no day; as '2026-01-31'"
            ) from None
        return Constant(float((day - EPOCH).days), "date")

    def _negation(self, source: exp.Expr) -> Node:
        return Operation("not", (self._truth(self._args(source, "this")),), "boolean")

    def _junction(self, source: exp.Expr) -> Node:
        """AND or OR of all its terms, however they were put together."""
        op: Op = "and" if isinstance(source, exp.And) else "or"
        terms: list[exp.Expr] = []
        waiting = [source]
        while waiting:
            one = waiting.pop()
            while isinstance(one, exp.Paren):
                one = one.args["this"]
            if type(one) is type(source):
                waiting += [one.args["expression"], one.args["this"]]
            else:
                terms.append(one)
        return Operation(op, tuple(self._truth(term) for term in terms), "boolean")

    def _truth(self, source: exp.Expr) -> Node:
        node = self.node(source)
        if node is UNTYPED:
            return Constant(None, "boolean")
        if node.kind != "boolean":
            raise self._refused(source, f"this is {SAID[node.kind]}, where true or false belongs")
        return node

    def _number(self, source: exp.Expr) -> Node:
        node = self.node(source)
        if node is UNTYPED:
            raise self._refused(source, "NULL where a number belongs")
        if node.kind != "number":
            raise self._refused(source, f"this is {SAID[node.kind]}, where a number belongs")
        return node

    def _pair(self, source: exp.Expr, op: str, *names: str) -> list[Node]:
        """Arguments that are compared with each other: all of one kind."""
        self._args(source, *names)
        nodes: list[Node] = []
        for name in names:
            one = cast("exp.Expr", source.args[name])
            node = self.node(one)
            if node is UNTYPED:
                raise self._refused(
                    source, f"{op} NULL is never true; write IS NULL or IS NOT NULL"
                )
            if nodes and node.kind != nodes[0].kind:
                raise self._refused(source, _uncomparable(nodes[0].kind, node.kind))
            nodes.append(node)
        return nodes

    def _comparison(self, source: exp.Expr) -> Node:
        op = _COMPARES[type(source)]
        left, right = self._pair(source, op, "this", "expression")
        if left.kind == "boolean" and op not in {"=", "<>"}:
            raise self._refused(source, f"true and false have no order for {op}")
        return Operation(op, (left, right), "boolean")

    def _between(self, source: exp.Expr) -> Node:
        nodes = self._pair(source, "BETWEEN", "this", "low", "high")
        if nodes[0].kind == "boolean":
            raise self._refused(source, "true and false have no order for BETWEEN")
        return Operation("between", tuple(nodes), "boolean")

    def _arithmetic(self, source: exp.Expr) -> Node:
        op = _COMPUTES[type(source)]
        self._args(source, "this", "expression")
        left_source, right_source = source.args["this"], source.args["expression"]
        left, right = self.node(left_source), self.node(right_source)
        for one, node in ((left_source, left), (right_source, right)):
            if node is UNTYPED:
                raise self._refused(one, "NULL where a number belongs")
        if op == "/" and isinstance(right, Constant) and right.value == 0:
            raise self._refused(source, "a division by zero, which is always NULL")
        kinds = (left.kind, right.kind)
        if kinds == ("number", "number") or (kinds == ("date", "date") and op == "-"):
            return Operation(op, (left, right), "number")
        if kinds == ("date", "number") and op in {"+", "-"}:
            return Operation(op, (left, right), "date")
        if kinds == ("number", "date") and op == "+":
            return Operation(op, (left, right), "date")
        raise self._refused(source, f"{SAID[left.kind]} {op} {SAID[right.kind]} makes no sense")

    def _is_null(self, source: exp.Expr) -> Node:
        value = self.node(self._args(source, "this", "expression"))
        if not isinstance(source.args["expression"], exp.Null):
            problem = "IS takes NULL or NOT NULL alone; a boolean column is a condition by itself"
            raise self._refused(source, problem)
        if value is UNTYPED:
            raise self._refused(source, "NULL IS NULL is always true")
        return Operation("is_null", (value,), "boolean")

    def _among(self, source: exp.Expr) -> Node:
        value = self.node(self._args(source, "this", "expressions"))
        nodes: list[Node] = [value]
        for one in source.args["expressions"]:
            node = self.node(one)
            if node is UNTYPED:
                raise self._refused(source, "NULL in a list makes NOT IN never true; ask IS NULL")
            if not isinstance(node, Constant):
                raise self._refused(one, "a list holds numbers, texts or dates, no columns")
            if node.kind != value.kind:
                raise self._refused(one, _uncomparable(value.kind, node.kind))
            nodes.append(node)
        if value is UNTYPED or len(nodes) == 1:
            raise self._refused(source, "IN needs a value and a list")
        return Operation("in", tuple(nodes), "boolean")

    def _like(self, source: exp.Expr) -> Node:
        value = self.node(self._args(source, "this", "expression", "negate"))
        pattern = self.node(source.args["expression"])
        if value is UNTYPED or value.kind != "text":
            raise self._refused(source, "LIKE is for text alone")
        if not (isinstance(pattern, Constant) and isinstance(pattern.value, str)):
            raise self._refused(source, "the pattern of LIKE is a text, as 'SUV%'")
        if "\\" in pattern.value:
            raise self._refused(source, "a pattern of LIKE has no backslash")
        like = Operation("like", (value, pattern), "boolean")
        return Operation("not", (like,), "boolean") if source.args.get("negate") else like

    def _case(self, source: exp.Expr) -> Node:
        if source.args.get("this") is not None:
            raise self._refused(source, "write CASE WHEN x = ... THEN ...")
        self._args(source, "ifs", "default")
        whens: list[Node] = []
        sources: list[exp.Expr] = []
        for one in source.args["ifs"]:
            whens.append(self._truth(self._args(one, "this", "true")))
            sources.append(one.args["true"])
        default = source.args.get("default")
        sources.append(exp.Null() if default is None else default)
        results = self._alike(source, sources)
        pairs = zip(whens, results[:-1], strict=True)
        args = (*(arg for pair in pairs for arg in pair), results[-1])
        return Operation("case", args, results[0].kind)

    def _alike(self, source: exp.Expr, sources: Sequence[exp.Expr]) -> list[Node]:
        """Alternatives of one kind, which nulls among them take on."""
        nodes = [self.node(one) for one in sources]
        kind: Kind | None = next((node.kind for node in nodes if node is not UNTYPED), None)
        if kind is None:
            raise self._refused(source, "this is always NULL")
        for one, node in zip(sources, nodes, strict=True):
            if node is not UNTYPED and node.kind != kind:
                problem = f"this is {SAID[node.kind]}, where the first one is {SAID[kind]}"
                raise self._refused(one, problem)
        return [Constant(None, kind) if node is UNTYPED else node for node in nodes]

    def _choice(self, source: exp.Expr) -> Node:
        first = self._args(source, "this", "expressions")
        nodes = self._alike(source, [first, *source.args["expressions"]])
        op = _CHOOSES[type(source)]
        if op != "coalesce" and nodes[0].kind not in {"number", "date"}:
            raise self._refused(source, f"{op.upper()} is for numbers and dates")
        return nodes[0] if len(nodes) == 1 else Operation(op, tuple(nodes), nodes[0].kind)

    def _rounding(self, source: exp.Expr) -> Node:
        value = self._number(self._args(source, "this"))
        return Operation(_ROUNDS[type(source)], (value,), "number")

    def _nullif(self, source: exp.Expr) -> Node:
        left, right = self._pair(source, "NULLIF with", "this", "expression")
        return Operation("nullif", (left, right), left.kind)


def _uncomparable(left: Kind, right: Kind) -> str:
    hint = ""
    if {left, right} == {"date", "number"}:
        hint = "; days are counted from another day: contract_end - today"
    elif {left, right} == {"date", "text"}:
        hint = "; a date is written DATE '2026-01-31'"
    return f"{SAID[left]} is compared with {SAID[right]}{hint}"


def _position(source: exp.Expr) -> int | None:
    """Where the source begins, as far as the parser remembers."""
    found = [start for node in source.walk() if isinstance(start := node.meta.get("start"), int)]
    return min(found) if found else None
