"""Forgetting under real kills: nothing of who was forgotten is left, nobody else loses anything."""

import os
from pathlib import Path

import pytest
from chaos.erasure_chaos import run
from chaos.table import record

ROUNDS = int(os.environ.get("OFERTA_CHAOS_ERASURES", "1"))
KILLS = int(os.environ.get("OFERTA_CHAOS_ERASURE_KILLS", "2"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))

LEFT = ("files with an id", "keys with a hash", "rows in releases", "others without a row")


@pytest.mark.chaos
def test_a_publisher_that_does_not_ask_who_was_forgotten_is_noticed(tmp_path: Path):
    """Else the next test would mean nothing."""
    counts = run(tmp_path, rounds=1, kills=0, seed=SEED, planted=True)
    assert counts["rows in releases"] > 0
    assert counts["files with an id"] > 0


@pytest.mark.chaos
@pytest.mark.timeout(60 + ROUNDS * (10 + 5 * KILLS))
def test_nothing_is_left_of_who_was_forgotten(tmp_path: Path):
    counts = run(tmp_path, rounds=ROUNDS, kills=KILLS, seed=SEED)
    record(
        "Erasure",
        dict(counts),
        f"OFERTA_CHAOS_ERASURES={ROUNDS} OFERTA_CHAOS_ERASURE_KILLS={KILLS} "
        f"OFERTA_CHAOS_SEED={SEED} pytest tests/chaos/test_erasure_chaos.py",
    )
    assert {name: counts[name] for name in LEFT} == dict.fromkeys(LEFT, 0)
    assert counts["done"] == counts["erasures"] == ROUNDS
