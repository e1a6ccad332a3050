"""A tracking server that is away costs a line and some seconds, never what is live."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import write_shop

JOB = """
name = "shop"
[evaluation]
split = "time:31d"
k = [3]
metric = "ndcg@3"
[models.popularity]
"""


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("command", [("train", "files", "--job", "job.toml"), ("publish",)])
def test_a_server_that_hangs_or_is_down_is_one_line(
    tmp_path: Path, silent: int, command: tuple[str, ...]
):
    write_shop(tmp_path / "files")
    (tmp_path / "job.toml").write_text(JOB)
    for port in (silent, 9) if command[0] == "train" else (9,):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "oferta", *command, "--home", str(tmp_path / "home")],
            cwd=tmp_path,
            env={**os.environ, "MLFLOW_TRACKING_URI": f"http://me:s3cr3t@127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "did not answer" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "s3cr3t" not in done.stderr
        assert time.monotonic() - began < 30
        assert not (tmp_path / "home" / "ledger.jsonl").exists()
