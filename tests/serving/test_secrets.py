"""What is planted in requests and settings is found nowhere it should not be.

Secrets: an API key, the key secret, a password of Redis. Ids: of customers, events, decisions.
Places: log, tracebacks, metrics, problems, readable forms of settings, a failed start.
"""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from redis import Redis
from serving.callers import make_key
from serving.conftest import RealRedis, ServerStarter
from serving.openapi_requests import operations
from serving.worlds import SECRET, shop

from oferta_serving.principal import SCOPES
from oferta_serving.server import AppFactory
from oferta_serving.settings import Environment, ServingSettings

PASSWORD = "planted-password-8213"  # noqa: S105 - to be looked for
CUSTOMER = "planted-customer-47110815"
PLANTED = {
    name: f"planted-{name}-47110815"
    for name in ("product_id", "offer_id", "event_id", "session_id")
} | {
    "customer_id": CUSTOMER,
    "decision_id": "d_" + "47110815" * 3,
    "erasure_id": "er_" + "47110815" * 3,
}


def ask_everything(client: httpx.Client, keys: dict[str, str]) -> list[httpx.Response]:
    """Every route: rightly, with a wrong key, with the key in the URL, and with broken bodies."""
    answers = []
    for operation in operations(client.get("/openapi.json").json()):
        sent = (keys.get(operation.scope or ""), keys["serve"], f"{keys['serve'][:-3]}AAA")
        answers += [operation.ask(client, PLANTED, key) for key in sent]
        path = operation.path.replace("{customer_id}", CUSTOMER).split("{")[0]
        headers = {"X-API-Key": keys[operation.scope or "serve"]}
        answers += [
            client.request(operation.method, f"{path}?api_key={keys['serve']}", headers=headers),
            client.request(operation.method, f"{path}?n={CUSTOMER}", headers=headers),
            client.request(
                operation.method,
                path,
                headers={**headers, "Content-Type": "application/json"},
                content=json.dumps({CUSTOMER: CUSTOMER, "customer_id": [CUSTOMER]}).encode(),
            ),
        ]
    return answers


def test_nothing_planted_is_in_log_metrics_or_problems(
    redis_process: RealRedis, start_server: ServerStarter
):
    redis_process.publish(shop())
    home = start_server.home
    keys: dict[str, str] = {scope: make_key(home, scope, scope) for scope in SCOPES}
    config = home / "serving.toml"
    config.write_text('access_log = true\nlog_format = "json"\n')
    url = redis_process.url.replace("unix://", f"unix://:{PASSWORD}@")
    with redis_process.client() as redis:
        redis.config_set("requirepass", PASSWORD)
    try:
        server = start_server(url, "--config", str(config))
        with httpx.Client(base_url=server.address, timeout=10) as client:
            answers = ask_everything(client, keys)
            metrics = client.get("/metrics", headers={"X-API-Key": keys["operate"]}).text
            health = client.get("/health/ready").text
        server.process.terminate()
        _, log = server.process.communicate(timeout=20)
    finally:
        with Redis.from_url(url) as redis:
            redis.config_set("requirepass", "")
    assert log.count("request.answered") >= len(answers)
    secrets = [PASSWORD, SECRET.decode(), *(key.partition(".")[2] for key in keys.values())]
    for place, text in (("log", log), ("metrics", metrics), ("health", health)):
        assert [one for one in (*secrets, "planted-", "47110815") if one in text] == [], place
    for answer in answers:
        assert [secret for secret in secrets if secret in answer.text] == []
        if answer.headers["content-type"] == "application/problem+json":
            assert "planted-" not in answer.text
        assert answer.status_code < 500 or answer.json()["code"] != "internal"


@pytest.mark.parametrize("variable", ["OFERTA_DEBUG", "OFERTA_NOTHING"])
def test_a_start_that_fails_shows_no_secret(tmp_path: Path, variable: str):
    """With its traceback, too."""
    for url in (f"redis://:{PASSWORD}@127.0.0.1:99999/0", f"gopher://:{PASSWORD}@localhost"):
        tried = subprocess.run(
            [sys.executable, "-c", "from oferta.cli import main; main()", "serve"],
            env={
                "OFERTA_HOME": str(tmp_path),
                "OFERTA_REDIS_URL": url,
                "OFERTA_KEY_SECRET": SECRET.decode(),
                variable: "1",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert tried.returncode != 0
        assert PASSWORD not in tried.stderr + tried.stdout
        assert SECRET.decode() not in tried.stderr + tried.stdout


def test_nothing_that_holds_a_secret_has_a_readable_form(tmp_path: Path):
    url = f"redis://:{PASSWORD}@localhost/0"
    held = [Environment(url), AppFactory(ServingSettings(), url, tmp_path)]
    for one in held:
        assert PASSWORD not in repr(one) + str(one)


def test_every_answer_carries_the_secure_headers(client: httpx.Client):
    for path in ("/v1/popular", "/v1/popular?n=0", "/v1/none", "/health/ready", "/metrics"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control-")]
    assert client.get("/v1/popular").headers["cache-control"] == "no-store"
    page = client.get("/docs").headers
    assert page["content-security-policy"] == "frame-ancestors 'none'"


def test_no_origin_is_let_in_from_a_browser(client: httpx.Client):
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = client.options("/v1/popular", headers=asked)

    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]
