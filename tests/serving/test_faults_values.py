"""Bad requests: numbers and names that are none, in a query or in JSON.

The numbers are those of the project's list of faults.
"""

import httpx
import pytest
from serving.refusals import BATCH, JSON, MARK, RECOMMENDATIONS, refused


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_fault_43_not_finite_numbers(client: httpx.Client, number: str):
    body = f'{{"customer_ids":["anna"],"n":{number}}}'

    refused(client.post(BATCH, content=body, headers=JSON), 400, "json.not_finite")


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_fault_44_huge_integers(client: httpx.Client, digits: int):
    body = f'{{"customer_ids":["anna"],"n":{"9" * digits}}}'

    refused(client.post(BATCH, content=body, headers=JSON), 422, "number.too_large")
    in_query = client.get(f"{RECOMMENDATIONS}?n={'9' * digits}")
    assert refused(in_query, 422, "parameter.out_of_range")["bounds"] == [1, 100]


def test_fault_44_huge_floats(client: httpx.Client):
    body = '{"customer_ids":["anna"],"n":1e400}'

    refused(client.post(BATCH, content=body, headers=JSON), 422, "number.too_large")


def test_fault_45_duplicate_keys(client: httpx.Client):
    body = '{"customer_ids":["anna"],"customer_ids":["bela"]}'

    refused(client.post(BATCH, content=body, headers=JSON), 400, "json.duplicate_key")


@pytest.mark.parametrize(
    "value",
    ["1_0", "%205", "5%20", "5.0", "true", "+5", "05", "0x5", "5e0", "", "\u0665", "\uff15"],
)
def test_fault_46_what_is_no_integer_in_a_query(client: httpx.Client, value: str):
    refused(client.get(f"{RECOMMENDATIONS}?n={value}"), 422, "parameter.integer")


@pytest.mark.parametrize("value", ["true", '"12"', "5.0", "null", "[5]"])
def test_fault_46_what_is_no_integer_in_json(client: httpx.Client, value: str):
    body = f'{{"customer_ids":["anna"],"n":{value}}}'

    assert refused(client.post(BATCH, content=body, headers=JSON), 422, "body.type")["where"] == "n"


def test_fault_47_unknown_names(client: httpx.Client):
    refused(client.get(f"{RECOMMENDATIONS}?ofset=5"), 422, "parameter.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?segment=young"), 422, "parameter.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?{MARK}=1"), 422, "parameter.unknown")
    refused(client.get("/health/status?verbose=1"), 422, "parameter.unknown")
    refused(
        client.post(BATCH, json={"customer_ids": ["anna"], MARK: 1}),
        422,
        "body.unknown_field",
    )
    refused(client.post(BATCH, json={"n": 1}), 422, "body.missing_field")
    refused(client.post(BATCH + "?n=1", json={"customer_ids": ["a"]}), 422, "parameter.unknown")


@pytest.mark.parametrize("query", ["n=5&n=999", "n=5&n=5", "n=5&%6E=5", "category=loan&category="])
def test_fault_48_repeated_parameters(client: httpx.Client, query: str):
    refused(client.get(f"{RECOMMENDATIONS}?{query}"), 400, "parameter.repeated")


@pytest.mark.parametrize("n", ["0", "-1", "101", "9000000000", "-0"])
def test_fault_49_numbers_out_of_bounds(client: httpx.Client, n: str):
    problem = refused(client.get(f"{RECOMMENDATIONS}?n={n}"), 422, "parameter.out_of_range")

    assert (problem["where"], problem["bounds"]) == ("n", [1, 100])
    answer = client.get(f"{RECOMMENDATIONS}?offset=1001")
    assert refused(answer, 422, "parameter.out_of_range")["bounds"] == [0, 1000]


def test_fault_50_unknown_categories_and_segments(client: httpx.Client):
    refused(client.get(f"{RECOMMENDATIONS}?category=loans"), 422, "category.unknown")
    refused(client.get("/v1/popular?segment=youngg"), 422, "segment.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?category="), 422, "category.invalid")
    refused(client.get("/v1/popular?segment=%00"), 422, "segment.invalid")
    refused(client.get("/v1/popular?segment=%FF"), 422, "parameter.encoding")
    body = {"customer_ids": ["anna"], "category": "loans"}
    refused(client.post(BATCH, json=body), 422, "category.unknown")
