"""One text, two evaluators: what Polars says of a whole base, the program says of one customer."""

import itertools
import math
import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oferta.rules.frames import rule_columns, to_polars
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import Kind, Value
from oferta.rules.language import Expression, conjuncts, parse
from oferta.rules.program import Program

COLUMNS: dict[str, Kind] = {
    "n": "number",
    "m": "number",
    "t": "text",
    "u": "text",
    "b": "boolean",
    "c": "boolean",
    "d": "date",
    "e": "date",
    "with-dash": "number",
    "case": "boolean",
}

NUMBERS = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 0.1, 30.4375, 1e6, -7.25, 1e15]
) | st.floats(-1e6, 1e6, allow_nan=False, width=32)
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "a%b", "_", "%", "it's", 'a"b', "ä", "中文", "😀", "a.b", "(", "x+"]
) | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=3)
DAYS = st.integers(-3000, 30000).map(float)

VALUES: dict[Kind, st.SearchStrategy[Value]] = {
    "number": NUMBERS,
    "text": TEXTS,
    "boolean": st.booleans(),
    "date": DAYS,
}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def spelt(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() else f"{abs(number):.8f}"


LITERAL: dict[Kind, st.SearchStrategy[str]] = {
    "number": NUMBERS.map(spelt),
    "text": TEXTS.map(quoted),
    "boolean": st.sampled_from(["TRUE", "FALSE"]),
    "date": st.dates().map(lambda day: f"DATE '{day.isoformat()}'"),
}
PATTERN = st.lists(st.sampled_from(["%", "_", "a", "A", "ä", "文", ".", "(", "'"]), max_size=4)
ANY = ["x", "x", "(x)", "COALESCE(x, x)", "COALESCE(x, x, x)", "NULLIF(x, x)"]
ANY += ["CASE WHEN b THEN x ELSE x END", "CASE WHEN b THEN NULL WHEN b THEN x END"]
ORDERED = ["LEAST(x, x)", "GREATEST(x, x)", "LEAST(x, x, x)", "GREATEST(x, NULL, x)"]
FORMS: dict[Kind, list[str]] = {
    "text": ANY,
    "date": [*ANY, *ORDERED, "(x + n)", "(x - n)", "(n + x)"],
    "number": [
        *ANY,
        *ORDERED,
        *("x + x", "x - x", "x * x", "x / x", "(x + x)", "(x - x)", "(x * x)", "(x / x)"),
        *(
            "x - x + x",
            "x / x * x",
            "(- x)",
            "(d - d)",
            "ABS(x)",
            "ROUND(x)",
            "FLOOR(x)",
            "CEIL(x)",
        ),
    ],
    "boolean": [
        *ANY,
        *("(x AND x)", "(x OR x)", "x AND x OR x", "(x AND x AND x)", "NOT x", "NOT (x)"),
        *("(x) = (x)", "(x) <> (x)", "(x) IS NULL", "(x) IS NOT NULL"),
        *("n = n", "n <> n", "n < n", "n <= n", "n > n", "n >= n", "n != n"),
        *("t = t", "t <> t", "t < t", "t <= t", "t > t", "t >= t"),
        *("d = d", "d <> d", "d < d", "d <= d", "d > d", "d >= d"),
        *("n IS NULL", "t IS NOT NULL", "d IS NULL"),
        *("n IN (N, N)", "n NOT IN (N)", "t IN (T, T, T)", "t NOT IN (T)", "d IN (D, D)"),
        *("n BETWEEN n AND n", "n NOT BETWEEN n AND n", "t BETWEEN t AND t", "d BETWEEN d AND d"),
        *("t LIKE L", "t NOT LIKE L"),
    ],
}
OF: dict[str, Kind] = {"n": "number", "t": "text", "d": "date", "b": "boolean"}


@st.composite
def expressions(draw: st.DrawFn, kind: Kind, depth: int) -> str:
    """SQL of one kind: a form whose letters stand for expressions (x: of the same kind)."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        named = [f'"{name}"' for name, one in COLUMNS.items() if one == kind]
        return draw(LITERAL[kind]) if draw(st.integers(0, 2)) == 0 else draw(st.sampled_from(named))
    form = draw(st.sampled_from(FORMS[kind]))

    def filled(found: re.Match[str]) -> str:
        letter = found[0]
        if letter == "L":
            return quoted("".join(draw(PATTERN)))
        if letter.isupper():
            return draw(LITERAL[OF[letter.lower()]])
        of = kind if letter == "x" else OF[letter]
        inner = draw(expressions(of, depth - 1))
        return f"({inner})" if letter in {"n", "t", "d"} else inner

    return re.sub(r"\b[xntdbNTDL]\b", filled, form)


ROWS = st.lists(
    st.fixed_dictionaries(
        {name: st.none() | VALUES[kind] for name, kind in COLUMNS.items()},
    ),
    min_size=1,
    max_size=4,
)


def understood(text: str, kind: Kind) -> Expression | None:
    """None where constants alone divide by zero or grow too large, which is refused."""
    try:
        return parse(text, COLUMNS, wanted=kind)
    except RuleInvalid as error:
        if "always NULL" not in error.problem and "a number beyond" not in error.problem:
            raise
        return None


def same(one: Value, other: Value) -> bool:
    """Equal, with the null of both at the same place; both have a value or neither has."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), ROWS)
def test_a_program_says_what_polars_says(data: st.DataObject, rows: list[dict[str, Value]]):
    kinds: list[Kind] = ["boolean", "boolean", "number", "text", "date"]
    texts = [(kind, data.draw(expressions(kind, 3), label=kind)) for kind in kinds]
    understood_all = [understood(text, kind) for kind, text in texts]
    rules = [rule for rule in understood_all if rule is not None]
    frame = rule_columns(pl.DataFrame(rows, schema=SCHEMA), COLUMNS)
    said = frame.with_columns(to_polars(rule).alias(f"r{at}") for at, rule in enumerate(rules))
    expected = said.select(f"r{at}" for at in range(len(rules))).collect().rows()
    program = Program(rules)
    for row, values in zip(rows, expected, strict=True):
        for rule, one, other in zip(rules, program(row), values, strict=True):
            assert same(one, other), f"{rule.text} on {row}: {one!r}, Polars says {other!r}"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions("boolean", 3), ROWS)
def test_the_canonical_text_means_the_same_and_is_its_own(text: str, rows: list[dict[str, Value]]):
    rule = understood(text, "boolean")
    if rule is None:
        return
    again = parse(rule.sql, COLUMNS)
    assert again.sql == rule.sql
    terms = conjuncts(rule)
    program = Program([rule, again, *terms])
    for row in rows:
        whole, other, *parts = program(row)
        assert whole == other
        assert (whole is True) == all(part is True for part in parts)


SCHEMA = pl.Schema(
    {
        name: {"number": pl.Float64, "date": pl.Float64, "text": pl.String, "boolean": pl.Boolean}[
            kind
        ]
        for name, kind in COLUMNS.items()
    }
)


def test_a_quotient_does_not_hang_on_how_the_frame_is_cut():
    rule = parse("n / 595", COLUMNS, wanted="number")
    said = set()
    for rows in (1, 2, 5, 1000):
        frame = rule_columns(pl.DataFrame({"n": [2.5] * rows}), {"n": "number"})
        said |= set(frame.with_columns(q=to_polars(rule)).collect()["q"])
    assert said == {Program([rule])({"n": 2.5})[0]}


AS_WRITTEN = [
    "n > 1 AND b OR NOT c",
    "NOT n > 1",
    "NOT b AND c",
    "n + m * n - m > 1",
    "n - m - n < 0",
    "-n + m > 0",
    "n BETWEEN 0 AND m",
    "n NOT BETWEEN 0 AND m",
    "t LIKE 'a%'",
    "t NOT LIKE 'a%'",
    "t LIKE '_'",
    "t IN ('a', 'it''s', '')",
    "t NOT IN ('a')",
    "n NOT IN (1, 2)",
    "n IS NULL OR t IS NOT NULL",
    "NOT n IS NULL",
    "t >= 'a' AND t <> 'b'",
    "b = c",
    "b <> (n > 1)",
    "COALESCE(n, m, 5) >= 3",
    "LEAST(n, m) < 1",
    "GREATEST(n, m, 2) > 2",
    "ABS(n) = 1 OR ROUND(m) = 2 OR FLOOR(m) = -3 OR CEIL(m) = 3",
    "CASE WHEN b THEN n WHEN c THEN m ELSE 0 END > 1",
    "CASE WHEN b THEN n END IS NULL",
    "NULLIF(n, m) IS NULL",
    "n / m > 1",
    "1 / n < m / 2",
    "d - 3 > e",
]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_rule_means_what_its_text_means_to_polars(text: str):
    """The text itself, unread by us: whatever the parser made of it, it made it right."""
    values: dict[Kind, list[Value]] = {
        "number": [None, 1.0, -2.5, 3.0],
        "text": [None, "a", "it's", ""],
        "boolean": [None, True, False, True],
        "date": [None, 10.0, 13.0, 14.0],
    }
    names = ["n", "m", "t", "b", "c", "d", "e"]
    pairs = list(itertools.product(range(4), range(4)))
    frame = pl.DataFrame(
        {name: [values[COLUMNS[name]][pair[name in "mce"]] for pair in pairs] for name in names},
        schema={name: SCHEMA[name] for name in names},
    )
    said = frame.select(pl.sql_expr(text)).to_series().to_list()
    program = Program([parse(text, COLUMNS)])
    assert [program(row)[0] for row in frame.to_dicts()] == said
