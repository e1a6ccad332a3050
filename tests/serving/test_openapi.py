"""What the API documents is what it does."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving.worlds import ODD_ID

from oferta_serving import schemas
from oferta_serving.problems import PROBLEMS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/customers/anna/recommendations", schemas.CustomerAnswer),
        ("/v1/customers/nobody/recommendations?offset=3&n=2", schemas.CustomerAnswer),
        ("/v1/customers/anna/recommendations?offset=900", schemas.CustomerAnswer),
        ("/v1/popular?category=service", schemas.PopularAnswer),
        ("/v1/products/casco/similar", schemas.SimilarAnswer),
        ("/health/live", schemas.Liveness),
        ("/health/ready", schemas.Readiness),
        ("/v1/popular?n=0", schemas.ProblemAnswer),
    ],
)
def test_answers_have_the_documented_shape(
    client: httpx.Client, path: str, shape: type[schemas.Documented]
):
    shape.model_validate(client.get(path).json(), strict=True)


def test_batch_answers_have_the_documented_shape(client: httpx.Client):
    body = {"customer_ids": ["anna", "", "nobody", ODD_ID]}
    answer = client.post("/v1/recommendations/batch", json=body).json()

    schemas.BatchAnswer.model_validate(answer, strict=True)


def test_the_documented_examples_have_the_documented_shape(client: httpx.Client):
    document = client.get("/openapi.json").json()
    example = document["components"]["schemas"]["CustomerAnswer"]["example"]

    schemas.CustomerAnswer.model_validate(example, strict=True)
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                for media in answer.get("content", {}).values():
                    for code, one in media.get("examples", {}).items():
                        problem = schemas.ProblemAnswer.model_validate(one["value"], strict=True)
                        assert problem.status == PROBLEMS[code].status


@pytest.mark.parametrize(
    "mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
)
def test_generated_requests_meet_only_documented_answers(
    client: httpx.Client, mode: schemathesis.GenerationMode
):
    """R20: no undocumented status, no 5xx, every body as its schema says."""
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    tried = 0

    def ask(case: schemathesis.Case) -> None:
        nonlocal tried
        tried += 1
        case.validate_response(case.call(timeout=5), checks=CHECKS)

    for found in schema.include(path_regex="^/v1").get_all_operations():
        settings(
            max_examples=60,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )(given(case=found.ok().as_strategy(generation_mode=mode))(ask))()
    assert tried > 200
