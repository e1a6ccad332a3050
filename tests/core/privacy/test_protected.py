"""The guard: no protected attribute enters without a reason, and every refusal says what to do."""

import os
from pathlib import Path

import polars as pl
import pytest

from oferta.errors import ProtectedAttribute, SettingsInvalid, UnknownName
from oferta.privacy.credit import sells_credit
from oferta.privacy.protected import find, require_allowed

FRAME = pl.DataFrame(
    {
        "customer_id": ["a", "b", "c"],
        "cust_gender": ["x1", "x2", "x1"],
        "region": ["north", "south", "north"],
        "MGODRK": [0, 3, 1],
        "x7": ["married", "divorced", "single"],
    }
)
WHY = "a public benchmark, nothing is lent"


def test_a_refusal_names_column_attribute_evidence_and_remedy() -> None:
    with pytest.raises(ProtectedAttribute) as refused:
        require_allowed(FRAME, ["cust_gender", "region", "x7"], {})
    said = str(refused.value)
    assert "cust_gender: sex (its name says 'gender')" in said
    assert "x7: marital status (its values are" in said
    assert "region" not in said
    assert "allow_protected = { cust_gender =" in said
    assert "--allow-protected 'cust_gender=REASON'" in said
    assert [column for column, _, _ in refused.value.found] == ["cust_gender", "x7"]


def test_one_reason_does_not_let_another_column_through() -> None:
    with pytest.raises(ProtectedAttribute, match="x7"):
        require_allowed(FRAME, ["cust_gender", "x7"], {"cust_gender": WHY})


def test_what_is_allowed_comes_back_with_its_reason() -> None:
    (found,) = require_allowed(FRAME, ["cust_gender", "region"], {"cust_gender": f" {WHY} "})
    assert (found.column, found.attribute, found.reason) == ("cust_gender", "sex", WHY)


def test_what_nobody_can_see_counts_as_protected_once_it_is_listed() -> None:
    """MGODRK is the share of Catholics in the area, coded 0 to 9."""
    assert require_allowed(FRAME, ["MGODRK"], {}) == ()
    (found,) = require_allowed(FRAME, ["MGODRK"], {"MGODRK": WHY})
    assert (found.column, found.attribute) == ("MGODRK", "declared")


def test_what_is_allowed_and_not_used_is_no_finding() -> None:
    assert require_allowed(FRAME, ["region"], {"cust_gender": WHY}) == ()


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_blank_reason_is_none(reason: str) -> None:
    with pytest.raises(SettingsInvalid, match="cust_gender: say why"):
        require_allowed(FRAME, ["cust_gender"], {"cust_gender": reason})


def test_unknown_columns_are_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'region'"):
        find(FRAME, ["regoin"])
    with pytest.raises(UnknownName, match="Did you mean 'cust_gender'"):
        require_allowed(FRAME, ["region"], {"cust_gendr": WHY})


@pytest.mark.parametrize(
    ("families", "stated", "credit"),
    [
        (["vehicle_loan", "insurance"], None, True),
        (["vehicle_loan", "insurance"], False, True),
        (["Operating lease"], False, True),
        (["Refinancing"], False, True),
        (["车辆贷款", "保险"], False, True),
        (["insurance", "service"], None, False),
        (["insurance", None], None, True),
        (["insurance", ""], None, True),
        (["insurance", None], False, False),
        (["Greeting cards", "Balloons"], None, False),
        ([], None, True),
        ([], False, False),
    ],
)
def test_what_is_not_known_to_be_no_credit_is_credit(
    families: list[str | None], stated: bool | None, credit: bool
) -> None:
    products = pl.DataFrame({"family": families}, schema={"family": pl.String})
    assert sells_credit(products, stated=stated) is credit


def test_a_catalogue_without_families_is_credit_unless_the_job_says_no() -> None:
    products = pl.DataFrame({"product_id": ["a"]})
    assert sells_credit(products)
    assert sells_credit(products, stated=True)
    assert not sells_credit(products, stated=False)


def test_the_family_is_asked_before_the_category() -> None:
    products = pl.DataFrame({"family": ["insurance"], "category": ["credit"]})
    assert not sells_credit(products)


@pytest.mark.parametrize("stated", [None, False])
def test_where_the_family_is_blank_the_category_of_that_product_speaks(stated: bool | None) -> None:
    products = pl.DataFrame(
        {"family": ["insurance", None, " "], "category": ["a", "car loan", "b"]}
    )
    assert sells_credit(products, stated=stated)
    assert not sells_credit(products.filter(pl.col("category") != "car loan"))


@pytest.mark.bench_data
@pytest.mark.parametrize(
    ("folder", "by_name", "by_content"),
    [
        (
            "zimnat",
            {"sex", "marital_status", "birth_year"},
            {"sex", "marital_status", "birth_year"},
        ),
        ("autoinland", {"gender", "age"}, {"gender", "age"}),
        ("berka", {"gender", "birth_date"}, {"gender", "birth_date"}),
        ("ml-100k", {"gender", "age"}, {"gender", "age"}),
        ("coil2000", set(), set()),  # Dutch codes of area shares: only a person who knows can list
        ("online-retail", set(), set()),
    ],
)
def test_real_customers_give_away_their_protected_columns_and_no_others(
    folder: str, by_name: set[str], by_content: set[str]
) -> None:
    data = os.environ.get("OFERTA_BENCH_DATA")
    if not data:
        pytest.skip("OFERTA_BENCH_DATA is unset: the guard was NOT tried on real customers")
    frame = pl.read_parquet(Path(data) / folder / "customers.parquet")
    columns = [name for name in frame.columns if name != "customer_id"]
    assert {one.column for one in find(frame, columns)} == by_name
    renamed = {name: f"x{place}" for place, name in enumerate(columns)}
    found = {one.column for one in find(frame.rename(renamed), list(renamed.values()))}
    assert {name for name in columns if renamed[name] in found} == by_content
