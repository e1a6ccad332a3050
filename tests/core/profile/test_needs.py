"""Needs are typed, and each tells the figures that it rests on."""

import pytest
from core.profile.books import EVENTS, Books
from core.profile.test_contracts import HEADER as CONTRACTS
from core.profile.test_contracts import contract

from oferta.profile.needs import NO_PEERS
from oferta.profile.settings import Needs, ProfileSettings

SMALL = ProfileSettings(needs=Needs(gap_similar=4, gap_holders=0.5))


def needs(books: Books, customer: str = "c1", **options: object):
    profile = books.profile(customer, **{"settings": SMALL, **options})
    return profile["evidence"].get("needs", [])


class TestProductGaps:
    @pytest.fixture
    def five(self, books: Books) -> Books:
        """Five owners of petrol saloons without finance: three are insured with us, one has gap."""
        owners = range(1, 6)
        rows = "".join(f"c{n},p,view,2026-02-01,\n" for n in owners)
        cars = "".join(f"v{n},c{n},saloon,petrol\n" for n in owners)
        covers = [
            contract(
                contract_id=f"k{n}",
                customer_id=f"c{n}",
                product_id="comprehensive-insurance",
            )
            for n in (2, 3, 4)
        ]
        gap = contract(contract_id="g", customer_id="c5", product_id="gap-insurance")
        return books.write(
            events=EVENTS + rows,
            vehicles="vehicle_id,customer_id,body,fuel\n" + cars,
            contracts=CONTRACTS + "\n" + "".join(covers) + gap,
        )

    def test_is_what_most_similar_customers_hold_and_this_one_does_not(self, five: Books):
        (need,) = needs(five, "c5", peers=None)
        # Of the four owners with a contract three are insured; the prospect c1 is not like them.
        assert need == {
            "type": "product_gap",
            "what": "motor_insurance",
            "similar": 4,
            "holding": 0.75,
            "stage": "first_time",
            "body": "saloon",
            "fuel": "petrol",
        }
        assert needs(five, "c2", peers=None) == []
        assert needs(five, "c5", peers=NO_PEERS) == []
        assert needs(five, "c1", peers=None) == []

    def test_needs_enough_similar_customers_and_enough_holders(self, five: Books):
        more = ProfileSettings(needs=Needs(gap_similar=5, gap_holders=0.5))
        assert needs(five, "c5", peers=None, settings=more) == []
        surer = ProfileSettings(needs=Needs(gap_similar=4, gap_holders=0.76))
        assert needs(five, "c5", peers=None, settings=surer) == []
        enough = ProfileSettings(needs=Needs(gap_similar=4, gap_holders=0.75))
        assert len(needs(five, "c5", peers=None, settings=enough)) == 1

    def test_a_contract_that_ended_is_not_held(self, five: Books):
        cover = {"product_id": "comprehensive-insurance", "customer_id": "c5"}
        over = contract(contract_id="o", **cover, ends_at="2026-02-01")
        path = five.dataset().path.parent / "source" / "contracts.csv"
        path.write_text(path.read_text() + over)
        # Whoever has a past contract and none of finance now is replacing: nobody else is.
        assert needs(five, "c5", peers=None) == []

    def test_another_name_of_the_same_thing_is_no_gap(self, five: Books):
        path = five.dataset().path.parent / "source"
        (path / "products.csv").write_text(
            "product_id,family,role\ncomprehensive-insurance,insurance,\np,,\n"
            "gap-insurance,insurance,motor_insurance\n"
        )
        assert needs(five, "c5", peers=None) == []


class TestMoney:
    def test_instalments_that_take_much_of_the_income(self, books: Books):
        books.write(customers="customer_id,income,instalments\nc1,2000,701\n")
        assert needs(books) == [
            {
                "type": "financial",
                "what": "lower_instalment",
                "instalments": 701.0,
                "income": 2000.0,
                "share": 0.35,
            }
        ]
        books.write(customers="customer_id,income,instalments\nc1,2000,700\n")
        assert needs(books) == []
        books.write(customers="customer_id,income,instalments\nc1,0,700\n")
        assert needs(books) == []

    def test_a_rate_above_what_the_seller_declared(self, books: Books):
        books.write(contracts=CONTRACTS + "\n" + contract(rate=9.5))
        assert needs(books) == [
            {"type": "financial", "what": "better_rate", "rate": 9.5, "above": 8.0}
        ]
        books.write(contracts=CONTRACTS + "\n" + contract(rate=8))
        assert needs(books) == []


class TestConvenience:
    @pytest.mark.parametrize(
        ("channels", "what", "share"),
        [
            (["app", "web", "app", "web", "branch"], "digital", 0.8),
            (["branch", "dealer", "call_centre", "web", "email"], "adviser", 0.6),
        ],
    )
    def test_is_told_by_where_the_customer_came_from(
        self, books: Books, channels: list[str], what: str, share: float
    ):
        rows = "".join(f"c1,p,view,2026-02-01,{channel}\n" for channel in channels)
        books.write(events=EVENTS + rows)
        assert needs(books) == [
            {"type": "convenience", "what": what, "contacts": 5, "share": share}
        ]

    def test_what_was_shown_and_what_is_long_ago_was_not_sought(self, books: Books):
        rows = "c1,p,view,2026-02-01,app\n" * 4
        other = "c1,p,impression,2026-02-01,app\nc1,p,view,2025-02-01,app\n"
        books.write(events=EVENTS + rows + other)
        assert needs(books) == []
