"""The demo as a stranger runs it: real data, real Redis, the commands as child processes."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path


def test_the_demo_runs_through_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "oferta", "demo", "--once", "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert done.stderr == ""
    for said in ("events", "ndcg@10", "champion", "is live", "never seen before", "/docs", "curl"):
        assert said in done.stdout
    assert re.search(r"release 1 · model grocer/1 · \d+ s old · personalised", done.stdout)
    assert re.search(r"popular · cold", done.stdout)
    assert not (tmp_path / ".oferta" / "redis" / "redis.sock").exists()
