"""Loans fitted to wish and means, and the counter-offer where the wish fails."""

from decimal import Decimal
from pathlib import Path

import pytest
from core.terms.cards import CARD, DAY, asked, cards, credit, means, quoted, wanted
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.catalogue.ranges import CreditTerms, PriceTerms
from oferta.terms.card import RateCards
from oferta.terms.quote import CardInputs, Quote, Terms, Unfit
from oferta.terms.wanted import Means, Wanted


def changed(terms: Quote | Terms) -> list[tuple[str, str | None, str | None]]:
    return [
        (
            change.what,
            None if change.wished is None else str(change.wished),
            None if change.offered is None else str(change.offered),
        )
        for change in terms.changes
    ]


def refused(found: Quote | Unfit) -> tuple[str, dict[str, str]]:
    assert isinstance(found, Unfit), found
    return found.code, dict(found.facts)


def test_where_nothing_is_wished_the_offer_starts_as_it_states(card: RateCards):
    terms = quoted(card, credit("deposit = { start = 0.2, max = 0.5 }"))
    # The car is bought for amount and deposit: a fifth of both together is the deposit.
    assert (terms.amount, terms.deposit, terms.months) == (Decimal(10_000), Decimal(2500), 36)
    assert str(terms.rate) == "6.00"  # 5.4 + 0.6 for the amount; a loan to value of 0.8 adds none
    assert terms.changes == ()
    assert terms.card == card.cards[0].version


def test_what_can_be_is_as_wished(card: RateCards):
    wish = wanted(amount=12_000, deposit=3000, months=48, instalment=400)
    terms = quoted(card, credit(), wish=wish)
    assert (terms.amount, terms.deposit, terms.months) == (Decimal(12_000), Decimal(3000), 48)
    assert terms.changes == ()


def test_terms_to_the_cent_with_fees_and_annual_rate(card: RateCards):
    terms = quoted(card, credit(), wish=wanted(amount=10_000, deposit=2500, months=24))
    # 10000 * 0.0045 / (1 - 1.0045^-24) = 440.5075, and 2.00 a month for the account
    assert str(terms.rate) == "5.40"
    assert str(terms.instalment) == "442.51"
    assert [(fee.name, str(fee.amount), fee.paid) for fee in terms.fees] == [
        ("arrangement", "100.00", "start"),
        ("account", "2.00", "monthly"),
    ]
    # After 23 instalments 438.49 are owed: the last one is 440.46 and the fee.
    assert terms.total_payable == 2500 + 100 + 23 * Decimal("442.51") + Decimal("442.46")
    assert terms.total_cost == terms.total_payable - 12_500
    # By halving, of 10000 against 100 now, 23 times 442.51 and once 442.46.
    assert str(terms.annual_rate) == "7.05"


def test_a_budget_first_makes_the_term_longer_by_as_little_as_is_needed(card: RateCards):
    wish = wanted(amount=10_000, deposit=0, months=24, instalment=300)
    terms = quoted(card, credit(), wish=wish)
    assert changed(terms) == [("months", "24", "48")]
    shorter = [months for months in credit().months if 24 <= months < terms.months]
    for months in shorter:
        least = quoted(card, credit(), wish=wanted(amount=10_000, deposit=0, months=months))
        assert least.instalment > 300
    assert terms.instalment <= 300


def test_then_the_deposit_grows_and_amount_and_deposit_stay_together(card: RateCards):
    wish = wanted(amount=10_000, deposit=1000, months=48, instalment=150)
    terms = quoted(card, credit(), wish=wish)
    assert [what for what, _, _ in changed(terms)] == ["months", "deposit", "amount"]
    assert terms.amount + terms.deposit == 11_000
    assert terms.instalment <= 150
    one_more = wanted(amount=terms.amount + 1, deposit=terms.deposit - 1, months=terms.months)
    assert quoted(card, credit(), wish=one_more).instalment > 150


def test_then_the_amount_falls_below_what_was_to_be_paid(card: RateCards):
    wish = wanted(amount=10_000, deposit=0, months=72, instalment=60)
    terms = quoted(card, credit(), wish=wish)
    assert terms.deposit == 5000  # the most that a counter-offer asks for: half of the price
    assert terms.amount + terms.deposit < 10_000
    assert terms.instalment <= 60
    assert changed(terms)[-1] == ("amount", "10000", str(terms.amount))


def test_a_budget_below_the_least_is_refused_with_figures(card: RateCards):
    found = asked(card, credit(), wish=wanted(amount=10_000, instalment=20))
    code, facts = refused(found)
    assert code == "budget.exceeded"
    assert facts["limit"] == "20.00"
    assert Decimal(facts["least_instalment"]) > 20


def test_affordability_is_a_hard_rule(card: RateCards):
    can = means(income=Decimal(2000), spending=Decimal(1000), instalments=Decimal(200))
    # 0.4 * (2000 - 1000) - 200 = 200
    terms = quoted(card, credit(), wish=wanted(amount=10_000, months=36), can=can)
    assert terms.instalment <= 200
    poor = means(income=Decimal(1500), spending=Decimal(1000), instalments=Decimal(190))
    code, facts = refused(asked(card, credit(), wish=wanted(amount=10_000), can=poor))
    assert (code, facts["limit"]) == ("affordability.exceeded", "10.00")
    none_left = means(income=Decimal(1000), spending=Decimal(1400))
    assert refused(asked(card, credit(), can=none_left))[0] == "affordability.exceeded"


def test_an_instalment_that_ends_leaves_room(card: RateCards):
    can = {"income": Decimal(2000), "spending": Decimal(1000), "instalments": Decimal(390)}
    assert refused(asked(card, credit(), can=means(**can)))[0] == "affordability.exceeded"
    freed = quoted(card, credit(), can=means(**can, replaced=Decimal(300)))
    assert freed.instalment <= 310


def test_an_unknown_income_is_refused_or_let_pass_as_the_policy_says(card: RateCards):
    assert refused(asked(card, credit(), can=means(unknown_income="refuse"))) == (
        "affordability.unknown",
        {},
    )
    assert quoted(card, credit(), can=means(unknown_income="allow")).amount == 10_000


def test_a_guarantor_comes_last_and_only_from_the_stated_share(card: RateCards):
    ranges = credit("guarantor_from = 0.8\namount = { min = 8000, max = 9000, start = '9000' }")
    wish = wanted(amount=9000, deposit=0, months=72)
    alone = quoted(card, credit("deposit = { max = 0.0 }"), wish=wanted(amount=8000, months=72))
    # Nine tenths of the least instalment there can be.
    income = (alone.instalment * Decimal("0.9") / Decimal("0.4")).quantize(Decimal("0.01"))
    terms = quoted(card, ranges, wish=wish, can=means(income=income))
    assert terms.guarantor
    assert changed(terms)[-1] == ("guarantor", None, None)
    weak = means(income=income * Decimal("0.8"))
    assert refused(asked(card, ranges, wish=wish, can=weak))[0] == "affordability.exceeded"
    assert not quoted(card, ranges, wish=wish, can=means(income=Decimal(5000))).guarantor


def test_a_guarantor_does_not_help_a_budget(card: RateCards):
    ranges = credit("guarantor_from = 0.1")
    found = asked(card, ranges, wish=wanted(amount=10_000, instalment=20))
    assert refused(found)[0] == "budget.exceeded"


def test_loan_to_value_is_a_hard_rule_met_by_deposit_then_amount(card: RateCards):
    ranges = credit("max_loan_to_value = 0.9\ndeposit = { max = 0.3 }")
    can = means(car_value=Decimal(10_000))
    terms = quoted(card, ranges, wish=wanted(amount=10_000, deposit=0), can=can)
    assert (terms.amount, terms.deposit) == (Decimal(9000), Decimal(1000))
    assert changed(terms) == [("deposit", "0", "1000.00"), ("amount", "10000", "9000.00")]
    terms = quoted(card, ranges, wish=wanted(amount=14_000, deposit=0), can=can)
    assert (terms.amount, terms.deposit) == (Decimal(9000), Decimal(3000))
    tiny = means(car_value=Decimal(1000))
    assert refused(asked(card, ranges, can=tiny))[0] == "ltv.exceeded"
    assert refused(asked(card, ranges, can=means(car_value=Decimal(0))))[0] == "ltv.exceeded"


def test_a_car_that_is_bought_is_worth_amount_and_deposit(card: RateCards):
    terms = quoted(card, credit("max_loan_to_value = 0.75"), wish=wanted(amount=10_000, deposit=0))
    assert (terms.amount, terms.deposit) == (Decimal(7500), Decimal(2500))


def test_a_loan_to_value_a_hair_above_a_band_is_above_it(card: RateCards):
    can = means(car_value=Decimal(30_000))
    rates = [
        str(quoted(card, credit(), wish=wanted(amount=amount), can=can).rate)
        for amount in (24_000, 24_001)
    ]
    assert rates == ["5.40", "6.00"]


def test_required_cover_is_the_last_resort_and_its_premium_a_fee(card: RateCards):
    text = """
max_loan_to_value = 0.9
amount = { min = 9500, max = 12_000, start = "10000" }
deposit = { max = 0.0 }
"""
    can = means(car_value=Decimal(10_000))
    assert refused(asked(card, credit(text), can=can))[0] == "ltv.exceeded"
    covered = credit(text + 'cover = { product = "cover", max_loan_to_value = 1.0 }')
    terms = quoted(card, covered, can=can)
    assert terms.cover == "cover"
    assert changed(terms) == [("cover", None, None)]
    # 4 % of 10000 a year, by the month
    assert [(fee.name, str(fee.amount)) for fee in terms.fees][-1] == ("cover", "33.33")
    without = quoted(card, credit("deposit = { max = 0.0 }"), can=can)
    assert terms.instalment == without.instalment + Decimal("33.33")
    assert terms.annual_rate is not None
    assert without.annual_rate is not None
    assert terms.annual_rate > without.annual_rate + 3
    # The premium counts: a budget just below the sum of both makes the term longer.
    budget = int(terms.instalment)
    assert without.instalment < budget
    wish = wanted(amount=10_000, deposit=0, months=36, instalment=budget)
    assert quoted(card, covered, wish=wish, can=can).months == 48
    plain = credit(text + 'cover = { product = "loan", max_loan_to_value = 1.0 }')
    assert refused(asked(card, plain, can=can))[0] == "ltv.exceeded"


def test_a_balloon_grows_within_its_range_before_the_term_does(card: RateCards):
    ranges = credit(kind="balloon")
    can = means(car_value=Decimal(12_000))
    start = quoted(card, ranges, product="balloon", can=can)
    assert start.final_payment == Decimal(3600)  # 0.3 of the car's value
    budget = int(start.instalment) - 40
    wish = wanted(amount=10_000, months=36, instalment=budget)
    terms = quoted(card, ranges, product="balloon", wish=wish, can=can)
    assert terms.months == 36
    assert terms.changes == ()
    assert 3600 < terms.final_payment <= 6000
    assert budget - 1 < terms.instalment <= budget


def test_a_balloon_is_never_above_what_is_lent(card: RateCards):
    ranges = credit("amount = { min = 1000, max = 40000, start = '9' }", kind="balloon")
    can = means(car_value=Decimal(12_000))
    terms = quoted(card, ranges, product="balloon", wish=wanted(amount=3000), can=can)
    assert terms.final_payment == terms.amount == 3000
    # Below the least final payment, a fifth of the value, it is no balloon loan any more.
    found = asked(card, ranges, product="balloon", wish=wanted(amount=2000), can=can)
    assert refused(found)[0] == "amount.range"


def test_of_equal_principal_the_first_instalment_counts(card: RateCards):
    ranges = credit(kind="equal_principal")
    terms = quoted(card, ranges, product="principal", wish=wanted(amount=9000, months=36))
    # 250 and a month's interest at 6.6 % on 9000, and 2 for the account
    assert str(terms.instalment) == "301.50"
    fitted = quoted(
        card, ranges, product="principal", wish=wanted(amount=9000, months=36, instalment=300)
    )
    assert fitted.months == 48


def test_a_deposit_below_the_offers_own_is_raised_and_one_above_is_welcome(card: RateCards):
    ranges = credit("deposit = { min = 0.2, start = 0.2, max = 0.3 }")
    terms = quoted(card, ranges, wish=wanted(amount=10_000, deposit=0))
    assert (terms.amount, terms.deposit) == (Decimal(8000), Decimal(2000))
    assert changed(terms) == [("deposit", "0", "2000.00"), ("amount", "10000", "8000.00")]
    more = quoted(card, ranges, wish=wanted(amount=10_000, deposit=20_000))
    assert more.deposit == 20_000
    assert more.changes == ()


def test_a_term_that_is_not_sold_becomes_the_nearest_the_longer_of_two(card: RateCards):
    terms = quoted(card, credit(), wish=wanted(amount=10_000, months=30))
    assert changed(terms) == [("months", "30", "36")]
    assert quoted(card, credit(), wish=wanted(amount=10_000, months=29)).months == 24
    # Tier C has no rate above 48 months.
    capped = quoted(card, credit(), wish=wanted(amount=10_000, months=72), can=means(tier="C"))
    assert changed(capped) == [("months", "72", "48")]


def test_an_amount_above_the_range_is_cut_by_deposit_and_one_below_refused(card: RateCards):
    ranges = credit("amount = { min = 2000, max = 9000, start = '9' }\ndeposit = { max = 0.05 }")
    terms = quoted(card, ranges, wish=wanted(amount=10_000, deposit=0))
    assert (terms.amount, terms.deposit) == (Decimal(9000), Decimal(500))
    assert refused(asked(card, ranges, wish=wanted(amount=1999))) == (
        "amount.range",
        {"amount": "1999.00", "least": "2000.00"},
    )


@pytest.mark.parametrize(
    ("product", "wish", "can", "code"),
    [
        ("loan", wanted(), means(), "amount.unknown"),
        ("nothing", wanted(amount=10_000), means(), "card.none"),
        ("loan", wanted(amount=10_000), means(tier="E"), "card.none"),
        ("loan", wanted(amount=10_000), means(tier=None), "card.none"),
        ("cover", wanted(amount=10_000), means(), "kind.unsupported"),
        ("lease", wanted(amount=10_000), means(), "kind.unsupported"),
    ],
)
def test_what_can_not_be_quoted_has_a_code(
    card: RateCards, product: str, wish: Wanted, can: Means, code: str
):
    assert refused(asked(card, credit(), product=product, wish=wish, can=can))[0] == code


def test_a_kind_that_the_table_does_not_price_is_unsupported(card: RateCards):
    assert refused(asked(card, PriceTerms(kind="price")))[0] == "kind.unsupported"


def test_a_new_card_changes_the_very_next_answer(tmp_path: Path):
    old = cards(tmp_path / "old")
    new = cards(tmp_path / "new", one=CARD.replace("5.4, 6.0]", "5.0, 6.0]"))
    assert [str(quoted(one, credit()).rate) for one in (old, new, old)] == ["6.60", "6.20", "6.60"]


WISHES = st.builds(
    lambda **values: Wanted(
        **{name: None if v is None else Decimal(v) for name, v in values.items()}  # type: ignore[arg-type]
    ),
    amount=st.integers(1000, 45_000),
    deposit=st.none() | st.integers(0, 20_000),
    instalment=st.none() | st.integers(30, 1200),
)
MEANS = st.builds(
    means,
    tier=st.sampled_from(["A", "B", "C"]),
    income=st.none() | st.integers(500, 6000).map(Decimal),
    spending=st.integers(0, 2000).map(Decimal),
    instalments=st.none() | st.integers(0, 400).map(Decimal),
    car_value=st.none() | st.integers(2000, 50_000).map(Decimal),
    condition=st.sampled_from(["new", "used", None]),
)
RANGES = st.sampled_from(
    [
        credit(),
        credit("max_loan_to_value = 0.85\ndeposit = { min = 0.1, start = 0.15, max = 0.4 }"),
        credit("guarantor_from = 0.7"),
        credit("deposit = { max = 0.0 }\nmonths = [24, 60]\nstart_months = 24"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(RANGES, WISHES, MEANS, st.sampled_from([None, 6, 24, 40, 72]))
def test_no_quote_breaks_a_range_a_limit_or_the_card(
    card: RateCards, ranges: CreditTerms, wish: Wanted, can: Means, months: int | None
):
    wish = Wanted(
        amount=wish.amount, deposit=wish.deposit, instalment=wish.instalment, months=months
    )
    found = asked(card, ranges, wish=wish, can=can)
    if isinstance(found, Unfit):
        return
    price = can.car_value or found.amount + found.deposit
    assert ranges.amount.min <= found.amount <= ranges.amount.max
    assert found.amount <= Decimal(repr(ranges.max_loan_to_value)) * price
    assert found.deposit >= Decimal(repr(ranges.deposit.min)) * price
    assert found.months in ranges.months
    assert wish.instalment is None or found.instalment <= wish.instalment
    affordable = can.affordable
    if affordable is not None:
        helped = (
            affordable / Decimal(repr(ranges.guarantor_from)) if found.guarantor else affordable
        )
        assert found.instalment <= helped
    listed = card.price(
        CardInputs(
            product="loan",
            tier=can.tier,
            amount=found.amount,
            months=found.months,
            on=DAY,
            loan_to_value=found.amount / price,
            condition=can.condition,
        )
    )
    assert listed is not None
    assert (listed.rate, listed.fees, listed.version) == (found.rate, found.fees, found.card)
    asked_for = {change.what for change in found.changes}
    assert ("amount" in asked_for) == (found.amount != wish.amount)
    assert ("months" in asked_for) == (months is not None and found.months != months)


@settings(max_examples=200, deadline=None)
@given(RANGES, WISHES, MEANS, st.integers(1, 400))
def test_more_money_never_gives_a_smaller_amount(
    card: RateCards, ranges: CreditTerms, wish: Wanted, can: Means, more: int
):
    """A bigger budget, then a bigger income too: never less lent, never a refusal instead."""
    richer = Wanted(
        amount=wish.amount,
        deposit=wish.deposit,
        instalment=None if wish.instalment is None else wish.instalment + more,
    )
    before = asked(card, ranges, wish=wish, can=can)
    if isinstance(before, Unfit):
        return
    for after in (
        asked(card, ranges, wish=richer, can=can),
        asked(
            card,
            ranges,
            wish=richer,
            can=Means(
                tier=can.tier,
                income=None if can.income is None else can.income + more,
                spending=can.spending,
                instalments=can.instalments,
                unknown_income="allow",
                car_value=can.car_value,
                condition=can.condition,
            ),
        ),
    ):
        assert isinstance(after, Quote)
        assert after.guarantor <= before.guarantor
        if after.guarantor == before.guarantor:
            assert after.amount >= before.amount


def oracle(
    card: RateCards, ranges: CreditTerms, *, lent: int, months: int, limit: int, value: int | None
) -> tuple[int, int, int] | None:
    """Amount, deposit and term of the smallest change, by trying every whole unit of money."""
    most_deposit = int(Decimal(repr(ranges.deposit.max)) * (value or lent))
    terms = [term for term in ranges.months if term >= months]

    def fits(amount: int, deposit: int, term: int) -> bool:
        if not ranges.amount.min <= amount <= ranges.amount.max:
            return False
        ratio = Decimal(amount) / (value or amount + deposit)
        price = card.price(
            CardInputs(
                "loan", "A", Decimal(amount), term, DAY, loan_to_value=ratio, condition="new"
            )
        )
        if price is None or ratio > Decimal(repr(ranges.max_loan_to_value)):
            return False
        month = price.rate / 1200
        due = amount * month / (1 - (1 + month) ** -term)
        fees = sum(fee.amount for fee in price.fees if fee.paid == "monthly")
        return due.quantize(Decimal("0.01"), "ROUND_HALF_UP") + fees <= limit

    ways = [(lent - down, down) for down in range(most_deposit + 1)]
    ways += [(amount, most_deposit) for amount in range(lent - most_deposit, 0, -1)]
    for amount, deposit in ways:
        for term in terms:
            if fits(amount, deposit, term):
                return amount, deposit, term
    return None


@pytest.mark.parametrize("limit", [216, 222, 226, 232, 240])
@pytest.mark.parametrize("cheaper", ["with the amount", "with the loan to value"])
def test_of_the_amounts_within_a_budget_the_largest_is_found_across_bands(
    tmp_path: Path, cheaper: str, limit: int
):
    """A larger amount may cost less a month: 5000 at a lower rate than 4999."""
    text, value = CARD.replace("[1.2, 0.6, 0.0]", "[9.2, 0.6, 0.0]"), 12_500
    if cheaper == "with the loan to value":
        text = CARD.replace("[1.2, 0.6, 0.0]", "[0, 0, 0]").replace(
            "loan_to_value_points = [0.0, 0.6", "loan_to_value_points = [9.0, 0.0"
        )
        value = 6250
    known = cards(tmp_path / "cards", one=text)
    ranges = credit(
        "amount = { min = 4000, max = 6000, start = '5' }\ndeposit = { max = 0.2 }\n"
        "months = [24]\nstart_months = 24"
    )
    found = asked(
        known,
        ranges,
        wish=wanted(amount=5600, deposit=0, months=24, instalment=limit),
        can=means(car_value=Decimal(value)),
    )
    assert isinstance(found, Quote)
    best = oracle(known, ranges, lent=5600, months=24, limit=limit, value=value)
    assert (int(found.amount), int(found.deposit), found.months) == best


@settings(max_examples=25, deadline=None)
@given(
    st.integers(4500, 5600),
    st.sampled_from([24, 48]),
    st.integers(70, 260),
    st.none() | st.integers(4000, 7000),
)
def test_the_counter_offer_is_the_smallest_change_there_is(
    card: RateCards, lent: int, months: int, limit: int, value: int | None
):
    """Against an exhaustive search, over the edges of bands at 5000 and at 80 % of the value."""
    ranges = credit(
        "amount = { min = 4000, max = 6000, start = '5' }\ndeposit = { max = 0.2 }\n"
        "max_loan_to_value = 0.95\nmonths = [24, 48, 60]\nstart_months = 48"
    )
    found = asked(
        card,
        ranges,
        wish=wanted(amount=lent, deposit=0, months=months, instalment=limit),
        can=means(car_value=None if value is None else Decimal(value)),
    )
    expected = oracle(card, ranges, lent=lent, months=months, limit=limit, value=value)
    if expected is None:
        assert isinstance(found, Unfit)
        return
    assert isinstance(found, Quote)
    assert (int(found.amount), int(found.deposit), found.months) == expected


def test_an_offer_on_the_customers_own_car_needs_its_value(card: RateCards):
    own = credit('car_value = "market_value"\nmax_loan_to_value = 0.8')
    wish = wanted(amount=8000)
    found = asked(card, own, wish=wish, can=means(car_value=None))
    assert isinstance(found, Unfit)
    assert found.code == "car_value.unknown"
    known = asked(card, own, wish=wish, can=means(car_value=Decimal(10_000)))
    assert not isinstance(known, Unfit)
