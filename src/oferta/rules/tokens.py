"""The words of a rule, checked one by one before anything is parsed.

What is let through here is all that the parser ever sees: no statements, no subqueries, no casts,
no comments, and nothing so long or so deep that reading it would take long.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

from sqlglot import Token, Tokenizer, TokenType
from sqlglot.errors import SqlglotError

from oferta.rules.invalid import RuleInvalid, nearest
from oferta.rules.kinds import Kind
from oferta.rules.text import WORDS

MAX_LENGTH: Final = 2000
MAX_NESTING: Final = 12
"""Polars' own parser takes exponential time from about 40 levels on."""
_MAX_PREFIXES: Final = 3

FUNCTIONS: Final = (
    "COALESCE",
    "NULLIF",
    "ABS",
    "LEAST",
    "GREATEST",
    "ROUND",
    "FLOOR",
    "CEIL",
)

_SIGNS: Final = frozenset(
    {
        TokenType.PLUS,
        TokenType.DASH,
        TokenType.STAR,
        TokenType.SLASH,
        TokenType.L_PAREN,
        TokenType.R_PAREN,
        TokenType.COMMA,
        TokenType.EQ,
        TokenType.NEQ,
        TokenType.LT,
        TokenType.LTE,
        TokenType.GT,
        TokenType.GTE,
    }
)
_INSTEAD: Final = {
    TokenType.DOT: "a dot; names have none, and numbers are written 0.5",
    TokenType.MOD: "%, which the language does not have",
    TokenType.DPIPE: "||, which the language does not have",
    TokenType.SEMICOLON: "a semicolon; a rule is one expression",
}
_INSTEAD_WORD: Final = {
    "ILIKE": "use LIKE, with the letters as they are in the data",
    "SELECT": "a rule is one expression, not a query",
    "CAST": "values have the type that they are declared with",
    "IF": "write CASE WHEN ... THEN ... ELSE ... END",
    "IFNULL": "write COALESCE(x, y)",
    "NVL": "write COALESCE(x, y)",
    "MIN": "write LEAST(x, y)",
    "MAX": "write GREATEST(x, y)",
    "CEILING": "write CEIL(x)",
    "NOW": "the day is the column today",
    "CURRENT_DATE": "the day is the column today",
    "INTERVAL": "dates are whole days: write today + 30",
}


def read(text: str, columns: Mapping[str, Kind], place: str) -> list[Token]:
    """The tokens of `text`, with column names marked as quoted names so that none is a keyword.

    Raises:
        RuleInvalid: anything outside the language's words, signs and limits; an unknown name.
    """
    if len(text) > MAX_LENGTH:
        problem = f"{len(text)} characters are too long; at most {MAX_LENGTH}, split it in several"
        raise RuleInvalid(place, text, problem)
    try:
        tokens = Tokenizer().tokenize(text)
    except SqlglotError:
        raise RuleInvalid(place, text, "a quote is opened and not closed") from None
    if not tokens:
        raise RuleInvalid(place, text, "the rule is empty")
    return _Reader(text, columns, place).read(tokens)


class _Reader:
    """One pass over the tokens of one rule."""

    def __init__(self, text: str, columns: Mapping[str, Kind], place: str) -> None:
        self._text = text
        self._columns = columns
        self._place = place

    def _refused(self, token: Token, problem: str, *, near: str | None = None) -> RuleInvalid:
        return RuleInvalid(self._place, self._text, problem, position=token.start, nearest=near)

    def read(self, tokens: list[Token]) -> list[Token]:
        nesting = prefixes = 0
        kept: list[Token] = []
        for at, token in enumerate(tokens):
            if token.comments:
                raise self._refused(token, "a comment (-- or /*) after this; rules have none")
            follows = tokens[at + 1] if at + 1 < len(tokens) else None
            one = self._checked(token, follows)
            kept.append(one)
            kind = one.token_type
            if kind in {TokenType.L_PAREN, TokenType.CASE}:
                nesting += 1
            elif kind in {TokenType.R_PAREN, TokenType.END}:
                nesting -= 1
            prefixes = prefixes + 1 if kind in {TokenType.NOT, TokenType.DASH} else 0
            if nesting > MAX_NESTING or prefixes > _MAX_PREFIXES:
                raise self._refused(token, f"nested more than {MAX_NESTING} levels deep")
        return kept

    def _checked(self, token: Token, follows: Token | None) -> Token:
        kind, word = token.token_type, token.text
        if kind in _SIGNS or kind == TokenType.NUMBER:
            return token
        if kind == TokenType.STRING:
            if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in word):
                raise self._refused(token, "a text with a sign that cannot be written")
            return token
        if kind == TokenType.IDENTIFIER:
            return self._column(token)
        if not word.replace("_", "a").isalnum():
            said = _INSTEAD.get(kind, f"'{word[:20]}', which the language does not have")
            raise self._refused(token, f"unexpected {said}")
        if word.upper() in WORDS:
            return token
        if follows is not None and follows.token_type == TokenType.DOT:
            raise self._refused(follows, f"unexpected {_INSTEAD[TokenType.DOT]}")
        if follows is not None and follows.token_type == TokenType.L_PAREN:
            return self._function(token)
        return self._column(token)

    def _function(self, token: Token) -> Token:
        name = token.text.upper()
        if name in FUNCTIONS:
            return Token(TokenType.VAR, name, token.line, token.col, token.start, token.end)
        instead = _INSTEAD_WORD.get(name)
        if instead is not None:
            raise self._refused(token, f"there is no function {name}: {instead}")
        near = nearest(name.lower(), [one.lower() for one in FUNCTIONS])
        known = f"; known: {', '.join(FUNCTIONS)}" if near is None else ""
        raise self._refused(
            token,
            f"there is no function '{token.text}'{known}",
            near=None if near is None else near.upper(),
        )

    def _column(self, token: Token) -> Token:
        if token.text not in self._columns:
            instead = _INSTEAD_WORD.get(token.text.upper())
            if instead is not None:
                raise self._refused(token, f"unexpected '{token.text}': {instead}")
            near = nearest(token.text, self._columns)
            raise self._refused(token, f"unknown column '{token.text[:64]}'", near=near)
        return Token(
            TokenType.IDENTIFIER, token.text, token.line, token.col, token.start, token.end
        )
