"""A study in MLflow: a run of the study, under it one per variant, under those one per trial.

Every run has a tag that says which part of which study it is. A study that goes on after a kill
finds its runs by these tags, so no run is there twice.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oferta_training import tracking

EXPERIMENT: Final = "oferta/studies"
STUDY: Final = "oferta.study"
PART: Final = "oferta.part"


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

    def open(
        self, name: str, *, part: str, tags: Mapping[str, str], parent: str | None = None
    ) -> AbstractContextManager[str]:
        """The run of `part`: the one that is there, or a new one."""
        return tracking.run(
            self.home,
            experiment_id=self.experiment,
            name=name,
            tags={**tags, PART: f"{self.key}/{part}"},
            parent=parent,
            again=self.find(part),
        )

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


def open_runs(home: Path, key: str) -> Runs:
    """The runs of the study on its data that `key` names."""
    return Runs(home, tracking.experiment(home, EXPERIMENT), key)
