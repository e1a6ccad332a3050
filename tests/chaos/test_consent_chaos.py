"""No personal answer after an acknowledged opt-out, on any process, whatever becomes of Redis."""

import os
from pathlib import Path

import pytest
from chaos.consent_chaos import (
    FAULTS,
    VIOLATIONS,
    comes_back_empty,
    comes_back_older,
    hangs,
    run,
)
from chaos.table import record

ROUNDS = max(1, int(os.environ.get("OFERTA_CHAOS_ROUNDS", "1")) // 4)
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("plant", "faults"),
    [
        ("believes the copies", [hangs, comes_back_older, comes_back_empty]),
        ("acknowledges first", [hangs, comes_back_older]),
    ],
)
def test_the_readers_notice_who_keeps_consent_badly(tmp_path: Path, plant: str, faults: list):
    """Else the next test would mean nothing."""
    counts = run(tmp_path, rounds=1, seed=SEED, plant=plant, faults=faults)
    assert counts["personal after the 200"] > 0, counts
    assert counts["personal, to others"] > counts["personal after the 200"] // 10


@pytest.mark.chaos
@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_no_answer_is_personal_once_an_opt_out_was_acknowledged(tmp_path: Path):
    counts = run(tmp_path, rounds=ROUNDS, seed=SEED)
    record(
        "Opt-outs (P1)",
        {name: counts[name] for name in sorted(counts.keys() | set(VIOLATIONS))},
        f"OFERTA_CHAOS_ROUNDS={4 * ROUNDS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/chaos/test_consent_chaos.py",
    )
    assert {name: counts[name] for name in VIOLATIONS} == dict.fromkeys(VIOLATIONS, 0)
    assert counts["faults"] == len(FAULTS) * ROUNDS
    assert counts["opt-outs"] > 20 * ROUNDS
    assert counts["to who had opted out"] > 200 * ROUNDS
    assert counts["personal, to others"] > 50 * ROUNDS
