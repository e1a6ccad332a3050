"""Caps under concurrent callers and real kills: never exceeded, and no request decided twice."""

import os
from collections import Counter
from pathlib import Path

import pytest
from chaos.caps_chaos import CUSTOMERS, VIOLATIONS, run, summary
from chaos.table import record

ROUNDS = int(os.environ.get("OFERTA_CHAOS_ROUNDS", "6"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))
KILLS = 6
"""Of one run, each on fresh caps."""


@pytest.mark.chaos
def test_a_store_that_checks_nothing_is_noticed(tmp_path: Path):
    """Else the next test would mean nothing."""
    counts = run(tmp_path, kills=2, seed=1, careless=True)
    print(summary(counts))  # noqa: T201 - what was counted is the result
    assert counts["over the total"] > 0
    assert counts["lost"] > 0
    assert counts["doubled"] > 0


@pytest.mark.chaos
@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_caps_hold_and_no_request_is_decided_twice(tmp_path: Path):
    """Again and again from empty caps: it is while they fill that places are fought for."""
    counts: Counter[str] = Counter()
    for number in range(0, ROUNDS, KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        counts += run(folder, kills=min(KILLS, ROUNDS - number), seed=SEED + number)
    record(
        "Caps: callers at once, deciders and Redis are killed",
        {name: counts[name] for name in (*VIOLATIONS, *sorted(counts.keys() - set(VIOLATIONS)))},
        f"OFERTA_CHAOS_ROUNDS={ROUNDS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/chaos/test_caps_chaos.py",
    )
    assert {name: counts[name] for name in VIOLATIONS} == dict.fromkeys(VIOLATIONS, 0)
    assert counts["kills"] + counts["redis kills"] == ROUNDS
    assert counts["chargers"] > 0
    assert counts["full caps"] >= len(CUSTOMERS) // 2
    assert counts["decisions"] > 100
