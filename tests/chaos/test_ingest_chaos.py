"""Events under real kills: what was acknowledged has its effect once, and is archived once."""

import os
from pathlib import Path

import pytest
from chaos.ingest_chaos import VIOLATIONS, Kind, run, summary
from chaos.table import record

EVENTS = int(os.environ.get("OFERTA_CHAOS_EVENTS", "3000"))
KILLS = int(os.environ.get("OFERTA_CHAOS_KILLS", "6"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("kind", "fault"), [("acknowledges first", "lost"), ("forgets what it applied", "double")]
)
def test_the_count_shows_consumers_that_lose_and_that_repeat(
    tmp_path: Path, kind: Kind, fault: str
):
    """Else the next test would mean nothing."""
    counts = run(tmp_path, events=1000, kills=4, seed=1, kind=kind)
    print(summary(counts))  # noqa: T201 - what was counted is the result
    assert counts[fault] > 0


@pytest.mark.chaos
@pytest.mark.timeout(120 + EVENTS // 200 + 2 * KILLS)
def test_every_event_counts_once_whoever_is_killed(tmp_path: Path):
    counts = run(tmp_path, events=EVENTS, kills=KILLS, seed=SEED)
    record(
        "Ingest: senders repeat themselves, consumers and Redis are killed",
        {name: counts[name] for name in (*VIOLATIONS, *sorted(counts.keys() - VIOLATIONS))},
        f"OFERTA_CHAOS_EVENTS={EVENTS} OFERTA_CHAOS_KILLS={KILLS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/chaos/test_ingest_chaos.py",
    )
    assert {name: counts[name] for name in VIOLATIONS} == dict.fromkeys(VIOLATIONS, 0)
    assert counts["kills of consumers"] + counts["kills of Redis"] == KILLS
    assert counts["replays"] > 0
