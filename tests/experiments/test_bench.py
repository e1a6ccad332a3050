"""The speed table's own arithmetic: a wrong ratio would be believed."""

from pathlib import Path

import polars as pl
import pytest
from numpy.random import default_rng

from oferta_experiments.bench import rows
from oferta_experiments.bench.generate import write_source
from oferta_experiments.bench.load import _read


def test_the_ratio_is_of_pairs_so_a_machine_that_slows_down_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours takes twice the anchor's time in every round, whatever the machine does meanwhile."""
    taken = iter([2.0, 1.0, 20.0, 10.0, 4.0, 2.0])
    monkeypatch.setattr(rows, "seconds", lambda _: next(taken))
    assert rows.in_turn(lambda: None, lambda: None, rounds=3) == (4.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("p99", "milliseconds"), [("850.00us", 0.85), ("12.50ms", 12.5), ("1.20s", 1200.0)]
)
def test_wrks_words_are_read_in_their_units(p99: str, milliseconds: float) -> None:
    printed = (
        f"  Latency Distribution\n     50%  1.50ms\n     99%   {p99}\nRequests/sec:   4711.5\n"
    )
    found = _read(printed)
    assert (found.rps, found.failed) == (4711.5, 0)
    assert (found.p50_ms, found.p99_ms) == (1.5, pytest.approx(milliseconds))


def test_failed_answers_are_counted() -> None:
    printed = "50%  0.50ms\n99%  1.00ms\n  Non-2xx or 3xx responses: 17\nRequests/sec: 10.0\n"
    assert _read(printed).failed == 17


def test_generated_customers_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_source(tmp_path / name, customers=300, products=50, events_each=4, rng=default_rng(5))
    first, second = (
        pl.read_parquet(tmp_path / name / "events" / "part-0000.parquet") for name in ("a", "b")
    )
    assert first.equals(second)
    assert first["customer_id"].n_unique() == 300
    assert first["product_id"].n_unique() > 40
