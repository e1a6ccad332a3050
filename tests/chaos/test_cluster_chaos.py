"""A primary of the cluster dies under load: its customers fall back, nobody else notices."""

import os
from pathlib import Path

import pytest
from chaos.cluster_chaos import GIVE_UP_S, run, summary
from chaos.table import record

KILLS = int(os.environ.get("OFERTA_CHAOS_PRIMARIES", "1"))
COMMAND = f"OFERTA_CHAOS_PRIMARIES={KILLS} pytest tests/chaos/test_cluster_chaos.py"

DEAD_S = 5.0
CALL_MS = 25.0
NOISE = 0.01
"""What is promised on a machine of our own; several tests at once share this one."""


@pytest.mark.chaos
@pytest.mark.needs_tool("redis-server")
def test_a_server_that_never_looks_at_the_slots_again_is_noticed(tmp_path: Path):
    """Else the next test would mean nothing."""
    (kill,) = run(tmp_path, kills=1, careless=True)
    assert kill.dead_s >= GIVE_UP_S


@pytest.mark.chaos
@pytest.mark.needs_tool("redis-server")
@pytest.mark.timeout(60 + 30 * KILLS)
def test_only_the_customers_of_a_killed_primary_fall_back_and_not_for_long(tmp_path: Path):
    kills = run(tmp_path, kills=KILLS)
    counts = summary(kills)
    record("Cluster primaries killed", counts, COMMAND)
    assert kills[0].held_pointer
    assert all(kill.fallbacks > 5 for kill in kills)
    assert counts["answers of 5xx or none"] == 0
    assert counts["answers to others that were not personalised"] <= NOISE * counts["answers"]
    assert counts["dead slots, longest (s)"] <= DEAD_S
    assert sorted(kills[0].calls_ms)[len(kills[0].calls_ms) // 2] <= CALL_MS
