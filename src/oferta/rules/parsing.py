"""Tokens to a checked tree: sqlglot parses what `tokens` let through, `admission` judges it."""

from collections.abc import Mapping
from typing import Final

from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parser import Parser

from oferta.rules import tokens
from oferta.rules.admission import UNTYPED, Checker
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import Kind
from oferta.rules.tree import Node, depth

MAX_DEPTH: Final = 40


def parsed(text: str, columns: Mapping[str, Kind], place: str) -> Node:
    """The checked tree of `text`.

    Raises:
        RuleInvalid: whatever is wrong with it, the first thing met.
    """
    read = tokens.read(text, columns, place)
    try:
        found = Parser().parse(read, text)
    except ParseError as error:
        raise _unreadable(text, place, error) from None
    except (SqlglotError, RecursionError):
        raise RuleInvalid(place, text, "it is no expression") from None
    if len(found) != 1 or found[0] is None:
        raise RuleInvalid(place, text, "it is not one expression")
    checker = Checker(text, columns, place)
    try:
        node = checker.node(found[0])
        if node is UNTYPED:
            raise RuleInvalid(place, text, "it is always NULL")
        deep = depth(node)
    except RecursionError:
        deep = MAX_DEPTH + 1
        node = UNTYPED
    if deep > MAX_DEPTH:
        raise RuleInvalid(place, text, f"more than {MAX_DEPTH} operations inside one another")
    return node


def _unreadable(text: str, place: str, error: ParseError) -> RuleInvalid:
    """The parser's complaint, without its classes and colours."""
    first = error.errors[0] if error.errors else {}
    said = str(first.get("description") or "it is no expression")
    if "missing for" in said:
        said = "something is missing here"
    elif "Invalid expression" in said or "<class" in said:
        said = "this was not expected here"
    elif said.startswith("Expecting )"):
        said = "a ) is missing after this"
    highlight = str(first.get("highlight") or "")
    before = str(first.get("start_context") or "")
    whole = before + highlight
    start = text.find(whole) if whole else -1
    position = start + len(before) if start >= 0 else None
    return RuleInvalid(place, text, said[0].lower() + said[1:], position=position)
