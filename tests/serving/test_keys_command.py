"""`oferta keys` as an operator meets it, and what running workers make of it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from serving.conftest import RealRedis, RealServer, ServerStarter
from serving.test_serve import workers_of
from serving.worlds import shop
from typer.testing import CliRunner

from oferta.errors import InputError
from oferta_serving.commands.keys import keys

KEY = re.compile(r"oferta_[0-9a-f]{12}\.[A-Za-z0-9_-]{43}")
EFFECTIVE_S = 1.0
"""Within which a revoked key opens nothing, in any worker."""


def oferta(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from oferta.cli import main; main()", *arguments],
        env={"OFERTA_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_key_is_shown_once_and_never_again(tmp_path: Path):
    made = oferta("keys", "create", "app", "--scopes", "events,serve", home=tmp_path)
    key = made.stdout.strip()

    assert KEY.fullmatch(key)
    assert key not in made.stderr
    assert "serve, events; tenant default; expires 20" in made.stderr
    listed = oferta("keys", "list", home=tmp_path).stdout
    for word in ("app", key[7:19], "active"):
        assert word in listed
    kept = (tmp_path / "api-keys.json").read_text() + listed
    assert key.partition(".")[2] not in kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "App!"), "name"),
        (("create", "app", "--scopes", "serv"), "Did you mean 'serve'?"),
        (("create", "app", "--scopes", ","), "scopes"),
        (("create", "app", "--expires", "soon"), "90d, 12h, 30m or never"),
        (("create", "app", "--tenant", "../x"), "tenant"),
        (("rotate", "nobody"), "unknown active key"),
        (("revoke", "nobody"), "unknown active key"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    tmp_path: Path, arguments: tuple[str, ...], said: str
):
    tried = CliRunner().invoke(keys, [*arguments, "--home", str(tmp_path)])

    assert isinstance(tried.exception, InputError)  # the command line ends with 2
    assert said in str(tried.exception)
    assert not (tmp_path / "api-keys.json").exists()


def test_many_commands_at_once_lose_no_key(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from oferta_serving.access.keyfile import KeyFile;"
        "[KeyFile(Path(sys.argv[1])).create(f'{sys.argv[2]}-{n}', scopes=('serve',),"
        " tenant='default', lives=None, now=datetime.now(UTC)) for n in range(10)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"w{at}"]) for at in range(3)
    ]
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0, 0]
    listed = oferta("keys", "list", home=tmp_path).stdout
    assert all(f"w{at}-{n} " in listed for at in range(3) for n in range(10))


def clients_of_both(server: RealServer) -> list[httpx.Client]:
    """Kept connections, some to each of two workers."""
    workers = workers_of(server.process.pid)
    clients = [httpx.Client(base_url=server.address, timeout=5) for _ in range(24)]
    for client in clients:
        client.get("/health/live")
    port = int(server.address.rpartition(":")[2])
    for worker in workers:
        held = psutil.Process(worker).net_connections("tcp")
        assert any(one.status == "ESTABLISHED" and one.laddr.port == port for one in held)
    return clients


def test_a_revoked_key_opens_nothing_a_second_later_in_any_worker(
    redis_process: RealRedis, start_server: ServerStarter
):
    """S2, on two real workers; a new one opens as soon."""
    redis_process.publish(shop())
    home = start_server.home
    first = oferta("keys", "create", "app", home=home).stdout.strip()
    server = start_server(redis_process.url, "--workers", "2")
    clients = clients_of_both(server)

    def codes(key: str) -> set[int]:
        return {
            client.get("/v1/popular", headers={"X-API-Key": key}).status_code for client in clients
        }

    assert codes(first) == {200}
    second = oferta("keys", "rotate", "app", home=home).stdout.strip()
    time.sleep(EFFECTIVE_S)
    assert codes(first) == codes(second) == {200}
    oferta("keys", "revoke", first[7:19], home=home)
    time.sleep(EFFECTIVE_S)
    assert codes(first) == {401}
    assert codes(second) == {200}
    for client in clients:
        client.close()


def test_a_server_of_one_tenant_alone_is_refused(tmp_path: Path):
    tried = oferta("serve", home=tmp_path, OFERTA_TENANT="dealer")

    assert tried.returncode == 2
    assert "OFERTA_TENANT" in tried.stderr


def test_a_tenant_that_the_settings_do_not_name_is_refused(tmp_path: Path):
    tried = oferta("--tenant", "dealer", "decide", "c-1042", home=tmp_path)

    assert tried.returncode == 2
    assert "unknown tenant 'dealer'" in tried.stderr
