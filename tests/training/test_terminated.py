"""SIGTERM is how service managers stop things: what was started must be stopped too."""

import signal
import subprocess
import sys
import time
from pathlib import Path


def test_a_terminated_command_takes_its_embedded_redis_along(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "import oferta.cli as cli\n"
        "from pathlib import Path\n"
        "from oferta.store.connecting import StoreSettings, connect\n"
        "@cli.app.command()\n"
        "def hold() -> None:\n"
        f"    with connect(StoreSettings(Path({str(tmp_path)!r}))) as store:\n"
        "        store.writer.capacity()\n"
        "        print('holding', flush=True)\n"
        "        time.sleep(60)\n"
        "sys.argv = ['oferta', 'hold']\n"
        "cli.main()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"holding\n"
        assert servers_under(tmp_path)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10
    while servers_under(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert servers_under(tmp_path) == []


def servers_under(folder: Path) -> list[int]:
    """The redis-servers whose working folder is in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            where = str((process / "cwd").readlink())
        except OSError:
            continue
        if name == "redis-server" and where.startswith(str(folder)):
            found.append(int(process.name))
    return found
