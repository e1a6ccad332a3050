"""A shop that was trained on once, shared read-only by the tests of this folder."""

import shutil
from pathlib import Path

import pytest
from shop import write_shop
from trained_shop import JOB, NOW, Shop

from oferta.clock import FixedClock
from oferta.events.dataset import open_dataset
from oferta.progress import Silent
from oferta.settings import parse
from oferta_training.job import Job
from oferta_training.score import score
from oferta_training.scores import ScoresFolder
from oferta_training.train import train


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    home, clock = folder / ".oferta", FixedClock(NOW)
    source = write_shop(folder / "source")
    dataset = open_dataset(source, home=home, clock=clock, progress=Silent())
    job = parse(JOB, Job, place="test")
    trained = train(dataset, job, home=home, clock=clock, progress=Silent())
    made = score(home, model=None, dataset=None, clock=clock, progress=Silent())
    # Scoring again, as tests do, forgets old scores: these are kept apart.
    scores = ScoresFolder.open(Path(shutil.copytree(made.path, folder / "scores")))
    return Shop(home, dataset, trained, scores)
