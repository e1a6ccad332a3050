"""`oferta doctor` over real Redis processes, and its judgement of what a server says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from redis import Redis
from redis_servers import RedisServer, newest
from serving.worlds import SECRET, publish, shop
from typer.testing import CliRunner

from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta.store.server_facts import ServerFacts
from oferta_serving.cli import app
from oferta_serving.doctor.redis_findings import redis_findings

Ask = Callable[..., tuple[Result, dict[str, dict[str, str]]]]

WELL = {
    "redis_version": "8.2.3",
    "maxmemory_policy": "noeviction",
    "used_memory": 10,
    "maxmemory": 1000,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "role": "master",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(newest(), tmp_path, "--appendonly", "yes", "--maxmemory", "100mb") as one:
        yield one


@pytest.fixture
def asked(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("OFERTA_REDIS_URL", server.url)
    monkeypatch.setenv("OFERTA_KEY_SECRET", SECRET.decode())

    def ask(*options: str) -> tuple[Result, dict[str, dict[str, str]]]:
        said = CliRunner().invoke(
            app, ["doctor", "--json", "--home", str(tmp_path / "home"), *options]
        )
        listed = json.loads(said.stdout)
        return said, {f"{one['area']}: {one['name']}": one for one in listed}

    return ask


def release(server: RedisServer, *, secret: bytes = SECRET) -> None:
    space = KeySpace(secret)
    publish(RedisWriter(server.url, space), space, shop())


def test_a_sound_installation_has_nothing_wrong_but_its_release_s_age(
    server: RedisServer, asked: Ask
):
    release(server)
    _, found = asked()
    assert {name for name, one in found.items() if one["state"] == "wrong"} <= {"release: age"}
    assert found["release: live"]["state"] == "ok"
    assert found["redis: eviction"]["state"] == "ok"


def test_an_evicting_redis_is_wrong_and_the_exit_tells(server: RedisServer, asked: Ask):
    release(server)
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    said, found = asked()
    assert found["redis: eviction"]["state"] == "wrong"
    assert "noeviction" in found["redis: eviction"]["remedy"]
    assert said.exit_code == 1


def test_another_key_secret_than_the_publisher_s_is_found(server: RedisServer, asked: Ask):
    release(server, secret=b"another-secret-altogether")
    _, found = asked()
    assert found["release: key secret"]["state"] == "wrong"


def test_an_emptied_redis_is_found(asked: Ask):
    _, found = asked()
    assert found["release: live"]["state"] == "wrong"
    assert "--if-missing" in found["release: live"]["remedy"]


def test_a_foreign_value_at_the_pointer_is_found(server: RedisServer, asked: Ask):
    with Redis.from_url(server.url) as client:
        client.lpush(KeySpace(SECRET).pointer(), "x")
    _, found = asked()
    assert found["release: live"]["state"] == "wrong"


def test_a_redis_that_is_away_is_found_and_the_rest_is_looked_at(server: RedisServer, asked: Ask):
    server.kill()
    said, found = asked()
    assert found["redis: answer"]["state"] == "wrong"
    assert found["machine: open files"]["state"] in {"ok", "advice"}
    assert said.exit_code == 1


def test_mistakes_in_the_settings_are_told_and_the_rest_is_looked_at(asked: Ask, tmp_path: Path):
    config = tmp_path / "serving.toml"
    config.write_text("portt = 1\n")
    _, found = asked("--config", str(config))
    assert "portt" in found["files: settings"]["said"]
    assert "redis: eviction" in found


def test_a_secret_that_others_can_read_is_wrong(
    asked: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OFERTA_KEY_SECRET")
    home = tmp_path / "home"
    home.mkdir()
    (home / "key-secret").write_text("0123456789abcdef0123456789abcdef\n")
    (home / "key-secret").chmod(0o644)
    _, found = asked()
    assert found["keys: key secret"]["state"] == "wrong"
    (home / "key-secret").chmod(0o600)
    _, found = asked()
    assert found["keys: key secret"]["state"] == "ok"


def test_no_secret_and_no_address_is_printed(server: RedisServer, asked: Ask):
    release(server)
    said, _ = asked()
    assert SECRET.decode() not in said.output
    assert server.url not in said.output


@pytest.mark.parametrize(
    ("changed", "name", "state"),
    [
        ({"redis_version": "6.0.16"}, "version", "wrong"),
        ({"redis_version": "7.0.15"}, "version", "advice"),
        ({"redis_version": "7.2.11"}, "version", "ok"),
        ({"redis_version": "8.4.0"}, "version", "ok"),
        ({"maxmemory_policy": "volatile-ttl"}, "eviction", "wrong"),
        ({"used_memory": 900}, "memory", "wrong"),
        ({"maxmemory": 0}, "memory", "advice"),
        ({"aof_enabled": 0}, "persistence", "advice"),
        ({"aof_last_write_status": "err"}, "persistence", "wrong"),
        ({"rdb_last_bgsave_status": "err"}, "snapshot", "wrong"),
        ({"role": "slave"}, "role", "wrong"),
    ],
)
def test_what_a_server_says_is_judged(changed: dict[str, object], name: str, state: str):
    facts = ServerFacts(info=WELL | changed)
    found = {each.name: each.state for each in redis_findings(facts, local=True)}
    assert found[name] == state


def test_a_well_kept_server_has_nothing_to_mend():
    facts = ServerFacts(info=WELL, open_to_all=False)
    assert {each.state for each in redis_findings(facts, local=False)} == {"ok"}


@pytest.mark.parametrize(("ahead", "state"), [(0.2, "ok"), (-3.0, "wrong"), (86_400.0, "wrong")])
def test_a_clock_that_differs_is_found(ahead: float, state: str):
    facts = ServerFacts(info=WELL, clock_ahead_s=ahead)
    found = {each.name: each.state for each in redis_findings(facts, local=True)}
    assert found["clock"] == state
