"""What the API documents is what it does."""

import httpx
import pytest
from serving.worlds import ODD_ID

from oferta_serving import schemas
from oferta_serving.problem_table import PROBLEMS


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
