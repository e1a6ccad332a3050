"""Requests made from the OpenAPI document alone: every route, with the ids that a test wants."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Operation:
    """One method of one path, as documented."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    scope: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def ask(
        self, client: httpx.Client, ids: Mapping[str, str], key: str | None = None
    ) -> httpx.Response:
        """Ask with `ids` by their names, in the path and in the body."""
        path = self.path
        for name, value in ids.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, f"{self}: say which id the test should send"
        headers = {} if key is None else {"X-API-Key": key}
        if self.body is None:
            return client.request(self.method, path, headers=headers)
        content = json.dumps(_filled(self.body, ids)).encode()
        headers["Content-Type"] = "application/json"
        return client.request(self.method, path, headers=headers, content=content)


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """All that the document has."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody")
            schema = None if body is None else body["content"]["application/json"]["schema"]
            security = operation.get("security") or [{}]
            scope = next(iter(security[0].get("apiKey", [])), None)
            yield Operation(method.upper(), path, schema, scope)


_ID_LISTS = {"customer_ids": "customer_id"}
_KNOWN = {"channel": "app", "occurred_at": "2027-01-15T07:59:00Z"}


def _filled(schema: Mapping[str, Any], ids: Mapping[str, str], name: str = "") -> object:
    """The least body that the schema takes, and every id of ours that it has room for."""
    said = {**_KNOWN, **ids, **{many: [ids[one]] for many, one in _ID_LISTS.items() if one in ids}}
    if name in said:
        return said[name]
    several = schema.get("oneOf") or schema.get("anyOf")
    if several:
        return _filled(several[0], ids, name)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        wanted = {*schema.get("required", ()), *said}
        inner = schema.get("properties", {})
        return {each: _filled(inner[each], ids, each) for each in inner if each in wanted}
    if schema.get("type") == "array":
        return [_filled(schema["items"], ids, name)]
    plain = {"string": "x", "integer": 1, "number": 1.0, "boolean": True}
    return schema.get("const", plain.get(schema.get("type", ""), "x"))
