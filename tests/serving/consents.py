"""Saying consent over HTTP."""

from urllib.parse import quote

import httpx

from oferta_serving.consent.answers import ConsentAnswer, ConsentStored


def said(purpose: str, state: str, **more: object) -> dict:
    return {"purpose": purpose, "state": state, "source": "app", **more}


OUT = said("personalisation", "out")


def path(customer: str) -> str:
    return f"/v1/customers/{quote(customer, safe='')}/consent"


def say(api: httpx.Client, customer: str, purpose: str, state: str, **more: object) -> dict:
    return sent(api, customer, said(purpose, state, **more))


def sent(api: httpx.Client, customer: str, body: object) -> dict:
    answer = api.put(path(customer), json=body)
    assert answer.status_code == 200, answer.text
    ConsentStored.model_validate_json(answer.content, strict=True)
    return answer.json()


def told(api: httpx.Client, customer: str) -> dict:
    answer = api.get(path(customer))
    assert answer.status_code == 200, answer.text
    ConsentAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def recommended(api: httpx.Client, customer: str, query: str = "") -> dict:
    answer = api.get(f"/v1/customers/{quote(customer, safe='')}/recommendations{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()
