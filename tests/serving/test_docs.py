"""docs/api.md names everything that it must."""

from pathlib import Path
from typing import get_args

import httpx
import pytest
from pydantic import BaseModel

from oferta.scoring.reasons import REASONS
from oferta.store.connecting import URL_VARIABLE
from oferta_serving import schemas
from oferta_serving.problem_table import PROBLEMS
from oferta_serving.settings import ServingSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def names_of(kind: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += names_of(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


@pytest.mark.parametrize(
    "name",
    [
        *names_of(ServingSettings),
        *REASONS,
        *get_args(schemas.DegradedReason),
        *sorted(schemas.CustomerAnswer.model_fields.keys() - {"customer_id"}),
        *schemas.Item.model_fields,
        URL_VARIABLE,
    ],
)
def test_every_setting_reason_and_member_is_documented(name: str):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_is_documented_with_its_status(code: str):
    assert f"| `{code}` | {PROBLEMS[code].status} |" in TEXT


def test_every_route_is_documented(client: httpx.Client):
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in TEXT


def test_every_module_is_in_the_room_s_readme():
    text = (ROOT / "serving" / "README.md").read_text(encoding="utf-8")
    package = ROOT / "serving" / "oferta_serving"
    for module in package.glob("*.py"):
        assert module.stem == "__init__" or f"`{module.stem}`" in text
