"""Attribute values as codes."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from oferta.errors import UnknownName
from oferta.features.coding import Coding, coding_of
from oferta.features.customers import CustomerFeatures, customer_features_of
from oferta.features.products import product_features_of
from oferta.interactions.idmap import IdMap


def test_rare_categories_share_a_code_and_missing_ones_have_none():
    values = pl.Series("city", ["Ulm", "Ulm", "Bonn", "Bonn", "Köln", " ", None])
    coding = coding_of(values, fewest=2, bins=4)
    assert coding.names == ("city=Bonn", "city=Ulm", "city=other")
    assert coding.codes(values).tolist() == [1, 1, 0, 0, 2, -1, -1]
    # Somebody new, from a city never seen, is among the others.
    assert coding.codes(pl.Series("city", ["Rom", "Ulm"])).tolist() == [2, 1]


def test_a_category_never_seen_is_unknown_where_none_was_rare():
    coding = coding_of(pl.Series("kind", ["a", "b"]), fewest=1, bins=4)
    assert coding.codes(pl.Series("kind", ["c", "b", None])).tolist() == [-1, 1, -1]


def test_numbers_fall_into_half_open_bins_of_about_as_many_rows():
    values = pl.Series("income", [float(n) for n in range(100)] + [None])
    coding = coding_of(values, fewest=1, bins=4)
    codes = coding.codes(values)
    assert codes[-1] == -1
    np.testing.assert_allclose(np.bincount(codes[:-1]), 25, atol=1)
    edge = coding.edges[0]
    assert coding.codes(pl.Series("income", [edge - 1e-9, edge])).tolist() == [0, 1]
    assert coding.names[0].startswith("income in [, ")
    assert (np.diff(coding.codes(values.drop_nulls().sort())) >= 0).all()


def test_dates_are_numbers_and_few_whole_numbers_are_categories():
    joined = pl.Series("joined", [date(2020, 1, 1 + day) for day in range(30)])
    codes = coding_of(joined, fewest=1, bins=3).codes(joined)
    assert (np.diff(codes) >= 0).all()
    np.testing.assert_allclose(np.bincount(codes), 10, atol=1)
    doors = pl.Series("doors", [2, 4, 4, 5])
    assert coding_of(doors, fewest=1, bins=3).names == ("doors=2", "doors=4", "doors=5")


def test_an_attribute_that_is_always_missing_says_nothing():
    empty = pl.Series("income", [None, None], dtype=pl.Float64)
    assert coding_of(empty, fewest=1, bins=4).codes(empty).tolist() == [-1, -1]
    nothing = pl.Series("city", [None, None], dtype=pl.String)
    assert coding_of(nothing, fewest=1, bins=4).names == ()


def test_a_coding_survives_json():
    for values in (pl.Series("n", [0.5, 1.5, 2.5]), pl.Series("s", ["x", "y", "y"])):
        coding = coding_of(values, fewest=2, bins=2)
        assert Coding.model_validate_json(coding.model_dump_json()) == coding


CUSTOMERS = pl.DataFrame(
    {
        "customer_id": ["c", "a", "b", "stranger"] * 20,
        "city": ["Ulm", "Bonn", None, "Ulm"] * 20,
        "income": [3.0, 1.0, 2.0, None] * 20,
    }
).unique("customer_id", keep="first", maintain_order=True)


def features() -> CustomerFeatures:
    frame = pl.concat([CUSTOMERS] * 20)
    made = customer_features_of(frame, ["city", "income"])
    assert made is not None
    return made


def test_codes_of_customers_are_rows_of_one_vocabulary_in_the_order_of_the_id_map():
    made = features()
    customers = IdMap.of(["a", "b", "c", "nobody"])
    codes = made.encode(CUSTOMERS, customers)
    named = [[made.names[code] if code >= 0 else None for code in row] for row in codes]
    assert [row[0] for row in named] == ["city=Bonn", None, "city=Ulm", None]
    assert [row[1] is None for row in named] == [False, False, False, True]
    assert all(made.offsets[1] <= code for code in codes[:3, 1])
    assert codes[0, 1] < codes[1, 1] < codes[2, 1]  # in the order of the incomes


def test_the_vocabulary_survives_json():
    made = features()
    again = CustomerFeatures.from_json(made.as_json())
    customers = IdMap.of(["a", "b", "c"])
    np.testing.assert_array_equal(
        again.encode(CUSTOMERS, customers), made.encode(CUSTOMERS, customers)
    )
    assert again.names == made.names


def test_an_attribute_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="city"):
        customer_features_of(CUSTOMERS, ["citi"])
    with pytest.raises(UnknownName, match="kind"):
        product_features_of(pl.DataFrame({"product_id": ["p"], "kind": ["x"]}), ["kin"],
                            products=IdMap.of(["p"]))  # fmt: skip


def test_products_have_a_feature_per_entry_of_a_list_and_per_category():
    frame = pl.DataFrame(
        {
            "product_id": ["p2", "p0", "p1", "gone"],
            "tags": [["new", "car"], ["car", "car"], None, ["car"]],
            "kind": ["loan", "loan", "lease", "lease"],
        }
    )
    made = product_features_of(frame, ["tags", "kind"], products=IdMap.of(["p0", "p1", "p2", "p3"]))
    assert made is not None
    dense = made.matrix.toarray()
    has = {name: dense[:, column].tolist() for column, name in enumerate(made.names)}
    assert has["tags=car"] == [1, 0, 1, 0]
    assert has["kind=loan"] == [1, 0, 1, 0]
    assert dense.max() == 1  # named twice in a list counts once
    assert dense[3].sum() == 0
