"""Scores under the state folder: made from a registered version, found again by age or origin.

scores/<model>-<version>-<dataset>-<instant>   finished; never written to again
scores/.draft-<random>                         a run at work, or the rest of a dead one
"""

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from oferta.clock import Clock
from oferta.errors import SourceRefused
from oferta.events.dataset import Dataset, open_dataset
from oferta.models.propensity.stored import load_propensity
from oferta.models.saved import load
from oferta.policy.file import Policy
from oferta.progress import Progress
from oferta.store.forgotten import forgotten_of
from oferta_training import registry
from oferta_training.batch import Scoring, score_everyone
from oferta_training.job import Job
from oferta_training.scores import DRAFT, ScoresFolder, finished
from oferta_training.whole_base import Scope, end_of, told_by

_KEPT = 3  # of each model: the live release's, the previous one's and the ones just made
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which profiles to score along.

    Attributes:
        profiles: whether; None: as the version's job says.
        as_of: the instant they describe; None: the end of the data.
        policy: which decides on them: its time zone and attributes, and not the job's.
    """

    profiles: bool | None = None
    as_of: datetime | None = None
    policy: Policy | None = None

    def scope(self, job: Job, dataset: Dataset, *, now: datetime) -> Scope | None:
        """What profiles to make; None: none. Data without a time is taken to be of `now`."""
        stated = job.profiles.make if self.profiles is None else self.profiles
        if not (told_by(dataset) if stated is None else stated):
            return None
        said = self.policy or job.profiles
        return Scope(
            self.as_of or end_of(dataset) or now,
            ZoneInfo(job.profiles.zone) if self.policy is None else self.policy.zone,
            said.attributes,
            job.profiles.settings,
            None if self.policy is None else self.policy.value,
        )


AS_THE_JOB_SAYS: Final = Wanted()


def score(
    home: Path,
    *,
    model: str | None,
    dataset: Path | None,
    clock: Clock,
    progress: Progress,
    wanted: Wanted = AS_THE_JOB_SAYS,
) -> ScoresFolder:
    """Score everyone with a registered version: `model` as `registry.find` takes it.

    `dataset` None: the one that the version was trained on. The version is pinned by its number
    here, so an alias that moves meanwhile changes nothing. Finished scores are never written to
    again; older ones than the newest three of their model are removed.

    Raises:
        RegistryError: no such version.
        ArtefactInvalid: its stored arrays are not the ones that were registered.
        SourceRefused: the dataset is gone.
    """
    version = registry.find(home, model)
    job = registry.job_of(home, version)
    with tempfile.TemporaryDirectory() as folder:
        artefact = registry.download(home, version, Path(folder))
        loaded = load(artefact)
        beside = registry.propensity_beside(artefact)
        propensity = (
            None if beside is None else load_propensity(beside, products=len(loaded.products))
        )
    opened = open_dataset(
        dataset or Path(version.dataset),
        home=home,
        clock=clock,
        progress=progress,
        forgotten=forgotten_of(home),
    )
    now = clock.now()
    scope = wanted.scope(job, opened, now=now)
    what = Scoring(
        version.label,
        version.run_id,
        loaded,
        job,
        opened,
        now,
        scope,
        propensity,
        before=_profiles_before(home, version.name),
    )
    name = f"{version.name}-{version.number}-{opened.fingerprint[:12]}-{what.at:%Y%m%dT%H%M%SZ}"
    with _draft(home / "scores") as draft:
        made = score_everyone(what, draft, progress=progress)
        made = replace(made, path=_named(draft, name))
    _forget_old(home)
    return made


def scores_for(
    home: Path,
    *,
    model: str | None,
    dataset: Path | None,
    clock: Clock,
    progress: Progress,
    wanted: Wanted = AS_THE_JOB_SAYS,
) -> ScoresFolder:
    """The newest whole scores of the version and dataset that `score` would take, else new ones.

    Scores without profiles are not taken where `wanted` asks for them, nor others for an `as_of`.

    Raises:
        RegistryError, ArtefactInvalid, SourceRefused: as `score`.
    """
    version = registry.find(home, model)
    fingerprint = version.fingerprint
    if dataset is not None:
        opened = open_dataset(dataset, home=home, clock=clock, progress=progress)
        fingerprint = opened.fingerprint
    for folder in finished(home):
        with suppress(SourceRefused):
            found = ScoresFolder.glance(folder)
            same = (found.model, found.dataset) == (version.label, fingerprint)
            if same and _has(found, wanted):
                return ScoresFolder.open(folder)
    return score(
        home,
        model=version.label,
        dataset=dataset,
        clock=clock,
        progress=progress,
        wanted=wanted,
    )


def _has(found: ScoresFolder, wanted: Wanted) -> bool:
    if wanted.profiles is not None and wanted.profiles != (found.base is not None):
        return False
    return wanted.as_of is None or (found.base is not None and found.base.as_of == wanted.as_of)


def _profiles_before(home: Path, model: str) -> ScoresFolder | None:
    """The newest scores of the model that have profiles."""
    for folder in finished(home):
        with suppress(SourceRefused):
            found = ScoresFolder.glance(folder)
            if found.base is not None and found.model.partition("/")[0] == model:
                return found
    return None


def newest_scores(home: Path) -> Path:
    """The finished scores folder that was made last.

    Raises:
        SourceRefused: there is none.
    """
    made = finished(home)
    if not made:
        raise SourceRefused(
            "scores.none", home / "scores", "holds no scores", remedy="Run `oferta publish` first."
        )
    return made[0]


def _forget_old(home: Path) -> None:
    seen: Counter[str] = Counter()
    for folder in finished(home):
        try:
            name = ScoresFolder.glance(folder).model.partition("/")[0]
        except SourceRefused:
            name = ""  # of another version of oferta
        seen[name] += 1
        if seen[name] > _KEPT:
            # As a draft first: killed meanwhile, what is left does not pass for finished.
            with suppress(OSError):
                folder.rename(_draft_name(home / "scores"))
    _remove_dead(home / "scores")


@contextmanager
def _draft(scores: Path) -> Iterator[Path]:
    """A new folder, locked while it is written; what is still there in the end is removed."""
    scores.mkdir(parents=True, exist_ok=True)
    held = None
    while held is None:  # None: taken for a dead run's before it could be locked
        folder = _draft_name(scores)
        folder.mkdir()
        held = _locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _draft_name(scores: Path) -> Path:
    return scores / f"{DRAFT}{secrets.token_hex(4)}"


def _named(draft: Path, name: str) -> Path:
    """Rename `draft` to `name`, with a number after it where another run was there first."""
    number, target = 1, draft.with_name(name)
    while True:
        try:
            return draft.rename(target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        number += 1
        target = draft.with_name(f"{name}-{number}")


def _remove_dead(scores: Path) -> None:
    for draft in scores.glob(f"{DRAFT}*"):
        held = _locked(draft)
        if held is not None:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(held)


def _locked(folder: Path) -> int | None:
    """A lock on `folder` that ends with this process; None where it is another's, or gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if folder.exists():
        return descriptor
    os.close(descriptor)
    return None
