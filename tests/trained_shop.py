"""The shop of `shop.py` after a training run and a scoring: what the tests of training read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oferta.events.dataset import Dataset
from oferta_training.scores import ScoresFolder
from oferta_training.train import Trained

NOW = datetime(2025, 7, 2, tzinfo=UTC)
JOB = {
    "name": "shop",
    "segments": {"by": ["kind"], "min_customers": 10},
    "evaluation": {"k": [3], "metric": "ndcg@3", "split": "time:31d"},
    "policy": {"repeatable": False},
    "embedding": {"settings": {"factors": 8}},
    "calibration": {"method": "auto"},
    "scores": {"top_n": 4},
    "models": {
        "popularity": {"by_segment": False},
        "ease": {"l2": 5.0},
        "als": {"factors": 8, "regularization": 1.0},
    },
}


@dataclass(frozen=True)
class Shop:
    """What the session trained once: read it, never change it."""

    home: Path
    dataset: Dataset
    trained: Trained
    scores: ScoresFolder
