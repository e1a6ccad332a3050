"""Publishing under real kills: readers never see two versions, a gap, a torn row or a step back."""

import os
from pathlib import Path

import pytest
from chaos.publish_chaos import VIOLATIONS, run, run_with_planted_fault, summary
from chaos.table import record

ROUNDS = int(os.environ.get("OFERTA_CHAOS_ROUNDS", "9"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))


@pytest.mark.chaos
def test_the_readers_notice_a_publisher_that_writes_in_place(tmp_path: Path):
    """Else the next test would mean nothing."""
    counts = run_with_planted_fault(tmp_path, publishes=6, seed=1)
    print(summary(counts))  # noqa: T201 - what was counted is the result
    assert counts["mixed"] > 0
    assert counts["missing"] > 0
    assert counts["reads"] > counts["mixed"]


@pytest.mark.chaos
@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_no_reader_sees_anything_but_whole_releases(tmp_path: Path):
    counts = run(tmp_path, rounds=ROUNDS, seed=SEED)
    record(
        "Publish: publishers, Redis and readers are killed",
        {name: counts[name] for name in (*VIOLATIONS, *sorted(counts.keys() - set(VIOLATIONS)))},
        f"OFERTA_CHAOS_ROUNDS={ROUNDS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/chaos/test_publish_chaos.py",
    )
    assert {name: counts[name] for name in VIOLATIONS} == dict.fromkeys(VIOLATIONS, 0)
    assert counts["reads"] > 50 * ROUNDS
    assert counts["killed at a step"] == ROUNDS
    assert counts["versions seen"] > ROUNDS
