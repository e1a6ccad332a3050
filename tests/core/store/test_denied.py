"""A Redis that denies us, a password that changes while we run, a primary that became a replica."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis_servers import SERVERS, RedisServer, binary

from oferta.errors import SettingsInvalid, StoreForbidden, StoreRefused
from oferta.store import node
from oferta.store.connecting import StoreSettings, connect
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.wire import Script, Wire

SPACE = KeySpace(b"0123456789abcdef")
SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(binary(request.param), tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_denials", node._Denials())


def allow(server: RedisServer, *rules: str, user: str = "serve") -> None:
    with Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", user, "on", *rules)


def test_a_denial_is_said_once_a_minute_and_never_the_password(
    server: RedisServer, caplog: pytest.LogCaptureFixture
):
    async def work() -> None:
        wire = Wire(f"unix://serve:hunter2@{server.socket}")
        for _ in range(5):
            with pytest.raises(StoreForbidden) as denied:
                await wire.ask([(b"GET", b"a")])
            assert "invalid username-password" in str(denied.value)
            assert "hunter2" not in str(denied.value)
        await wire.close()

    with caplog.at_level(logging.WARNING, "oferta"):
        asyncio.run(work())
    assert len(caplog.records) == 1
    assert "docs/redis.md" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_command_that_is_denied_is_told_from_a_redis_that_is_away(server: RedisServer):
    allow(server, ">hunter2", "~{default}*", "+get", "+mget", "+ping")

    async def work() -> None:
        url = f"unix://serve:hunter2@{server.socket}"
        wire, reader = Wire(url), RedisReader(url, SPACE)
        with pytest.raises(StoreForbidden):
            await wire.ask([(b"FLUSHALL",)])
        with pytest.raises(StoreForbidden):
            await wire.run(SET, [([b"{default}:a"], [b"v"])])
        assert await wire.fetch([b"{default}:a"]) == [None]
        assert await reader.pointer() is None
        with pytest.raises(StoreForbidden):
            await wire.fetch([b"elsewhere"])
        for each in (wire, reader):
            await each.close()

    asyncio.run(work())
    writer = RedisWriter(f"unix://serve:hunter2@{server.socket}", SPACE)
    for call in (writer.capacity, writer.reserve_fence, writer.announced):
        with pytest.raises(StoreForbidden):
            call()
    with pytest.raises(StoreForbidden):
        writer.put([(b"{default}:a", b"b")], ttl_s=1)
    writer.close()


def test_no_password_where_one_is_needed_is_a_denial(server: RedisServer):
    with Redis.from_url(server.url) as admin:
        admin.config_set("requirepass", "hunter2")

    async def work() -> None:
        wire = Wire(server.url)
        with pytest.raises(StoreForbidden):
            await wire.ask([(b"GET", b"a")])
        await wire.close()

    asyncio.run(work())
    writer = RedisWriter(server.url, SPACE)
    with pytest.raises(StoreForbidden):
        writer.live()
    writer.close()


def test_a_password_changes_while_we_run_and_nobody_is_refused(server: RedisServer, tmp_path: Path):
    """Both hold for a while; new connections read the file again."""
    path = tmp_path / "password"
    path.write_text("old")
    allow(server, ">old", "~*", "+@all")
    url = f"unix://serve@{server.socket}?password_file={path}"

    async def work() -> None:
        wire = Wire(url, connections=4)
        await wire.ask([(b"SET", b"a", b"v")])
        allow(server, ">new")
        assert await wire.fetch([b"a"]) == [b"v"]
        path.write_text("new")
        with Redis.from_url(server.url) as admin:
            admin.client_kill_filter(_type="normal", skipme=True)  # every connection is a new one
        assert await eventually(wire) == [b"v"]
        allow(server, "<old")
        with Redis.from_url(server.url) as admin:
            admin.client_kill_filter(_type="normal", skipme=True)
        assert await eventually(wire) == [b"v"]
        path.write_text("wrong")
        other = Wire(url)
        with pytest.raises(StoreForbidden):
            await other.fetch([b"a"])
        assert await wire.fetch([b"a"]) == [b"v"], "connections that are open stay"
        path.unlink()
        assert await wire.fetch([b"a"]) == [b"v"]
        for each in (wire, other):
            await each.close()

    asyncio.run(work())


def test_a_password_file_that_is_not_there_is_said_at_the_start(tmp_path: Path):
    url = f"redis://serve@localhost?password_file={tmp_path}/none"
    with pytest.raises(SettingsInvalid, match="password_file cannot be read") as refused:
        connect(StoreSettings(tmp_path, url))
    assert "localhost" not in str(refused.value)


def test_what_a_replica_refused_is_sent_once_to_whom_its_name_leads_to_by_then(
    server: RedisServer, tmp_path: Path
):
    """A fail-over behind one name: the old primary is a replica, the name leads to the new one."""
    name = Path(f"{server.socket}.name")
    lead(name, to=server)

    async def work(new: RedisServer) -> None:
        wire = Wire(f"unix://{name}")
        await wire.run(SET, [([b"a"], [b"first"])])
        with Redis.from_url(server.url) as client:
            client.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreRefused, match="read only replica"):
            await wire.run(SET, [([b"a"], [b"lost"])])
        lead(name, to=new)
        await wire.run(SET, [([b"a"], [b"second"])])
        assert await wire.fetch([b"a"]) == [b"second"]
        await wire.close()

    try:
        folder = tmp_path / "new"
        folder.mkdir()
        with RedisServer(server.command[0], folder) as new:
            asyncio.run(work(new))
    finally:
        name.unlink()


def lead(name: Path, *, to: RedisServer) -> None:
    name.unlink(missing_ok=True)
    name.symlink_to(to.socket)


async def eventually(wire: Wire) -> list[bytes | None]:
    """A connection that was cut fails one call."""
    for _ in range(5):
        try:
            return await wire.fetch([b"a"])
        except StoreForbidden:
            raise
        except Exception:  # noqa: BLE001, S110 - cut: tried again
            pass
    raise AssertionError("it never answered")
