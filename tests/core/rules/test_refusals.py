"""What is not part of the language is refused, with the place, the position and the remedy."""

import time

import pytest

from oferta.profile.facts import FACTS, FORMULAS
from oferta.rules.invalid import RuleInvalid
from oferta.rules.kinds import Kind
from oferta.rules.language import parse

COLUMNS: dict[str, Kind] = {
    **{name: fact.kind for name, fact in FACTS.items()},
    "context_city-name": "text",
    "date": "date",
}


def refusal(text: str) -> RuleInvalid:
    with pytest.raises(RuleInvalid) as caught:
        parse(text, COLUMNS, place="offer x, rule 1")
    return caught.value


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("incom > 3", 0, "unknown column 'incom'"),
        ("region > 5", 0, "text is compared with a number"),
        ("income = '5'", 0, "a number is compared with text"),
        ("income + region > 1", 0, "a number + text makes no sense"),
        ("has_vehicle AND income", 16, "this is a number, where true or false belongs"),
        ("contract_end < 60", 0, "contract_end - today"),
        ("contract_end < '2026-01-01'", 0, "DATE '2026-01-31'"),
        ("contract_end < DATE '2026-02-30'", 20, "'2026-02-30' is no day"),
        ("today - contract_end < today", 0, "a number is compared with a date"),
        ("income = NULL", 0, "write IS NULL"),
        ("income NOT IN (1, NULL)", 0, "NOT IN never true"),
        ("has_vehicle IS TRUE", 0, "a condition by itself"),
        ("has_vehicle > FALSE", 0, "no order"),
        ("income IN (spending)", 11, "no columns"),
        ("income > 1e999", 9, "beyond 1e+15"),
        ("income > 1000000000 * 1000000000", 9, "beyond 1e+15"),
        ("income / 0 > 1", 0, "division by zero"),
        ("NULLIF(1, 1) > income", 0, "always NULL"),
        ("income > 1 -- and more", 9, "a comment"),
        ("income > 1; DROP TABLE x", 10, "a semicolon"),
        ("SELECT 1", 0, "not a query"),
        ("income IN (SELECT 1)", 11, "not a query"),
        ("region ILIKE 'n%'", 7, "use LIKE"),
        ("region LIKE region", 0, "the pattern of LIKE is a text"),
        ("CAST(income AS text) = '1'", 0, "there is no function CAST"),
        ("income::text = '1'", 6, "'::', which the language does not have"),
        ("MAX(income, 1) > 1", 0, "write GREATEST"),
        ("coalesc(income, 0) > 1", 0, "there is no function 'coalesc'"),
        ("__import__('os') = 1", 0, "there is no function '__import__'"),
        ("ROUND(income, 1) > 1", 0, "not part of the language"),
        ("CASE region WHEN 'N' THEN TRUE END", 5, "write CASE WHEN"),
        ("CASE WHEN has_vehicle THEN 1 ELSE 'a' END > 0", 34, "where the first one is a number"),
        ("income > 60days", 11, "unknown column 'days'"),
        ("customer.income > 1", 8, "a dot"),
        ("income > 'abc", None, "a quote is opened"),
        ("income >", 7, "something is missing"),
        ("(income > 1", 10, "a ) is missing"),
        ("income > 1)", 10, "not expected"),
        ("", None, "the rule is empty"),
        ("income", None, "it gives a number, where true or false belongs"),
        ("NULL", None, "always NULL"),
        ("region = 'a\nb'", 9, "a sign that cannot be written"),
        ("\x1b[31mincome > 1", 0, "which the language does not have"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(text: str, position: int | None, problem: str):
    error = refusal(text)
    assert problem in str(error)
    assert str(error).startswith("offer x, rule 1: ")
    assert error.text == text
    if position is not None:
        assert error.position is not None
        assert abs(error.position - position) <= 1, error
        assert f"at character {error.position + 1}" in str(error)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("incom > 3", "income"),
        ("Income > 3", "income"),
        ("months_to_matrity < 3", "months_to_maturity"),
        ("COALESE(income, 1) > 3", "COALESCE"),
        ("xyzzy > 3", None),
    ],
)
def test_the_nearest_name_is_proposed(text: str, nearest: str | None):
    error = refusal(text)
    assert error.nearest == nearest
    assert (f"did you mean '{nearest}'?" in str(error)) == (nearest is not None)


@pytest.mark.parametrize(
    "text",
    ["income >", "(income > 1", "income > 1)", "CASE WHEN THEN 1 END > 1", "\x1b[31m > 1", "a b c"],
)
def test_a_message_is_one_plain_line(text: str):
    """The parser underlines with colour codes and names its classes; none of it gets through."""
    said = str(refusal(text))
    assert said.isprintable()
    assert "<class" not in said
    assert "[4m" not in said


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900 + "income" + ")" * 900 + " > 1",
        "NOT " * 400 + "has_vehicle",
        "- " * 400 + "income > 1",
        "CASE WHEN has_vehicle THEN " * 60 + "income",
        "income" + " + income" * 200 + " > 1",
        "income > " + "9" * 1900,
        "income > 1e" + "9" * 1900,
        "region = '" + "x" * 5000 + "'",
        "COALESCE(" * 200 + "income",
        "income > 1 AND " * 5000 + "income > 1",
        "income = (" * 150 + "income",
        "/*" * 900,
        '"' * 1999,
    ],
)
def test_what_would_be_slow_to_read_is_refused_at_once(text: str):
    started = time.process_time()
    refusal(text)
    assert time.process_time() - started < 0.2


def test_more_levels_than_polars_reads_well_are_refused():
    assert parse("(" * 12 + "income" + ")" * 12 + " > 1", COLUMNS).sql == "income > 1"
    assert "12 levels" in refusal("(" * 13 + "income" + ")" * 13 + " > 1").problem


def test_a_long_list_of_conditions_is_read():
    text = " AND ".join(f"income > {at}" for at in range(100))
    assert len(parse(text, COLUMNS).tree.args) == 100


def test_words_of_sql_are_columns_where_they_are_declared():
    columns: dict[str, Kind] = dict.fromkeys(
        ("values", "text", "interval", "current_date"), "number"
    )
    rule = parse("values + text + interval > current_date", columns)
    assert rule.columns == frozenset(columns)


def test_a_name_with_a_dash_is_quoted():
    rule = parse('"context_city-name" = \'Ulm\' AND "date" > today', COLUMNS)
    assert rule.columns == {"context_city-name", "date", "today"}
    assert refusal("context_city-name = 'Ulm'").nearest == "context_city-name"


def test_the_canonical_text_guards_divisions_and_shows_the_order():
    rule = parse("income>1 and not income/spending<0.5e0 or region in('a')", COLUMNS)
    assert rule.sql == (
        "income > 1 AND NOT (income / NULLIF(spending, 0) < 0.5) OR region IN ('a')"
    )


def test_every_formula_of_the_derived_facts_is_read():
    for name, formula in FORMULAS.items():
        assert parse(formula, COLUMNS, wanted=COLUMNS[name], place=name).kind == COLUMNS[name]
