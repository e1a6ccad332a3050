"""Vehicles as of a day: which leads, how far it has gone, what it is worth."""

from datetime import date

import polars as pl
import pytest
from core.profile.books import AS_OF, EVENTS, Books
from core.profile.test_contracts import HEADER, contract

from oferta.profile.depreciation import left_of_price
from oferta.profile.settings import Depreciation, ProfileSettings, Vehicles

COLUMNS = (
    "vehicle_id",
    "customer_id",
    "make",
    "body",
    "fuel",
    "condition",
    "use",
    "registered_at",
    "price",
    "mileage_km",
    "mileage_at",
    "mileage_plan_km_year",
    "market_value",
    "valued_at",
)


def vehicle(**cells: object) -> str:
    row = {"vehicle_id": "v1", "customer_id": "c1", "registered_at": "2023-03-01", **cells}
    return ",".join(str(row.get(name, "")) for name in COLUMNS) + "\n"


def told(books: Books, *rows: str, **options: object):
    return books.write(vehicles=",".join(COLUMNS) + "\n" + "".join(rows)).profile(**options)


def left(age: float, km: float | None, body: str | None = None, fuel: str | None = None) -> float:
    frame = pl.DataFrame(
        {"age": [age], "km": [km], "body": [body], "fuel": [fuel]},
        schema={"age": pl.Float64, "km": pl.Float64, "body": pl.String, "fuel": pl.String},
    )
    share = left_of_price(
        pl.col("age"),
        pl.col("km"),
        body=pl.col("body"),
        fuel=pl.col("fuel"),
        curve=Depreciation(),
    )
    return float(frame.select(share).item())


class TestTheCurve:
    @pytest.mark.parametrize(
        ("age", "km", "body", "fuel", "share"),
        [
            (0, None, "saloon", "petrol", 1.0),
            (1, None, "saloon", "petrol", 0.8),
            (5, None, "saloon", "petrol", 0.544),
            (3, 45_000, "saloon", "petrol", 0.8 * (0.544 / 0.8) ** 0.5),
            (5, None, "suv", "petrol", 0.511),
            (5, None, "suv", "hybrid", 0.593),
            (5, None, "suv", "electric", 0.412),
            (5, None, None, None, 0.544),
            # 20,000 km above the usual 75,000: six percent less; below: six percent more.
            (5, 95_000, "suv", "petrol", 0.511 * 0.94),
            (5, 55_000, "suv", "petrol", 0.511 * 1.06),
            (5, 500_000, "suv", "petrol", 0.511 * 0.75),
            (-1, None, None, None, 1.0),
            (0, 0, None, None, 1.0),
            (60, None, None, None, 0.05),
        ],
    )
    def test_worked_by_hand(
        self, age: float, km: float | None, body: str | None, fuel: str | None, share: float
    ):
        assert left(age, km, body, fuel) == pytest.approx(share)

    def test_never_rises_with_age(self):
        for body, fuel in (("saloon", "petrol"), ("pickup", "diesel"), ("luxury", "electric")):
            shares = [left(age / 4, None, body, fuel) for age in range(80)]
            assert shares == sorted(shares, reverse=True)


class TestMileage:
    def test_a_reading_goes_on_at_its_own_pace(self, books: Books):
        # Two years made 30,000 km; a year later it is 45,000.
        profile = told(books, vehicle(mileage_km=30_000, mileage_at="2025-03-01"))
        assert profile["mileage_km"] == pytest.approx(45_000, rel=0.002)

    def test_a_reading_of_a_new_car_goes_on_as_planned_or_as_its_use(self, books: Books):
        new = {"registered_at": "2026-01-01", "mileage_km": 50, "mileage_at": "2026-01-02"}
        days = 58.5
        planned = told(books, vehicle(**new, mileage_plan_km_year=20_000))["mileage_km"]
        assert planned == pytest.approx(50 + 20_000 * days / 365.25, abs=1)
        used = told(books, vehicle(**new, use="ride_hailing"))["mileage_km"]
        assert used == pytest.approx(50 + 45_000 * days / 365.25, abs=1)

    def test_a_reading_without_a_day_is_todays_and_a_later_one_is_not_known(self, books: Books):
        assert told(books, vehicle(mileage_km=30_000))["mileage_km"] == 30_000
        row = vehicle(mileage_km=30_000, mileage_at="2026-02-01")
        earlier = told(books, row, as_of=AS_OF.replace(month=1))
        assert earlier["mileage_km"] is None

    def test_the_plan_allows_so_much_by_today_for_a_car_bought_new(self, books: Books):
        plan = {"mileage_plan_km_year": 10_000}
        allowed = told(books, vehicle(**plan, condition="new"))["mileage_plan_km"]
        assert allowed == pytest.approx(30_000, rel=0.001)
        assert told(books, vehicle(**plan, condition="used"))["mileage_plan_km"] is None


NEW: dict[str, object] = {
    "condition": "new",
    "price": 30_000,
    "body": "saloon",
    "fuel": "petrol",
}


class TestWorth:
    def test_a_new_car_by_the_curve(self, books: Books):
        profile = told(books, vehicle(**NEW))
        expected = 30_000 * 0.8 * (0.544 / 0.8) ** 0.5
        assert profile["market_value"] == pytest.approx(expected, rel=0.001)
        assert profile["market_value_estimated"] is True

    def test_a_used_car_by_the_curve_from_the_age_when_it_was_bought(self, books: Books):
        # Bought two years after its first registration, by the first contract of it.
        books.write(contracts=HEADER + "\n" + contract(vehicle_id="v1"))
        used = {**NEW, "condition": "used", "price": 18_000}
        profile = told(books, vehicle(**used))
        expected = 18_000 * (0.544 / 0.8) ** (1 / 4)
        assert profile["market_value"] == pytest.approx(expected, rel=0.001)

    def test_a_used_car_bought_nobody_knows_when_has_no_estimate(self, books: Books):
        profile = told(books, vehicle(**{**NEW, "condition": "used"}))
        assert profile["market_value"] is None
        assert profile["market_value_estimated"] is None

    def test_a_valuation_outweighs_the_curve_and_goes_on_along_it(self, books: Books):
        valued = {"market_value": 25_000, "valued_at": "2025-09-01"}
        profile = told(books, vehicle(**NEW, **valued))
        half_a_year = (0.544 / 0.8) ** (0.5 / 4)
        assert profile["market_value"] == pytest.approx(25_000 * half_a_year, rel=0.001)
        assert profile["market_value_estimated"] is False

    @pytest.mark.parametrize("day", ["2025-02-01", "2026-03-01 11:59:00"])
    def test_a_valuation_counts_for_a_year(self, books: Books, day: str):
        profile = told(books, vehicle(market_value=25_000, valued_at=day))
        assert (profile["market_value"] is None) == (day < "2025-03-01")

    def test_one_without_a_day_is_of_where_the_data_ends(self, books: Books):
        books.write(events=EVENTS + "c1,p,view,2026-02-20,\n")
        row = vehicle(market_value=25_000, mileage_km=9_000)
        assert told(books, row)["market_value"] == 25_000.0
        earlier = told(books, row, as_of=AS_OF.replace(month=1))
        assert (earlier["market_value"], earlier["mileage_km"]) == (None, None)

    def test_a_later_valuation_is_not_known_yet(self, books: Books):
        row = vehicle(market_value=25_000, valued_at="2026-02-01")
        assert told(books, row, as_of=AS_OF.replace(month=1))["market_value"] is None

    def test_a_seller_replaces_the_curve(self, books: Books):
        curve = Depreciation(after_one_year=0.9, after_five_years={}, otherwise=0.9)
        settings = ProfileSettings(vehicles=Vehicles(depreciation=curve))
        profile = told(books, vehicle(**NEW), settings=settings)
        assert profile["market_value"] == pytest.approx(27_000)


class TestTheLeadingVehicle:
    def test_is_the_leading_contracts(self, books: Books):
        books.write(contracts=HEADER + "\n" + contract(vehicle_id="v1"))
        rows = vehicle(make="Old"), vehicle(vehicle_id="v2", make="New", registered_at="2025-01-01")
        profile = told(books, *rows)
        assert profile["vehicle_make"] == "Old"
        assert profile["vehicle_registered"] == date(2023, 3, 1)

    def test_else_the_newest(self, books: Books):
        rows = (
            vehicle(make="Old"),
            vehicle(vehicle_id="v2", make="New", registered_at="2025-01-01"),
            vehicle(vehicle_id="v3", make="Unknown", registered_at=""),
            vehicle(vehicle_id="v4", make="To come", registered_at="2026-06-01"),
        )
        assert told(books, *rows)["vehicle_make"] == "New"
        listed = books.profile()["evidence"]["vehicles"]
        assert [one["make"] for one in listed] == ["New", "Old", "Unknown"]

    def test_there_may_be_none(self, books: Books):
        assert books.profile()["has_vehicle"] is False


class TestTheFactoryWarranty:
    def test_lasts_two_years_unless_the_seller_says_otherwise(self, books: Books):
        assert told(books, vehicle())["warranty_end"] == date(2025, 2, 28)
        longer = ProfileSettings(vehicles=Vehicles(factory_warranty_months=84))
        assert books.profile(settings=longer)["warranty_end"] == date(2030, 2, 28)
        none = ProfileSettings(vehicles=Vehicles(factory_warranty_months=0))
        assert books.profile(settings=none)["warranty_end"] is None
