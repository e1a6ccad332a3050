"""The data of a study, opened."""

from pathlib import Path

from oferta.clock import Clock
from oferta.events.dataset import Dataset, open_dataset
from oferta.progress import Progress
from oferta_experiments.demo.grocer import write_source
from oferta_experiments.study.spec import DEMO, StudySpec


def open_source(
    spec: StudySpec, folder: Path, *, home: Path, clock: Clock, progress: Progress
) -> Dataset:
    """The dataset that the study in `folder` names; the demo's is made under `home` first.

    Raises:
        SettingsInvalid: the variable that the path names is not set.
        SourceRefused: it is not there, or no dataset.
    """
    if spec.dataset != DEMO:
        return open_dataset(spec.source(folder), home=home, clock=clock, progress=progress)
    source = home / "demo" / "source"
    if not (source / "customers.parquet").is_file():
        write_source(source)
    return open_dataset(source, home=home, clock=clock, progress=progress)
