"""What customers did and wished: counts, days, the last wish, intent with its evidence."""

from datetime import UTC, date, datetime
from math import exp
from zoneinfo import ZoneInfo

import pytest
from core.profile.books import AS_OF, EVENTS, Books

from oferta.profile.settings import Intent, ProfileSettings

WISHES = (
    "customer_id,product_id,event_type,timestamp,wished_amount,wished_months,wished_deposit,"
    "wished_instalment,wished_model\n"
)


def told(books: Books, *rows: str, header: str = EVENTS, **options: object):
    return books.write(events=header + "".join(f"{row}\n" for row in rows)).profile(**options)


def test_counts_are_of_the_last_thirty_days_and_up_to_the_moment(books: Books):
    profile = told(
        books,
        "c1,p,quote,2026-01-30 12:00:00,web",
        "c1,p,quote,2026-01-30 12:00:01,web",
        "c1,p,quote,2026-03-01 12:00:00,web",
        "c1,p,calculator,2026-02-20,web",
        "c1,p,quote,2026-02-20,",
        "c1,p,view,2026-02-25,",
        "c1,p,purchase,2020-01-01,",
        "c1,p,funded,2026-01-01,",
        as_of=AS_OF,
    )
    assert (profile["quotes_30d"], profile["calculator_30d"]) == (3.0, 1.0)
    assert profile["purchases"] == 2.0
    assert profile["last_active"] == date(2026, 3, 1)
    earlier = books.profile(as_of=datetime(2026, 2, 20, 1, tzinfo=UTC))
    assert (earlier["quotes_30d"], earlier["last_active"]) == (3.0, date(2026, 2, 20))
    assert books.profile(as_of=datetime(2025, 6, 1, tzinfo=UTC))["purchases"] == 1.0


def test_a_day_is_counted_in_the_policys_zone(books: Books):
    row = "c1,p,view,2026-02-25 23:30:00,"
    assert told(books, row)["last_active"] == date(2026, 2, 25)
    assert books.profile(zone=ZoneInfo("Asia/Shanghai"))["last_active"] == date(2026, 2, 26)


def test_events_without_a_time_are_conversions_and_nothing_else(books: Books):
    profile = told(books, "c1,p,purchase,,", "c1,p,quote,,")
    assert (profile["purchases"], profile["quotes_30d"]) == (1.0, 0.0)
    assert (profile["last_active"], profile["intent"]) == (None, 0.0)


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        (("c1,p,calculator,2026-01-10,",), date(2026, 1, 10)),
        (("c1,p,calculator,2026-01-10,", "c1,q,apply,2026-01-11,"), None),
        (("c1,p,calculator,2026-01-10,", "c1,q,purchase,2026-01-11,"), None),
        (("c1,p,calculator,2026-01-10,", "c1,q,apply,2026-01-09,"), date(2026, 1, 10)),
        (("c1,p,calculator,2026-01-10,", "c1,q,apply,2026-03-02,"), date(2026, 1, 10)),
        (("c1,p,view,2026-01-10,",), None),
    ],
)
def test_a_calculation_is_open_until_something_is_applied_for(
    books: Books, rows: tuple[str, ...], last: date | None
):
    assert told(books, *rows)["calculator_last"] == last


def test_a_sellers_own_name_of_a_type_means_what_it_was_declared_to(books: Books):
    books.declare('[event_types]\nKalkulator = "calculator"\nAngebot = "quote"\n')
    profile = told(books, "c1,p,Kalkulator,2026-02-10,", "c1,p,Angebot,2026-02-11,")
    assert (profile["calculator_30d"], profile["quotes_30d"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("row", "digital"),
    [
        ("c1,p,view,2026-02-01,app", True),
        ("c1,p,view,2025-12-01 12:00:01,web", True),
        ("c1,p,view,2025-12-01 12:00:00,web", False),
        ("c1,p,view,2026-02-01,branch", False),
        ("c1,p,view,2026-02-01,", None),
    ],
)
def test_digital_is_who_used_the_app_or_the_web_of_late(
    books: Books, row: str, digital: bool | None
):
    assert told(books, row)["digital"] is digital


class TestWish:
    def test_the_latest_wish_of_each_kind_within_a_month_of_the_last(self, books: Books):
        profile = told(
            books,
            "c1,p,calculator,2026-01-01,1,1,1,1,Old",
            "c1,p,calculator,2026-02-01,20000,48,,,Terra",
            "c1,p,calculator,2026-02-10,15000,,3000,,",
            "c1,p,search,2026-02-10 01:00:00,,,,,",
            header=WISHES,
        )
        wished = {name: profile[f"wished_{name}"] for name in ("amount", "months", "deposit")}
        assert wished == {"amount": 15_000.0, "months": 48.0, "deposit": 3_000.0}
        assert profile["wished_instalment"] is None
        assert profile["wished_at"] == date(2026, 2, 10)
        assert profile["evidence"]["wish"] == {
            "at": "2026-02-10",
            "amount": 15_000.0,
            "months": 48.0,
            "deposit": 3_000.0,
            "model": "Terra",
        }

    def test_a_wish_of_later_or_below_zero_is_none(self, books: Books):
        rows = "c1,p,calculator,2026-04-01,9,,,,", "c1,p,calculator,2026-02-01,-5,,,,"
        books.declare('[events.attributes.wished_amount]\ntype = "number"\n')
        profile = told(books, rows[1], header=WISHES)
        assert (profile["wished_amount"], profile["wished_at"]) == (None, None)

    def test_a_column_that_stayed_text_gives_the_numbers_it_has(self, books: Books):
        rows = "c1,p,calculator,2026-02-01,9000,,,,", "c1,p,calculator,2026-02-02,lots,,,,"
        assert told(books, *rows, header=WISHES)["wished_amount"] == 9_000.0

    def test_events_without_wishes_have_none(self, books: Books):
        assert books.profile()["wished_amount"] is None


class TestIntent:
    def test_is_what_shows_interest_decayed_by_half_each_thirty_days(self, books: Books):
        profile = told(
            books,
            "c1,new-car-loan,calculator,2026-03-01 12:00:00,",
            "c1,used-car-loan,quote,2026-01-30 12:00:00,",
            "c1,gap-insurance,quote,2025-12-31 12:00:00,",
            "c1,new-car-loan,impression,2026-03-01,",
        )
        # .3 today and half of .5 a half-life ago, all of loans.
        assert profile["intent"] == round(1 - exp(-0.55), 6)
        assert profile["intent_family"] == "loan"
        told_of = profile["evidence"]["intent"]
        assert told_of == {
            "value": 0.423,
            "family": "loan",
            "events": [
                {
                    "type": "calculator",
                    "count": 1,
                    "last": "2026-03-01",
                    "product": "new-car-loan",
                    "weight": 0.3,
                },
                {
                    "type": "quote",
                    "count": 1,
                    "last": "2026-01-30",
                    "product": "used-car-loan",
                    "weight": 0.25,
                },
            ],
        }

    def test_what_was_bought_is_no_longer_wished(self, books: Books):
        rows = (
            "c1,new-car-loan,quote,2026-02-01,",
            "c1,gap-insurance,view,2026-02-01,",
            "c1,used-car-loan,purchase,2026-02-02,",
        )
        assert told(books, *rows)["intent_family"] == "insurance"
        again = told(books, *rows, "c1,new-car-loan,quote,2026-02-03,")
        assert again["intent_family"] == "loan"
        assert again["evidence"]["intent"]["events"][0]["count"] == 1

    def test_what_is_older_than_the_window_or_later_than_the_moment_is_nothing(self, books: Books):
        rows = "c1,new-car-loan,quote,2025-09-01,", "c1,new-car-loan,quote,2026-03-01 13:00:00,"
        profile = told(books, *rows)
        assert (profile["intent"], profile["intent_family"]) == (0.0, None)
        assert "intent" not in profile["evidence"]

    def test_a_product_without_a_family_has_intent_without_one(self, books: Books):
        books.write(products="product_id\np\n")
        profile = told(books, "c1,p,quote,2026-03-01,")
        assert profile["intent"] > 0
        assert profile["intent_family"] is None

    def test_the_half_life_is_the_sellers_to_declare(self, books: Books):
        settings = ProfileSettings(intent=Intent(half_life_days=60))
        row = "c1,new-car-loan,quote,2025-12-31 12:00:00,"
        assert told(books, row, settings=settings)["intent"] == round(1 - exp(-0.25), 6)
