"""What is known of a customer, over HTTP."""

from urllib.parse import quote

import httpx
import pytest
from serving.decisions import FEEDBACK, ask
from serving.refusals import refused
from serving.worlds import ODD_ID

from oferta_serving.deciding import schemas

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")


def profile(desk: httpx.Client, name: str) -> dict:
    answer = desk.get(f"/v1/customers/{name}/profile")
    assert answer.status_code == 200, answer.text
    schemas.ProfileAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def test_facts_come_with_what_follows_from_them_and_their_evidence(desk: httpx.Client):
    found = profile(desk, "anna")

    assert found["facts"]["income"] == 3200.0
    assert "contract_end" not in found["facts"]
    assert found["derived"]["today"] == "2027-01-15"
    assert found["derived"]["free_income"] == 1900.0
    assert found["evidence"]["attributes"]["income"]["source"] == "crm"
    assert (found["known"], found["contacts"], found["silences"]) == (True, [], [])


def test_what_was_said_and_answered_is_there_at_once(desk: httpx.Client):
    made = ask(desk, "bela")["decision_id"]
    row = {"decision_id": made, "offer_id": "charger"}
    desk.post(FEEDBACK, json={**row, "type": "click"})
    desk.post(FEEDBACK, json={**row, "type": "decline"})
    found = profile(desk, "bela")

    contact = next(one for one in found["contacts"] if one["offer_id"] == "charger")
    assert contact["made_at"] == contact["clicked_at"] == "2027-01-15T08:00:00Z"
    assert contact["accepted_at"] is None
    (silence,) = found["silences"]
    assert (silence["answer"], silence["until"]) == ("decline", "2027-04-15T08:00:00Z")


def test_a_stranger_who_was_spoken_to_has_contacts_and_no_facts(desk: httpx.Client):
    refused(desk.get("/v1/customers/zoe/profile"), 404, "customer.unknown")
    made = ask(desk, "zoe")["decision_id"]
    row = {"decision_id": made, "offer_id": "charger", "type": "decline"}
    desk.post(FEEDBACK, json=row)
    found = profile(desk, "zoe")

    assert (found["known"], found["facts"], found["evidence"]) == (False, {}, {})
    assert found["silences"][0]["offer_id"] == "charger"


def test_ids_and_queries_are_read_strictly(desk: httpx.Client):
    assert profile(desk, quote(ODD_ID, safe=""))["customer_id"] == ODD_ID
    refused(desk.get("/v1/customers//profile"), 422, "id.empty")
    refused(desk.get("/v1/customers/%ff/profile"), 422, "id.encoding")
    refused(desk.get("/v1/customers/anna/profile?n=1"), 422, "parameter.unknown")
