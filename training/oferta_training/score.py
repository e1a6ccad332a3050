"""Scores under the state folder: made from a registered version, found again by age."""

import shutil
import tempfile
from pathlib import Path

from oferta.clock import Clock
from oferta.errors import SourceRefused
from oferta.events.dataset import open_dataset
from oferta.models.saved import load
from oferta.progress import Progress
from oferta_training import registry
from oferta_training.batch import Scoring, score_everyone
from oferta_training.scores import MANIFEST, ScoresFolder

_KEPT = 3  # the live release's, the previous one's and the ones just made


def score(
    home: Path, *, model: str | None, dataset: Path | None, clock: Clock, progress: Progress
) -> ScoresFolder:
    """Score everyone with a registered version: `model` as `registry.find` takes it.

    `dataset` None: the one that the version was trained on. The version is pinned by its number
    here, so an alias that moves meanwhile changes nothing.

    Raises:
        RegistryError: no such version.
        ArtefactInvalid: its stored arrays are not the ones that were registered.
        SourceRefused: the dataset is gone.
    """
    version = registry.find(home, model)
    job = registry.job_of(home, version)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(registry.download(home, version, Path(folder)))
    opened = open_dataset(
        dataset or Path(version.dataset), home=home, clock=clock, progress=progress
    )
    what = Scoring(version.label, version.run_id, loaded, job, opened, clock.now())
    name = f"{version.name}-{version.number}-{opened.fingerprint[:12]}"
    made = score_everyone(what, home / "scores" / name, progress=progress)
    _forget_old(home)
    return made


def newest_scores(home: Path) -> Path:
    """The finished scores folder that was made last.

    Raises:
        SourceRefused: there is none.
    """
    finished = _finished(home)
    if not finished:
        raise SourceRefused(
            "scores.none", home / "scores", "holds no scores", remedy="Run `oferta publish` first."
        )
    return finished[0]


def _finished(home: Path) -> list[Path]:
    manifests = (home / "scores").glob(f"*/{MANIFEST}")
    return [
        manifest.parent
        for manifest in sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)
    ]


def _forget_old(home: Path) -> None:
    for folder in _finished(home)[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
