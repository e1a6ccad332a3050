"""Of several sources the newest trustworthy one is believed, and the evidence says which."""

from datetime import date

import pytest
from core.profile.books import AS_OF, Books

from oferta.profile.settings import ProfileSettings, Trust

HEADER = "customer_id,name,value,source,observed_at\n"


def believed(books: Books, rows: str, name: str = "income", **options: object):
    return books.write(attributes=HEADER + rows).profile(**options)[name]


def test_the_newest_of_one_source_is_believed(books: Books):
    rows = "c1,income,3000,crm,2025-06-01\nc1,income,2500,crm,2025-05-01\n"
    assert believed(books, rows) == 3000.0


def test_a_trusted_source_outweighs_a_newer_one_of_less_trust(books: Books):
    rows = "c1,income,3000,bureau,2025-06-01\nc1,income,9000,survey,2026-02-01\n"
    assert believed(books, rows) == 3000.0


def test_a_stale_trusted_source_loses_against_a_fresh_one(books: Books):
    # A bureau is stale after a year: on 1 March 2026 that is before 1 March 2025, noon.
    fresh = "c1,income,3000,bureau,2025-03-02\nc1,income,9000,survey,2026-02-01\n"
    assert believed(books, fresh) == 3000.0
    stale = "c1,income,3000,bureau,2025-02-28\nc1,income,9000,survey,2026-02-01\n"
    assert believed(books, stale) == 9000.0


def test_of_stale_sources_the_newest_is_believed(books: Books):
    rows = "c1,income,3000,bureau,2020-01-01\nc1,income,9000,survey,2021-01-01\n"
    assert believed(books, rows) == 9000.0


def test_trust_is_the_sellers_to_declare(books: Books):
    rows = "c1,income,3000,bureau,2026-01-01\nc1,income,9000,survey,2026-01-01\n"
    settings = ProfileSettings(trust=Trust(order=("survey", "bureau")))
    assert believed(books, rows, settings=settings) == 9000.0


def test_a_source_nobody_named_is_trusted_least(books: Books):
    rows = "c1,income,3000,survey,2025-06-01\nc1,income,9000,rumour,2026-02-01\n"
    assert believed(books, rows) == 3000.0


def test_what_was_observed_later_is_not_known_yet(books: Books):
    rows = "c1,income,3000,crm,2025-06-01\nc1,income,9000,crm,2026-02-01\n"
    assert believed(books, rows, as_of=AS_OF.replace(year=2025, month=7)) == 3000.0


def test_a_value_that_cannot_be_read_is_as_if_it_had_not_been_said(books: Books):
    rows = "c1,income,3000,survey,2025-06-01\nc1,income,plenty,crm,2026-02-01\n"
    assert believed(books, rows) == 3000.0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_words_of_one_instant_are_settled_whatever_their_order(
    books: Books, order: tuple[int, int]
):
    rows = ("c1,income,3000,rumour,2026-01-01\n", "c1,income,9000,gossip,2026-01-01\n")
    assert believed(books, "".join(rows[one] for one in order)) == 3000.0


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("vulnerable", "Yes", True),
        ("vulnerable", "0", False),
        ("vulnerable", "perhaps", None),
        ("customer_since", "2019-05-01", date(2019, 5, 1)),
        ("risk_tier", " B ", "B"),
        ("income", "inf", None),
    ],
)
def test_values_are_read_as_their_fact_wants(books: Books, name: str, cell: str, value: object):
    assert believed(books, f"c1,{name},{cell},crm,2026-01-01\n", name) == value


def test_the_customers_table_is_a_source_among_others(books: Books):
    books.write(customers="customer_id,income,region\nc1,1000,North\n")
    assert books.profile()["region"] == "North"
    survey = "c1,income,9000,survey,2026-02-01\n"
    assert believed(books, survey) == 1000.0
    assert believed(books, survey + "c1,income,3000,crm,2025-02-01\n") == 3000.0


def test_the_sellers_own_attributes_are_kept_under_their_name(books: Books):
    rows = "c1,score,7,crm,2026-01-01\nc1,hobby,sailing,survey,2026-01-01\n"
    profile = books.write(attributes=HEADER + rows).profile(
        attributes={"score": "number", "hobby": "text", "absent": "boolean"}
    )
    assert (profile["attr_score"], profile["attr_hobby"]) == (7.0, "sailing")
    assert profile["attr_absent"] is None


def test_an_attribute_may_be_called_as_a_fact_is_and_is_not_taken_for_it(books: Books):
    rows = "c1,intent,high,crm,2026-01-01\nc1,income,3000,crm,2026-01-01\n"
    profile = books.write(attributes=HEADER + rows).profile(
        attributes={"intent": "text", "income": "number"}
    )
    assert (profile["intent"], profile["attr_intent"]) == (0.0, "high")
    assert profile["income"] == profile["attr_income"] == 3000.0


def test_the_evidence_says_who_said_it_and_when(books: Books):
    books.write(
        customers='customer_id,region\nc1,"North ""Side"""\n',
        attributes=HEADER + "c1,income,3000,crm,2025-06-01 08:30:00\nc1,digital,yes,,2025-06-01\n",
    )
    assert books.profile()["evidence"]["attributes"] == {
        "income": {"value": 3000.0, "source": "crm", "observed_at": "2025-06-01T08:30:00Z"},
        "region": {"value": 'North "Side"', "source": "customers"},
    }
