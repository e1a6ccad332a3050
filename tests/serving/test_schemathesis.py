"""R20: whatever a caller sends, with a key or without, is answered as the OpenAPI document says.

All routes, over two tenants' data, as `oferta serve` composes them. `OFERTA_CHAOS_CASES=5000` makes
it the long form.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from chaos.table import record
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving.conftest import RealRedis
from serving.test_tenants import Both, two_tenants

CASES = int(os.environ.get("OFERTA_CHAOS_CASES", "300"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "20"))

CONFORMS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def both(redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with two_tenants(redis_process, tmp_path_factory.mktemp("tenants")) as made:
        yield made


@pytest.fixture(scope="module")
def schema(both: Both) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{both.client.base_url}/openapi.json")


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_whatever_is_sent_is_answered_as_documented(both: Both, schema: schemathesis.BaseSchema):
    found = [one.ok() for one in schema.include(path_regex="^/v1").get_all_operations()]
    each = max(1, CASES // (len(found) * len(MODES)))
    statuses: Counter[int] = Counter()

    def ask(case: schemathesis.Case) -> None:
        known = both.ids["default"]
        if sum(statuses.values()) % 2:  # what exists is asked for, too
            for name in set(case.path_parameters or {}) & set(known):
                case.path_parameters[name] = known[name]
        if sum(statuses.values()) % 8:  # and now and then with a key that is made up, or none
            case.headers = {**(case.headers or {}), "X-API-Key": both.every}
        answer = case.call(timeout=10)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CONFORMS)

    for operation in found:
        for mode in MODES:
            test = given(case=operation.as_strategy(generation_mode=mode))(ask)
            seed(SEED)(
                settings(
                    max_examples=each,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                )(test)
            )()
    record(
        "Generated requests",
        {
            "requests, of all routes": sum(statuses.values()),
            "answers of 5xx": sum(n for status, n in statuses.items() if status >= 500),
            "undocumented answers": 0,
            **{f"answered {status}": n for status, n in sorted(statuses.items())},
        },
        f"OFERTA_CHAOS_CASES={CASES} pytest tests/serving/test_schemathesis.py",
    )
    assert sum(statuses.values()) > CASES * 0.6
    assert statuses[200] > 0
    assert statuses[401] + statuses[429] < CASES / 6
