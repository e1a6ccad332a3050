"""Bad requests: ids that are none, and customers, known or not.

The numbers are those of the project's list of faults.
"""

import json
from urllib.parse import quote

import httpx
import pytest
from serving.refusals import BATCH, JSON, MARK, RECOMMENDATIONS, Raw, refused, status_line
from serving.worlds import ODD_ID


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        ("x" * 129, "id.too_long"),
        ("", "id.empty"),
        ("%2e", "id.dots"),
        ("%2E%2e", "id.dots"),
        ("a%00b" + MARK, "id.control"),
        ("a%0Ab", "id.control"),
        ("%C2%85", "id.control"),
        ("%ED%A0%80", "id.encoding"),  # a lone surrogate
        ("%FF", "id.encoding"),
        ("%zz", "id.encoding"),
        ("50%", "id.encoding"),
    ],
)
def test_fault_41_ids_that_are_none(raw: Raw, segment: str, code: str):
    answer = raw(
        f"GET /v1/customers/{segment}/recommendations HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    )

    assert status_line(answer) == 422
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == code
    assert MARK.encode() not in answer


@pytest.mark.parametrize(
    "customer_id",
    [
        *("a/b", "/", "a:b", " a  b ", "家庭", "x" * 128, "家" * 128, "a%2Fb", "%", "{id}", "?n=5"),
        *("\u00e9", "e\u0301", "#", "+", "...", "recommendations", "\u200b", ODD_ID),
    ],
)
def test_fault_41_every_other_id_round_trips(client: httpx.Client, customer_id: str):
    answer = client.get(f"/v1/customers/{quote(customer_id, safe='')}/recommendations?n=1")

    assert answer.status_code == 200
    assert answer.json()["customer_id"] == customer_id
    assert answer.json()["cold"] is (customer_id != ODD_ID)


def test_fault_41_products_too(client: httpx.Client):
    answer = client.get(f"/v1/products/{quote(ODD_ID, safe='')}/similar")

    assert [item["product_id"] for item in answer.json()["items"]] == ["tyres"]


def test_fault_42_lone_surrogates(client: httpx.Client):
    one = client.post(BATCH, content=rb'{"customer_ids":["\ud800"]}', headers=JSON)
    name = client.post(
        BATCH, content=rb'{"customer_ids":["anna"],"category":"\udfff"}', headers=JSON
    )
    key = client.post(BATCH, content=rb'{"\ud800":1}', headers=JSON)

    assert refused(one, 422, "batch.all_invalid")["errors"] == [
        {"index": 0, "code": "id.surrogate"}
    ]
    refused(name, 422, "category.invalid")
    refused(key, 422, "body.unknown_field")


def test_fault_51_unknown_customers_get_everybodys_list_in_the_same_shape(client: httpx.Client):
    known = client.get(RECOMMENDATIONS).json()
    unknown = client.get("/v1/customers/nobody/recommendations")

    assert unknown.status_code == 200
    answer = unknown.json()
    assert answer.keys() == known.keys()
    assert (answer["cold"], answer["served_from"], answer["personalised"]) == (
        True,
        "popular",
        False,
    )
    assert (answer["degraded"], known["cold"]) == (False, False)


def test_fault_52_batches(client: httpx.Client):
    refused(client.post(BATCH, json={"customer_ids": []}), 422, "batch.empty")
    many = [str(n) for n in range(501)]
    refused(client.post(BATCH, json={"customer_ids": many}), 413, "batch.too_large")
    twice = client.post(BATCH, json={"customer_ids": ["bela", "anna", "bela"], "n": 1}).json()
    assert [r["answer"]["customer_id"] for r in twice["results"]] == ["bela", "anna"]
    ids = [*many[:499], "\x00" + MARK]
    mixed = client.post(BATCH, json={"customer_ids": ids, "n": 1})
    assert mixed.status_code == 200
    assert (mixed.json()["served"], mixed.json()["refused"]) == (499, 1)
    last = mixed.json()["results"][-1]
    assert (last["index"], last["status"], last["problem"]["code"]) == (499, 422, "id.control")
    assert MARK not in mixed.text
    typed = client.post(BATCH, json={"customer_ids": [7, "anna", None]}).json()
    assert [r["status"] for r in typed["results"]] == [422, 200, 422]
