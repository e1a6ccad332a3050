"""Contracts as of a day: which leads, what is owed, what falls due; every figure worked by hand."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from core.profile.books import EVENTS, Books

from oferta.profile.settings import ProfileSettings

HEADER = (
    "contract_id,customer_id,product_id,vehicle_id,starts_at,ends_at,amount,rate,term_months,"
    "instalment,repayment,final_amount,final_due,payoff,as_of,status,days_in_arrears"
)
COLUMNS = HEADER.split(",")


def contract(**cells: object) -> str:
    row = {
        "contract_id": "k1",
        "customer_id": "c1",
        "product_id": "new-car-loan",
        "starts_at": "2025-03-01",
        "ends_at": "2027-03-01",
        **cells,
    }
    return ",".join(str(row.get(name, "")) for name in COLUMNS) + "\n"


def told(books: Books, *rows: str, **options: object):
    return books.write(contracts=HEADER + "\n" + "".join(rows)).profile(**options)


def test_a_customer_without_contracts_is_known_to_have_none(books: Books):
    books.write(events="customer_id,product_id,event_type\nc2,gap-insurance,view\n")
    books.write(contracts=HEADER + "\n" + contract())
    profile = books.profile("c2")
    assert (profile["has_finance"], profile["in_arrears"]) == (False, False)
    assert (profile["contracts_active"], profile["days_in_arrears"]) == (0.0, 0.0)
    assert profile["payoff"] is None


def test_without_a_table_of_contracts_nothing_is_known_of_them(books: Books):
    profile = books.profile()
    assert profile["has_finance"] is None
    assert profile["in_arrears"] is None
    assert profile["contracts_active"] is None


def test_the_leading_contract_is_the_running_finance_with_most_still_owed(books: Books):
    """A loan for winter tyres that ends first does not hide the balloon of the car."""
    tyres = {"contract_id": "a", "ends_at": "2026-06-01", "as_of": "2026-02-01"}
    car = {"contract_id": "b", "ends_at": "2027-03-01", "as_of": "2026-02-01"}
    profile = told(
        books,
        contract(**tyres, product_id="accessories-loan", amount=900, payoff=200),
        contract(**car, amount=20_000, payoff=11_000, final_amount=8_000, repayment="balloon"),
    )
    assert (profile["contract_product"], profile["contract_kind"]) == ("new-car-loan", "balloon")
    assert (profile["balloon_amount"], profile["balloon_due"]) == (8_000, date(2027, 2, 28))


def test_of_contracts_without_amounts_the_one_that_ends_first_leads(books: Books):
    profile = told(
        books,
        contract(contract_id="later", ends_at="2028-01-01"),
        contract(
            contract_id="first",
            product_id="used-car-loan",
            starts_at="2024-05-01",
            ends_at="2026-11-01",
            term_months=30,
            rate=4.5,
            repayment="equal_instalment",
        ),
        contract(contract_id="cover", product_id="gap-insurance", ends_at="2026-04-01"),
        contract(contract_id="over", ends_at="2026-02-01"),
        contract(contract_id="settled", ends_at="2026-05-01", status="settled"),
        contract(contract_id="to come", starts_at="2026-03-02", ends_at="2026-05-01"),
    )
    assert profile["contract_product"] == "used-car-loan"
    assert profile["contract_kind"] == "equal_instalment"
    assert (profile["contract_start"], profile["contract_end"]) == (
        date(2024, 5, 1),
        date(2026, 10, 31),
    )
    assert (profile["contract_months"], profile["contract_rate"]) == (30.0, 4.5)
    assert profile["has_finance"] is True
    assert (profile["contracts_active"], profile["contracts_ended"]) == (3.0, 2.0)


def test_an_open_ended_contract_leads_only_where_no_other_does(books: Books):
    rows = (contract(contract_id="a", ends_at="", product_id="van-lease"), contract())
    assert told(books, *rows)["contract_product"] == "new-car-loan"
    profile = told(books, rows[0])
    assert (profile["contract_product"], profile["contract_end"]) == ("van-lease", None)


LOAN: dict[str, object] = {
    "amount": 12_000,
    "rate": 6,
    "term_months": 24,
    "repayment": "equal_instalment",
}


class TestPayoff:
    def test_the_amount_less_what_twelve_instalments_repaid(self, books: Books):
        # 531.85 a month at half a percent: after twelve, 6,179.46 are left.
        balance = 12_000.0
        for _ in range(12):
            balance = round(balance * 1.005 - 531.85, 10)
        assert balance == pytest.approx(6_179.46, abs=0.005)
        profile = told(books, contract(**LOAN, instalment=531.85))
        assert profile["payoff"] == pytest.approx(balance, abs=0.005)

    def test_an_unknown_instalment_is_the_annuity(self, books: Books):
        assert told(books, contract(**LOAN))["payoff"] == pytest.approx(6_179.5, abs=0.1)

    def test_an_instalment_counts_from_the_day_it_falls_due(self, books: Books):
        loan = contract(**LOAN, instalment=531.85, starts_at="2026-02-02")
        assert told(books, loan)["payoff"] == 12_000.0
        due = told(books, loan, as_of=datetime(2026, 3, 2, 1, tzinfo=UTC))["payoff"]
        assert due == pytest.approx(12_000 * 1.005 - 531.85)

    def test_a_balloon_stays_owed_to_the_end(self, books: Books):
        # 12,000 with 6,000 at the end: (12,000 - 6,000 / 1.005^24) x .005 / (1 - 1 / 1.005^24).
        loan = {**LOAN, "repayment": "balloon", "final_amount": 6_000}
        owed = told(books, contract(**loan))["payoff"]
        assert owed == pytest.approx(6_000 + 6_179.5 / 2, abs=0.1)

    def test_no_interest_is_a_straight_line(self, books: Books):
        assert told(books, contract(**{**LOAN, "rate": 0}))["payoff"] == 6_000.0

    def test_equal_principal_falls_by_the_same_share_each_month(self, books: Books):
        loan = contract(**{**LOAN, "repayment": "equal_principal"})
        assert told(books, loan)["payoff"] == 6_000.0

    def test_what_the_books_say_is_taken_and_brought_forward(self, books: Books):
        said = {**LOAN, "instalment": 531.85, "payoff": 7_000}
        assert told(books, contract(**said))["payoff"] == 7_000.0
        profile = told(books, contract(**said, as_of="2026-01-31"))
        assert profile["payoff"] == pytest.approx(7_000 * 1.005 - 531.85)
        (evidence,) = profile["evidence"]["contracts"]
        assert evidence["payoff_estimated"] is False

    def test_a_figure_of_a_later_day_is_not_known_yet(self, books: Books):
        later = {"payoff": 1, "as_of": "2026-02-01", "status": "settled", "days_in_arrears": 40}
        loan = contract(**LOAN, instalment=531.85, **later)
        profile = told(books, loan, as_of=datetime(2025, 4, 2, tzinfo=UTC))
        assert profile["payoff"] == pytest.approx(12_000 * 1.005 - 531.85)
        assert (profile["has_finance"], profile["in_arrears"]) == (True, False)

    def test_nothing_is_invented_for_a_lease(self, books: Books):
        lease = {"product_id": "van-lease", "repayment": "lease"}
        assert told(books, contract(**{**LOAN, **lease}))["payoff"] is None
        assert told(books, contract(**{**LOAN, **lease, "payoff": 900}))["payoff"] == 900.0

    def test_never_below_zero(self, books: Books):
        loan = {**LOAN, "instalment": 5_000}
        assert told(books, contract(**loan))["payoff"] == 0.0

    def test_unknown_where_the_amount_is(self, books: Books):
        assert told(books, contract(rate=6, term_months=24))["payoff"] is None


def test_the_balloon_is_due_when_it_says_else_at_the_end(books: Books):
    profile = told(books, contract(final_amount=6_000, final_due="2027-02-15"))
    assert (profile["balloon_amount"], profile["balloon_due"]) == (6_000.0, date(2027, 2, 15))
    profile = told(books, contract(final_amount=6_000))
    assert profile["balloon_due"] == date(2027, 2, 28)
    profile = told(books, contract(final_amount=0))
    assert (profile["balloon_amount"], profile["balloon_due"]) == (None, None)


class TestArrears:
    @pytest.mark.parametrize(
        ("cells", "late", "days"),
        [
            ({"days_in_arrears": 5}, False, 5.0),
            ({}, False, 0.0),
            ({"days_in_arrears": 6}, True, 6.0),
            ({"status": "arrears"}, True, None),
            ({"status": "arrears", "days_in_arrears": 2}, True, 2.0),
            ({"status": "arrears", "ends_at": "2026-02-01"}, True, None),
            ({"status": "settled", "days_in_arrears": 60}, False, 0.0),
        ],
    )
    def test_beyond_the_grace_days_or_by_the_books_word(
        self, books: Books, cells: dict[str, object], late: bool, days: float | None
    ):
        profile = told(books, contract(**cells))
        assert (profile["in_arrears"], profile["days_in_arrears"]) == (late, days)

    def test_the_grace_is_the_sellers_to_declare(self, books: Books):
        settings = ProfileSettings(grace_days=0)
        assert told(books, contract(days_in_arrears=1), settings=settings)["in_arrears"] is True

    def test_the_latest_of_several_counts(self, books: Books):
        rows = contract(days_in_arrears=9), contract(contract_id="k2", days_in_arrears=31)
        assert told(books, *rows)["days_in_arrears"] == 31.0


class TestRenewals:
    def test_insurance_renews_at_the_end_of_motor_cover(self, books: Books):
        cover = {"product_id": "comprehensive-insurance", "repayment": "insurance"}
        profile = told(
            books,
            contract(**cover, ends_at="2026-04-10"),
            contract(contract_id="gap", product_id="gap-insurance", ends_at="2026-03-10"),
            contract(contract_id="old", **cover, ends_at="2026-02-10"),
        )
        assert profile["insurance_renewal"] == date(2026, 4, 10)
        assert profile["has_finance"] is False

    @pytest.mark.parametrize(
        ("start", "renewal"),
        [
            ("2023-05-10", date(2026, 5, 10)),
            ("2023-02-10", date(2027, 2, 10)),
            ("2023-03-01", date(2026, 3, 1)),
            ("2024-02-29", date(2027, 2, 28)),
        ],
    )
    def test_open_ended_cover_renews_every_year(self, books: Books, start: str, renewal: date):
        cover = contract(product_id="comprehensive-insurance", starts_at=start, ends_at="")
        assert told(books, cover)["insurance_renewal"] == renewal

    def test_a_warranty_or_plan_of_another_car_is_not_this_ones(self, books: Books):
        books.write(
            vehicles="vehicle_id,customer_id,registered_at\nv1,c1,2022-01-01\nv2,c1,2021-01-01\n"
        )
        profile = told(
            books,
            contract(vehicle_id="v1"),
            contract(
                contract_id="w1",
                product_id="extended-warranty",
                vehicle_id="v1",
                ends_at="2027-01-01",
            ),
            contract(
                contract_id="w2",
                product_id="extended-warranty",
                vehicle_id="v2",
                ends_at="2029-01-01",
            ),
            contract(contract_id="m", product_id="maintenance-plan", ends_at="2026-06-01"),
        )
        assert profile["warranty_end"] == date(2026, 12, 31)
        assert profile["service_plan_end"] == date(2026, 5, 31)

    def test_the_role_of_a_product_may_be_stated(self, books: Books):
        books.write(products="product_id,family,role\nnew-car-loan,loan,\nxyz,,motor_insurance\n")
        profile = told(books, contract(product_id="xyz", ends_at="2026-04-10"))
        assert profile["insurance_renewal"] == date(2026, 4, 10)


def test_books_closed_in_the_night_after_the_last_event_are_known(books: Books):
    late = contract(status="arrears", as_of="2026-02-28")
    evening = datetime(2026, 2, 27, 23, 55, tzinfo=UTC)
    assert told(books, late, as_of=evening)["in_arrears"] is True
    assert told(books, late, as_of=evening.replace(day=26))["in_arrears"] is False


def test_a_state_without_a_date_is_that_of_where_the_data_ends(books: Books):
    books.write(events=EVENTS + "c1,p,view,2026-02-20,\n")
    row = contract(status="ended", ends_at="2026-06-01", payoff=5)
    assert told(books, row, as_of=datetime(2026, 2, 20, tzinfo=UTC))["has_finance"] is False
    earlier = told(books, row, as_of=datetime(2026, 2, 1, tzinfo=UTC))
    assert (earlier["has_finance"], earlier["payoff"]) == (True, None)


def test_our_own_instalments_stand_where_nobody_knows_all(books: Books):
    rows = (
        contract(instalment=300),
        contract(contract_id="k2", instalment=200.5),
        contract(contract_id="k3", product_id="gap-insurance", instalment=20),
        contract(contract_id="k4", instalment=999, status="ended"),
    )
    assert told(books, *rows)["instalments"] == 500.5
    books.write(
        attributes="customer_id,name,value,source,observed_at\n"
        "c1,instalments,800,bureau,2026-01-01\n"
    )
    assert books.profile()["instalments"] == 800.0


def test_a_customer_is_one_since_the_first_contract_or_conversion(books: Books):
    assert books.profile()["customer_since"] is None
    assert told(books, contract())["customer_since"] == date(2025, 3, 1)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Shanghai"])
def test_a_day_of_the_books_is_that_day_in_every_zone(books: Books, zone: str):
    profile = told(books, contract(), zone=ZoneInfo(zone))
    assert profile["contract_start"] == date(2025, 3, 1)
    assert profile["contract_end"] == date(2027, 2, 28)


def test_an_instant_of_the_books_is_its_local_day(books: Books):
    row = contract(starts_at="2025-03-01 02:00:00", ends_at="2027-03-01 02:00:00")
    profile = told(books, row, zone=ZoneInfo("America/Los_Angeles"))
    assert profile["contract_start"] == date(2025, 2, 28)
    assert profile["contract_end"] == date(2027, 2, 28)


def test_the_evidence_lists_contracts_the_running_ones_first(books: Books):
    profile = told(
        books,
        contract(contract_id="old", ends_at="2026-01-01"),
        contract(contract_id="b", starts_at="2025-01-01", instalment=300),
        contract(contract_id="a", starts_at="2025-06-01"),
    )
    told_of = profile["evidence"]["contracts"]
    assert [one["contract_id"] for one in told_of] == ["a", "b", "old"]
    assert told_of[1] == {
        "contract_id": "b",
        "product_id": "new-car-loan",
        "family": "loan",
        "active": True,
        "start": "2025-01-01",
        "end": "2027-02-28",
        "instalment": 300.0,
    }
