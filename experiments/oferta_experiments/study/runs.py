"""A study in MLflow: a run of the study, under it one per variant, under those one per trial.

Every run has a tag that says which part of which study it is. A study that goes on after a kill
finds its runs by these tags, so no run is there twice.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oferta_experiments.study.files import locked
from oferta_training import tracking

EXPERIMENT: Final = "oferta/studies"
STUDY: Final = "oferta.study"
PART: Final = "oferta.part"
LEFT: Final = "oferta.left"


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one study.

    Attributes:
        home: the state folder.
        experiment: id of the experiment that all studies share, so that they can be compared.
        key: names the study on its data; see `State.key`.
    """

    home: Path
    experiment: str
    key: str

    @contextmanager
    def open(
        self, name: str, *, part: str, tags: Mapping[str, str], parent: str | None = None
    ) -> Iterator[str]:
        """The run of `part`: the one that is there, with these tags now, or a new one."""
        known = self.find(part)
        if known is not None:
            self.tags(known, tags)
        with tracking.run(
            self.home,
            experiment_id=self.experiment,
            name=name,
            tags={**tags, PART: f"{self.key}/{part}"},
            parent=parent,
            again=known,
        ) as run_id:
            yield run_id

    def is_finished(self, part: str) -> bool:
        """Whether the run of `part` is there, and whole."""
        run_id = self.find(part)
        if run_id is None:
            return False
        return str(tracking.client(self.home).get_run(run_id).info.status) == "FINISHED"

    def find(self, part: str) -> str | None:
        """The id of the run of `part`, or None."""
        wanted = f"{self.key}/{part}".replace("'", "\\'")
        found = tracking.client(self.home).search_runs(
            [self.experiment], filter_string=f"tags.`{PART}` = '{wanted}'", max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log settings; those that are there already stay."""
        tracker = tracking.client(self.home)
        known = tracker.get_run(run_id).data.params
        if not known:
            tracking.log_params(tracker, run_id, params)

    def metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log figures."""
        tracking.log_metrics(tracking.client(self.home), run_id, metrics)

    def json(self, run_id: str, name: str, content: object) -> None:
        """Keep `content` with the run."""
        tracking.log_json(tracking.client(self.home), run_id, name, content)

    def file(self, run_id: str, path: Path) -> None:
        """Keep a file with the run."""
        tracking.client(self.home).log_artifact(run_id, str(path))

    def tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        tracker = tracking.client(self.home)
        for name, value in tags.items():
            tracker.set_tag(run_id, name, value)

    def untag(self, run_id: str, tag: str) -> None:
        """Take the tag off, where it is."""
        tracker = tracking.client(self.home)
        if tag in tracker.get_run(run_id).data.tags:
            tracker.delete_tag(run_id, tag)


def open_runs(home: Path, key: str) -> Runs:
    """The runs of the study on its data that `key` names."""
    # The first process makes the tables; a second one at the same time would make them again.
    with locked(home / "mlflow.lock"):
        return Runs(home, tracking.experiment(home, EXPERIMENT), key)
