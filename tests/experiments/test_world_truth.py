"""The truth of a simulated world: what happened has the chances that it states."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.random import default_rng

from oferta.errors import SettingsInvalid, UnknownName
from oferta.progress import Silent
from oferta_experiments.world.build import WorldSpec, live, write_world
from oferta_experiments.world.luck import Luck
from oferta_experiments.world.products import CLOCKS, load_products
from oferta_experiments.world.times import first_day, later, month_of, months_of
from oferta_experiments.world.truth import Answer, Response, Terms, Truth

SPEC = WorldSpec(customers=2500, months=24, seed=11, end=date(2026, 11, 1))
END = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worlds") / "world"
    write_world(SPEC, out, replace=False, progress=Silent())
    return out


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    return Truth.open(folder)


@pytest.fixture(scope="module")
def past(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "campaigns" / "*.parquet")


def test_past_answers_have_their_stated_chances(past: pl.DataFrame) -> None:
    """In all, and in each band of chances: within four standard deviations of their sum."""
    place = pl.col("true_accept").rank("ordinal") * 8 // (pl.len() + 1)
    bands = past.with_columns(place.cast(pl.String).alias("band"))
    variance = (pl.col("true_accept") * (1 - pl.col("true_accept"))).sum()
    for frame in (bands.with_columns(pl.lit("all").alias("band")), bands):
        for band, said, happened, spread in (
            frame.group_by("band")
            .agg(pl.col("true_accept").sum(), pl.col("accepted").sum(), variance.alias("variance"))
            .iter_rows()
        ):
            assert abs(happened - said) <= 4 * spread**0.5 + 1, band


def test_past_choices_have_their_stated_chances(past: pl.DataFrame) -> None:
    """One over the chance of a choice adds up to how often it could be made."""
    assert past["probability"].is_between(0, 1, closed="right").all()
    # A car is possible for everybody, so each is as if it had been sent to all of them.
    cars = [one.id for one in load_products().specs if one.family == "car"]
    sums = (
        past.filter(pl.col("product_id").is_in(cars))
        .group_by("product_id")
        .agg((1 / pl.col("probability")).sum().alias("as_if"))
    )
    assert sums["as_if"].to_numpy() == pytest.approx(len(past), rel=0.3)


def test_drawn_answers_have_the_chances_of_the_response() -> None:
    response = Response(accept=0.3, approved=0.6, default=0.2, margin=900.0, loss=5_000.0)
    rng = default_rng(1)
    answers = [response.draw(rng) for _ in range(20_000)]
    assert np.mean([one.accepted for one in answers]) == pytest.approx(0.3, abs=0.015)
    assert np.mean([one.sold for one in answers]) == pytest.approx(0.18, abs=0.012)
    earned = [one.earned for one in answers]
    assert np.mean(earned) == pytest.approx(response.value, abs=4 * np.std(earned) / 20_000**0.5)
    assert set(earned) == {0.0, 900.0, -5_000.0}
    assert Answer(accepted=True, sold=False, defaulted=False, earned=0.0) in answers


def test_a_balloon_is_refinanced_at_its_moment(truth: Truth) -> None:
    state = truth.state
    due = (state.final > 0) & (state.final_due > truth_day() + 200) & (state.missed == 0)
    due &= ~truth.products.of_kind("lease")[state.product]
    who = np.flatnonzero(due)[:30]
    assert len(who) == 30
    for row in who:
        moment = datetime.fromtimestamp(int(state.final_due[row]) * 86_400, UTC)
        near, far = (
            truth.response(
                truth.customers[row], "balloon-refinance-loan", channel="app", at=moment - ahead
            ).accept
            for ahead in (timedelta(days=45), timedelta(days=150))
        )
        assert near > 20 * far > 0
        early = moment - timedelta(days=199)
        assert (
            truth.response(
                truth.customers[row], "balloon-refinance-loan", channel="app", at=early
            ).accept
            == 0
        )


def test_dearer_terms_are_liked_less_most_of_all_by_the_price_sensitive(truth: Truth) -> None:
    order = np.argsort(truth.people.price_sensitivity)
    falls = []
    for row in (order[5], order[-5]):
        customer = truth.customers[row]
        cheap, dear = (
            truth.response(
                customer, "new-car-loan", channel="web", at=END, terms=Terms(rate=rate)
            ).accept
            for rate in (4.0, 7.0)
        )
        assert dear < cheap
        falls.append(dear / cheap)
    assert falls[1] < falls[0]


def test_a_higher_premium_and_a_higher_excess_are_liked_less(truth: Truth) -> None:
    customer = _with_a_car(truth)
    asked = [
        truth.response(customer, "home-insurance", channel="web", at=END, terms=terms).accept
        for terms in (
            Terms(price=150, excess=300),
            Terms(price=300, excess=300),
            Terms(price=300, excess=1000),
        )
    ]
    assert asked[0] > asked[1] > asked[2] > 0


def test_many_contacts_tire(truth: Truth) -> None:
    accept = [
        truth.response(
            truth.customers[3], "home-insurance", channel="email", at=END, contacts=contacts
        ).accept
        for contacts in (0.0, 8.0, 20.0)
    ]
    assert accept[0] > accept[1] > accept[2]


def test_what_cannot_be_had_is_not_accepted(truth: Truth) -> None:
    products, state = truth.products, truth.state
    petrol = np.flatnonzero(state.has_car() & (products.fuel[state.car] == 1))[:5]
    for row in petrol:
        response = truth.response(
            truth.customers[row], "electric-car-insurance", channel="app", at=END
        )
        assert response.accept == 0
        assert "electric-car-insurance" in truth.unasked(truth.customers[row], at=END)
        assert truth.unasked(truth.customers[row], at=END)["electric-car-insurance"] == 0


def test_the_weak_are_approved_less_and_default_more(truth: Truth) -> None:
    tier = truth.people.tier
    found = {
        name: [
            truth.response(truth.customers[row], "used-car-loan", channel="app", at=END)
            for row in np.flatnonzero(tier == place)[:40]
        ]
        for name, place in (("A", 0), ("E", 4))
    }
    approved = {name: np.mean([one.approved for one in many]) for name, many in found.items()}
    default = {name: np.mean([one.default for one in many]) for name, many in found.items()}
    assert approved["A"] > 0.9
    assert approved["E"] < 0.5
    assert default["E"] > 4 * default["A"]


def test_a_product_without_credit_needs_no_approval_and_loses_nothing(truth: Truth) -> None:
    found = truth.response(_with_a_car(truth), "roadside-assistance", channel="app", at=END)
    assert (found.approved, found.default, found.loss) == (1.0, 0.0, 0.0)
    assert found.margin > 0


def test_some_customers_can_be_opened_alone(folder: Path, truth: Truth) -> None:
    chosen = [truth.customers[4], truth.customers[900]]
    few = Truth.open(folder, customers=chosen)
    assert few.customers == tuple(chosen)
    for customer in chosen:
        one, other = (
            which.response(customer, "gap-insurance", channel="sms", at=END)
            for which in (few, truth)
        )
        assert one == other
        assert few.preference(customer) == truth.preference(customer)


def test_names_that_there_are_not_are_told(truth: Truth, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="customer 'nobody'"):
        truth.response("nobody", "gap-insurance", channel="app", at=END)
    with pytest.raises(UnknownName, match="Did you mean 'gap-insurance'"):
        truth.response(truth.customers[0], "gap-insuranc", channel="app", at=END)
    with pytest.raises(UnknownName, match="channel 'fax'"):
        truth.response(truth.customers[0], "gap-insurance", channel="fax", at=END)
    with pytest.raises(UnknownName, match="customer 'nobody'"):
        Truth.open(folder, customers=["nobody"])
    with pytest.raises(SettingsInvalid, match="oferta world"):
        Truth.open(tmp_path)


def test_the_needs_told_are_those_of_the_end(folder: Path, truth: Truth) -> None:
    told = pl.read_parquet(folder / "truth" / "customers" / "*.parquet")
    found, _ = truth.on(END)
    place = CLOCKS.index("insurance_renewal")
    np.testing.assert_array_equal(told["need_insurance_renewal"].to_numpy(), found.boost[:, place])


def test_chances_belong_to_customer_month_and_name() -> None:
    """Whoever else draws, and however many."""
    luck = Luck((1, 2), customers=50, month=7)
    few, all_of_them = np.array([3, 9]), np.arange(50)
    assert luck.share("pays", few).tolist() == luck.share("pays", all_of_them)[few].tolist()
    assert luck.share("buys", few).tolist() != luck.share("pays", few).tolist()
    before = luck.share("pays", few).tolist()
    luck.month = 8
    assert luck.share("pays", few).tolist() != before


def test_choices_have_the_chances_of_their_softmax() -> None:
    luck = Luck((5,), customers=30_000, month=1)
    logit = np.log(np.array([0.6, 0.3, 0.1]))
    chosen = luck.best("car", np.arange(30_000), np.tile(logit, (30_000, 1)))
    shares = np.bincount(chosen, minlength=3) / 30_000
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.01)


def test_months_keep_the_day() -> None:
    january = (date(2024, 1, 28) - date(1970, 1, 1)).days
    assert later(np.array([january]), 1)[0] - january == 31
    assert later(np.array([january + 3]), 1)[0] == january + 31  # the 31st becomes the 28th
    assert months_of(first_day(np.array([660, 661]))).tolist() == [660, 661]
    assert month_of(date(1971, 2, 1)) == 13


def test_the_same_truth_whether_lived_or_opened(truth: Truth) -> None:
    lived = live(SPEC, 0, products=load_products(), advance=lambda _: None)
    assert lived.chunk.state.frame().equals(truth.state.frame())
    assert (lived.chunk.people.preference == truth.people.preference).all()


def truth_day() -> int:
    return int(END.timestamp() // 86_400)


def _with_a_car(truth: Truth) -> str:
    return truth.customers[int(np.flatnonzero(truth.state.has_car())[0])]
