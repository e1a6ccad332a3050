"""Asking for decisions over HTTP."""

import httpx
from serving.decision_worlds import consenting

from oferta_serving.deciding import schemas

ONE, MANY, FEEDBACK = "/v1/decisions", "/v1/decisions/batch", "/v1/feedback"
MANY_CUSTOMERS = {f"m{number}": consenting() for number in range(60)}


def body(customer: str = "anna", **fields: object) -> dict[str, object]:
    return {"customer_id": customer, "channel": "app", "placements": ["home"], **fields}


def ask(desk: httpx.Client, customer: str = "anna", **fields: object) -> dict:
    answer = desk.post(ONE, json=body(customer, **fields))
    assert answer.status_code == 200, answer.text
    schemas.DecisionAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def made(answer: dict) -> list[str]:
    return [offer["offer_id"] for offer in answer["offers"]]
