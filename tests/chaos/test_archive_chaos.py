"""Archiving under real kills: every accepted event is in the archive, once."""

import os
from pathlib import Path

import pytest
from chaos.archive_chaos import run, summary
from chaos.table import record

KILLS = int(os.environ.get("OFERTA_CHAOS_KILLS", "8"))
EVENTS = int(os.environ.get("OFERTA_CHAOS_EVENTS", "3000"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "1"))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("fault", "step", "seen"), [("forgetful", "written", "double"), ("hasty", "gathered", "lost")]
)
def test_an_archiver_with_a_fault_is_noticed(tmp_path: Path, fault: str, step: str, seen: str):
    """Else the next test would mean nothing."""
    counts = run(tmp_path, kills=2, events=600, seed=2, fault=fault, steps=[step])
    print(summary(counts))  # noqa: T201 - what was counted is the result
    assert counts[seen] > 0


@pytest.mark.chaos
@pytest.mark.timeout(120 + 5 * KILLS)
def test_every_event_is_archived_once_whatever_is_killed_when(tmp_path: Path):
    counts = run(tmp_path, kills=KILLS, events=EVENTS, seed=SEED)
    command = (
        f"OFERTA_CHAOS_EVENTS={EVENTS} OFERTA_CHAOS_KILLS={KILLS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/chaos/test_archive_chaos.py"
    )
    record("Archivers killed", {name: counts[name] for name in sorted(counts)}, command)
    assert counts["kills"] >= KILLS
    named = ("lost", "double", "foreign", "left in the streams")
    assert {name: counts[name] for name in named} == dict.fromkeys(named, 0)
