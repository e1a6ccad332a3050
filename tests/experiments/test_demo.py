"""The demos as a stranger runs them: real Redis, the commands as child processes."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ran(folder: Path, *options: str) -> str:
    """What the demo printed: it ended well, without a warning, and nothing runs on."""
    done = subprocess.run(
        [sys.executable, "-m", "oferta", "demo", "--once", "--port", str(free_port()), *options],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert not (folder / ".oferta" / "redis" / "redis.sock").exists()
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ran(tmp_path_factory.mktemp("demo"), "--customers", "4000")


@pytest.mark.parametrize(
    "said",
    [
        "simulated",
        "the balloon falls due in",
        "the insurance renews in",
        "the warranty ends in",
        "% with fees",  # the annual rate of credit
        "≠",  # a counter-offer, and how it differs from the wish
        "receipt of d_",
        "silence.decline",
        "fired before and are silent",
        "best offer worth less",
        "Replayed: the same decision",
        "--channel email",
        "paid by",  # an incentive, and its funder
        "Done after",
        "Serve on",
    ],
)
def test_the_demo_shows(page: str, said: str) -> None:
    assert said in page


def test_what_is_stopped_is_not_called_up_and_serving(page: str) -> None:
    assert "Up and serving" not in page
    assert "curl" not in page


def test_models_are_compared_in_a_line_each_before_the_first_offer(page: str) -> None:
    lines = re.findall(r"^(\S+) +\S+@\d+ +\.\d+ +\.\d+-\.\d+ *$", page, flags=re.MULTILINE)
    assert len(lines) > 1
    assert "beside accuracy" not in page


def test_it_speaks_both_languages(page: str) -> None:
    assert re.search(r"[\u4e00-\u9fff]", page)


def test_every_best_offer_shows_the_parts_that_multiply_to_its_value(page: str) -> None:
    parts = re.findall(
        r"^│ +([\d.]+) = accept ([\d.e-]+) x approved ([\d.]+) x \(margin ([\d.]+) - "
        r"loss ([\d.]+)\) x moment ([\d.]+) x lever ([\d.]+)",
        page,
        flags=re.MULTILINE,
    )
    assert len(parts) == 4
    for value, accept, approved, margin, loss, moment, lever in parts:
        product = float(accept) * float(approved) * (float(margin) - float(loss))
        product *= float(moment) * float(lever)
        assert float(value) == pytest.approx(product, rel=0.02, abs=0.02)


def test_its_frames_are_a_hundred_columns_wide(page: str) -> None:
    framed = [line for line in page.splitlines() if line.startswith(("│", "╭", "╰"))]
    assert {cell_len(line) for line in framed} == {100}


def test_a_declined_offer_is_gone_from_the_next_answer(page: str) -> None:
    before = re.search(r"^before +(.+)$", page, flags=re.MULTILINE)
    after = re.search(r"^after +(.+)$", page, flags=re.MULTILINE)
    assert before
    assert after
    assert before[1].split(", ")[0] not in after[1].split(", ")


@pytest.mark.chaos
@pytest.mark.skipif(
    "OFERTA_CHAOS_ROUNDS" not in os.environ, reason="the long form: `make chaos` runs it"
)
def test_the_retail_demo_runs_through(tmp_path: Path) -> None:
    page = ran(tmp_path, "--data", "retail")
    for said in ("events", "ndcg@10", "champion", "is live", "never seen before", "Serve on"):
        assert said in page
    assert re.search(r"release 1 · model grocer/1 · \d+ s old · personalised", page)
    assert re.search(r"popular · cold", page)
