"""The trials of a study's searches: kept in an Optuna journal, shown as runs in MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from oferta.evaluation.search import quiet_optuna
from oferta_experiments.study.result import Trial
from oferta_experiments.study.runs import STUDY, Runs

if TYPE_CHECKING:
    import optuna

_ENTRY = "oferta:entry"


@dataclass(slots=True)
class _Book:
    """Where a variant's trials are kept: another one where code or what is asked differ."""

    name: str
    run_id: str
    recalled_s: float = 0.0


@dataclass(slots=True)
class Journal:
    """Finished trials of one study, by variant; readable by Optuna's own tools.

    Attributes:
        path: the journal's file.
        study: the study's name, for the tags of runs.
        runs: where each trial gets a run.
    """

    path: Path
    study: str
    runs: Runs
    _books: dict[str, _Book] = field(default_factory=dict)
    _known: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _studies: dict[str, "optuna.Study"] = field(default_factory=dict)

    def begin(self, model: str, *, book: str, run_id: str) -> None:
        """Keep trials of the variant `model` under `book`, and show them below the run."""
        self._books[model] = _Book(book, run_id)

    def recalled(self, model: str) -> float:
        """Seconds of the variant's trials that were read and not made since `begin`."""
        return self._books[model].recalled_s

    def recall(
        self, model: str, settings: Mapping[str, Any], share: float
    ) -> Mapping[str, Any] | None:
        """The entry of a finished trial of the variant `model`, or None."""
        self._open(model)
        book = self._books[model]
        entry = self._known.get((book.name, _key(settings, share)))
        if entry is not None:
            book.recalled_s += float(entry.get("seconds", 0.0))
            self._show(model, entry, settings)
        return entry

    def keep(self, model: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Store a finished trial, and show it."""
        import optuna  # noqa: PLC0415 - half a second that only a search must pay

        study = self._open(model)
        key = _key(settings, float(entry["share_of_customers"]))
        failed = "value" not in entry
        state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
        params = {name: _plain(value) for name, value in settings.items()}
        with quiet_optuna():
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    value=None if failed else entry["value"],
                    user_attrs={**params, _ENTRY: {"key": key, **entry}},
                )
            )
        self._known[self._books[model].name, key] = entry
        self._show(model, entry, settings)

    def _open(self, model: str) -> "optuna.Study":
        book = self._books[model].name
        if book not in self._studies:
            import optuna  # noqa: PLC0415
            from optuna.storages import JournalStorage  # noqa: PLC0415
            from optuna.storages.journal import (  # noqa: PLC0415
                JournalFileBackend,
                JournalFileOpenLock,
            )

            with quiet_optuna():
                # A lock that is a link would outlive a process that was killed holding it.
                lock = JournalFileOpenLock(str(self.path))
                storage = JournalStorage(JournalFileBackend(str(self.path), lock_obj=lock))
                study = optuna.create_study(
                    storage=storage, study_name=book, direction="maximize", load_if_exists=True
                )
            for trial in study.get_trials(deepcopy=False):
                kept = dict(trial.user_attrs[_ENTRY])
                self._known[book, kept.pop("key")] = kept
            self._studies[book] = study
        return self._studies[book]

    def _show(self, model: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        book = self._books[model]
        share = float(entry["share_of_customers"])
        mark = blake2b(_key(settings, share).encode(), digest_size=8).hexdigest()
        part = f"{book.name}/trial/{mark}"
        if self.runs.is_finished(part):
            return
        stated = entry["settings"]
        name = ", ".join(f"{key}={value}" for key, value in stated.items()) or "as stated"
        if share < 1:
            name += f" on {share:.0%} of customers"
        tags = {STUDY: self.study, "oferta.variant": model, "oferta.kind": "trial"}
        with self.runs.open(name[:250], part=part, tags=tags, parent=book.run_id) as run_id:
            self.runs.params(run_id, {**stated, "share_of_customers": share})
            if "value" in entry:
                self.runs.metrics(
                    run_id, {"validation": entry["value"], "seconds": entry["seconds"]}
                )
            else:
                self.runs.tags(run_id, {"oferta.failed": str(entry["why"])})


def trials_of(log: Mapping[str, Any] | None) -> tuple[Trial, ...]:
    """The trials that an evaluation's `tuning` log of one model tells of, in the order tried."""
    models = [] if log is None else log["models"]
    if not models:
        return ()
    one = models[0]
    return (
        *(
            Trial(
                settings=entry["settings"],
                value=entry["value"],
                seconds=entry["seconds"],
                share_of_customers=entry["share_of_customers"],
            )
            for entry in one.get("tried", ())
        ),
        *(
            Trial(
                settings=entry["settings"],
                value=None,
                seconds=0.0,
                share_of_customers=entry.get("share_of_customers", 1.0),
                state=state,
                why=entry["why"],
            )
            for kind, state in (("stopped", "stopped"), ("skipped", "failed"))
            for entry in one.get(kind, ())
        ),
    )


def _key(settings: Mapping[str, Any], share: float) -> str:
    asked = {"settings": dict(settings), "share": round(share, 4)}
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: Any) -> Any:  # noqa: ANN401 - a setting of any type
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
