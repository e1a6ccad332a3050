"""Five times as much as a worker can do: most of the peak is still done, the rest told no (R14)."""

import os
from pathlib import Path

import pytest
from chaos.overload_chaos import UNSENT, rows, run
from chaos.table import record

SECONDS = float(os.environ.get("OFERTA_CHAOS_SECONDS", "1.5"))
LONG = SECONDS > 10


@pytest.mark.chaos
@pytest.mark.timeout(60 + 20 * SECONDS)
def test_five_times_the_load_leaves_most_of_the_peak(tmp_path: Path):
    outcomes = run(tmp_path, seconds=SECONDS)
    command = f"OFERTA_CHAOS_SECONDS={SECONDS:g} pytest tests/chaos/test_overload_chaos.py"
    record("Overload, one worker", rows(outcomes), command)

    for kind, met in outcomes.items():
        for phase in (met.peak, met.closed, met.open, met.again):
            assert set(phase.took) <= {200, 503, UNSENT}, kind
        # Others share this machine, the load's own maker among them: the short form allows for it.
        # At five times the peak's rate the maker alone takes a core, which Redis lacks then.
        assert met.closed.good >= (0.8 if LONG else 0.4) * met.slower_peak, kind
        assert met.open.good >= (0.55 if LONG else 0.25) * met.slower_peak, kind
        before, after = met.megabytes
        assert after < 1.3 * before + 10, kind
    assert 503 in outcomes["decisions"].open.took
