"""What a study says that its figures cannot tell."""

import pytest

from oferta.settings import parse
from oferta_experiments.study.answer import not_tested
from oferta_experiments.study.spec import StudySpec


@pytest.mark.parametrize(
    ("split", "undated", "told"),
    [("time:28d", 0.55, True), ("time:28d", 0.0, False), ("leave-one-out:random", 0.55, False)],
)
def test_events_without_a_time_are_told_where_time_cuts(split: str, undated: float, told: bool):
    """They are learnt from whatever the window is, so they may hold the answer."""
    spec = parse(
        {
            "question": "?",
            "dataset": "shop",
            "evaluation": {"split": split},
            "variants": [{"name": "popular", "model": "popularity"}],
        },
        StudySpec,
        place="study.toml",
    )
    said = not_tested(spec, variants=(), left=(), test_rows=9000, customers=9000, undated=undated)
    assert any("55% of the events have no time" in one for one in said) is told
