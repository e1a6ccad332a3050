"""Published figures that the harness must reproduce exactly, by the command that users run.

The data is found by OFERTA_BENCH_DATA: a folder with a sub-folder per data set.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench_data

TOLERANCE = 1e-4


@pytest.fixture
def bench_data() -> Path:
    folder = os.environ.get("OFERTA_BENCH_DATA")
    if not folder:
        pytest.skip("OFERTA_BENCH_DATA is unset: published figures were NOT checked")
    return Path(folder)


def measured(data: Path, home: Path, *options: str) -> tuple[int, dict[str, float]]:
    """Customers and means that `oferta evaluate` finds."""
    command = [sys.executable, "-m", "oferta", "evaluate", str(data), "--json", "-"]
    done = subprocess.run(
        [*command, "--home", str(home), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    means = {name: figure["mean"] for name, figure in result["metrics"].items()}
    return result["customers"], means


def test_ease_on_ml_100k_in_the_published_split(bench_data: Path, tmp_path: Path):
    """P .3739, R .2430, NDCG .2905 over 942 customers (recall by |test|, IDCG uncut)."""
    customers, means = measured(
        bench_data / "ml-100k-mcrec", tmp_path,
        "--split", "column:split", "--models", "ease", "--set", "ease.l2=458",
        "--recall", "test", "--idcg", "full", "--k", "10",
    )  # fmt: skip
    assert customers == 942
    published = {"precision@10": 0.3739, "recall@10": 0.2430, "ndcg@10": 0.2905}
    for name, figure in published.items():
        assert means[name] == pytest.approx(figure, abs=TOLERANCE), name


def test_ease_on_ml_1m_leave_one_out_among_99_negatives(bench_data: Path, tmp_path: Path):
    """HR@10 .7192, NDCG@10 .4494. 156 customers' candidates hold their own test product."""
    customers, means = measured(
        bench_data / "ml-1m", tmp_path,
        "--split", "column:split_ncf", "--models", "ease", "--set", "ease.l2=1320",
        "--candidates", str(bench_data / "ml-1m" / "ncf_candidates.parquet"), "--k", "10",
    )  # fmt: skip
    assert customers == 6040
    published = {"hr@10": 0.7192, "ndcg@10": 0.4494}
    for name, figure in published.items():
        assert means[name] == pytest.approx(figure, abs=TOLERANCE), name
