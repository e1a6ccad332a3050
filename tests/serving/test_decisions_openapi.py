"""What the API documents of decisions is what it does, where decisions are made."""

from pathlib import Path
from typing import get_args

import httpx
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving.decisions import ask

from oferta.policy.feedback import FEEDBACK
from oferta_serving.deciding import schemas
from oferta_serving.deciding.documents import ONE_BODY
from oferta_serving.deciding.example import EXAMPLE
from oferta_serving.problem_table import PROBLEMS

MANUAL = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.usefixtures("nobody_spoken_to")  # generated requests took places under total caps
def test_right_requests_are_answered_with_the_documented_shape(desk: httpx.Client):
    """What a generator does not find: names that there are."""
    schema = schemathesis.openapi.from_url(f"{desk.base_url}/openapi.json")
    decision = ask(desk, explain=True)
    row = {"decision_id": decision["decision_id"], "offer_id": "charger", "type": "impression"}
    body = {"customer_id": "anna", "channel": "web", "explain": True, "offers": ["car-loan"]}
    bodies = {
        "/v1/decisions": {**body, "wish": {"amount": 7000.5, "instalment": 90}},
        "/v1/decisions/batch": {"customer_ids": ["anna", "x", ""], "channel": "web"},
        "/v1/feedback": {"feedback": [row, {}]},
    }
    for path, one in bodies.items():
        case = schema[path]["POST"].Case(body=one, media_type="application/json")
        answer = case.call(timeout=5)
        assert answer.status_code == 200
        case.validate_response(answer, checks=CHECKS)
    receipt = schema["/v1/decisions/{decision_id}"]["GET"]
    case = receipt.Case(path_parameters={"decision_id": decision["decision_id"]})
    answer = case.call(timeout=5)
    assert answer.status_code == 200
    case.validate_response(answer, checks=CHECKS)


def test_the_documented_example_has_the_documented_shape():
    answer = schemas.DecisionAnswer.model_validate(EXAMPLE, strict=True)
    score = answer.offers[0].score.model_dump()
    worth = score["margin"] - score["expected_loss"]
    assert score["value"] == pytest.approx(
        score["accept"] * score["approved"] * worth * score["context"] * score["lever"]
    )


@pytest.mark.parametrize(
    "name",
    [
        *(code for code in PROBLEMS if code.startswith(("decisions.", "feedback.", "base."))),
        *get_args(schemas.DecisionDegraded),
        *FEEDBACK,
        *ONE_BODY["properties"],
        "outcome",
        "later_on",
        "probability",
        "funnel",
        "rejected",
        "caps",
        "seed",
        "files",
    ],
)
def test_every_field_code_and_type_is_in_the_manual(name: str):
    assert f"`{name}`" in MANUAL
