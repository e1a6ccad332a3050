"""What a nightly run has done so far: one JSON file, replaced whole after every step.

<home>/nightly/lock            held while a run, or a step of one that was killed, is at work
<home>/nightly/state.json      the last run
<home>/nightly/history.jsonl   one line for every run that ended
<home>/nightly/report.html     the last run, and those before it
<home>/nightly/runs/<run>/     what each step printed
<home>/datasets/nightly-<run>  the dataset of each night, the newest few

Of a customer there is something in the datasets alone: examples of rows are cut out of what is kept
of a step's words.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from oferta.durable import lock_if_free, replaced
from oferta.events.manifest import MANIFEST

Step = Literal["ingest", "train", "gate", "publish", "monitor"]
Outcome = Literal["done", "failed", "refused", "skipped"]

STEPS: Final[tuple[Step, ...]] = ("ingest", "train", "gate", "publish", "monitor")
RUNS_KEPT: Final = 60
NIGHTLY: Final = "nightly-"
"""What the names of datasets begin with that are of a night."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """How a step ended.

    Attributes:
        began, ended: epoch seconds.
        said: one line for people.
        facts: what later steps and the report need of it.
    """

    step: Step
    outcome: Outcome
    began: float
    ended: float
    said: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One night.

    Attributes:
        name: its instant, as 20261123T020000Z.
        settings: digest of what was asked for.
        began: epoch seconds.
        steps: those that ended, in order; a step that was done again has replaced itself.
        ended: epoch seconds; None: it is at work, or was killed.
    """

    name: str
    settings: str
    began: float
    steps: tuple[StepDone, ...] = ()
    ended: float | None = None

    def step(self, step: Step) -> StepDone | None:
        """How the step ended; None: it has not."""
        return next((one for one in self.steps if one.step == step), None)

    def done(self, step: Step) -> bool:
        """Whether the step is done and need not be done again."""
        found = self.step(step)
        return found is not None and found.outcome == "done"

    def with_step(self, done: StepDone) -> "Run":
        """The same, this step ended so; what came after an earlier attempt is forgotten."""
        at = STEPS.index(done.step)
        before = tuple(one for one in self.steps if STEPS.index(one.step) < at)
        return replace(self, steps=(*before, done))

    @property
    def result(self) -> str:
        """`done`, or the first step that was not, and how it ended."""
        wrong = next((one for one in self.steps if one.outcome in {"failed", "refused"}), None)
        if wrong is not None:
            return f"{wrong.step} {wrong.outcome}"
        return "done" if self.ended is not None else "at work"


def run_name(now: datetime) -> str:
    """The name of a run that begins at `now`."""
    return f"{now:%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a state folder keeps its nights."""

    home: Path

    @property
    def folder(self) -> Path:
        """Everything but the datasets."""
        return self.home / "nightly"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    def run(self, run: Run) -> Path:
        """What the steps of the run printed."""
        return self.folder / "runs" / run.name

    def dataset(self, run: Run) -> Path:
        """The run's dataset."""
        return self.home / "datasets" / f"{NIGHTLY}{run.name}"

    def datasets(self) -> list[Path]:
        """The datasets of the nights that are kept, the newest first."""
        found = (self.home / "datasets").glob(f"{NIGHTLY}*/{MANIFEST}")
        return sorted((path.parent for path in found), key=lambda one: one.name, reverse=True)

    def last(self) -> Run | None:
        """The last run; None where there was none, or none that can be read."""
        try:
            fields = json.loads((self.folder / "state.json").read_bytes())
            steps = tuple(StepDone(**one) for one in fields.pop("steps"))
            return Run(**fields, steps=steps)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def save(self, run: Run) -> None:
        """Keep the run's state: the old one or the new one, whole, whatever is killed when."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replaced(self.folder / "state.json") as file:
            file.write(json.dumps(asdict(run), indent=1).encode())

    def close(self, run: Run) -> None:
        """The run has ended: keep it, and add it to the history."""
        self.save(run)
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")

    def history(self) -> list[Run]:
        """All runs that ended, the newest first."""
        try:
            lines = (self.folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: dict[str, Run] = {}
        for line in lines:
            try:
                fields = json.loads(line)
                steps = tuple(StepDone(**one) for one in fields.pop("steps"))
                run = Run(**fields, steps=steps)
            except (ValueError, TypeError, KeyError):
                continue  # torn by a full disk
            found.pop(run.name, None)
            found[run.name] = run  # one that was gone on with counts as it ended last
        return list(found.values())[::-1]

    @contextmanager
    def locked(self) -> Iterator[int | None]:
        """The lock's descriptor, to be handed on to steps; None: another run has it.

        A step inherits it: killed alone, a run leaves a step at work, and the next one waits.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock_if_free(self.folder / "lock") as descriptor:
            yield descriptor
