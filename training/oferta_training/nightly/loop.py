"""One night: the public commands one after the other, each a process of its own.

The live release changes in the publish step alone, whole or not at all, and only if every step
before it was done. A run that was killed or that failed is gone on with where it stopped.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from oferta.clock import Clock
from oferta_training.nightly.settings import NightlySettings
from oferta_training.nightly.state import (
    RUNS_KEPT,
    STEPS,
    Outcome,
    Places,
    Run,
    Step,
    StepDone,
    run_name,
)
from oferta_training.nightly.steps import (
    EXIT,
    Facts,
    Night,
    drop_copy,
    facts_of,
    prepare_dataset,
    prune,
)

LAST_WORDS: Final = 600
"""Characters of what a failed step said that are repeated."""

STOP_S: Final = 20
"""How long a step has to end when the run is told to."""

_EXAMPLE: Final = " " * 6

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loop:
    """Runs a night.

    Attributes:
        lock: the descriptor that steps inherit.
        environment: theirs.
        say: told a line of every step as it begins and as it ends.
    """

    settings: NightlySettings
    places: Places
    clock: Clock
    lock: int
    environment: dict[str, str]
    say: Say

    def run(self, *, fresh: bool = False) -> tuple[Run, int]:
        """Do, or go on with, a night; how it ended, and what the command ends with."""
        run = self._begin(fresh=fresh)
        self.places.save(run)
        failed: Step | None = None
        for step in STEPS:
            if run.done(step):
                self._tell(f"{step}: done already")
                continue
            one = self._step(step, Night(self.settings, self.places, run))
            run = run.with_step(one)
            self.places.save(run)
            self._tell(f"{step}: {one.outcome} in {one.ended - one.began:.1f} s. {one.said}")
            if one.outcome != "done":
                failed = step
                break
        run = replace(run, ended=self._now())
        self.places.close(run)
        self._tidy()
        return run, 0 if failed is None else EXIT[failed]

    def _begin(self, *, fresh: bool) -> Run:
        last, now = self.places.last(), self._now()
        if last is not None and not fresh and goes_on(last, self.settings, now=now):
            self._tell(f"goes on with run {last.name}, which ended at: {last.result}")
            return replace(last, ended=None)
        return Run(run_name(self.clock.now()), self.settings.digest(), now)

    def _step(self, step: Step, night: Night) -> StepDone:
        began = self._now()
        self._tell(f"{step}: begins")
        facts: Facts
        try:
            outcome, said, facts = (
                self._gate(night) if step == "gate" else self._command(step, night)
            )
        except OSError as error:
            outcome, said, facts = "failed", str(error), {}
        return StepDone(step, outcome, began, self._now(), said, facts)

    def _gate(self, night: Night) -> tuple[Outcome, str, Facts]:
        told = night.facts("train")
        because = str(told.get("because", ""))
        if told.get("alias") == "champion":
            return "done", because, {"publish": "version"}
        if self.settings.when_refused == "champion":
            return "done", f"refused, the champion goes on: {because}", {"publish": "champion"}
        return "refused", because, {}

    def _command(self, step: Step, night: Night) -> tuple[Outcome, str, Facts]:
        if step == "ingest":
            prepare_dataset(self.places, night.run)
        folder = self.places.run(night.run)
        folder.mkdir(parents=True, exist_ok=True)
        out, err = folder / f"{step}.json", folder / f"{step}.log"
        code = self._child([sys.executable, "-m", "oferta", *night.words(step)], out, err)
        _cut_examples(err)
        if code:
            why = "took too long" if code < 0 else f"ended with {code}"
            return "failed", f"{why}. {_last_words(err)}", {"code": code}
        try:
            facts, said = facts_of(step, orjson.loads(out.read_bytes()))
        except (ValueError, KeyError, TypeError) as error:
            return "failed", f"what it printed cannot be read: {error!r}", {}
        if step == "ingest":
            drop_copy(self.places, night.run)
        return "done", said, facts

    def _child(self, command: Sequence[str], out: Path, err: Path) -> int:
        """The command's status; negative where it was killed for taking too long."""
        with (
            out.open("wb") as stdout,
            err.open("wb") as stderr,
            subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(self.lock,),
            ) as child,
        ):
            try:
                return child.wait(timeout=self.settings.step_h * 3600)
            except BaseException as error:
                _end(child)
                if isinstance(error, subprocess.TimeoutExpired):
                    return -1
                raise

    def _tidy(self) -> None:
        """Of the datasets those of the newest nights stay, and the champion's own."""
        nights = (run.name for run in self.places.history() if _promoted(run))
        beside = frozenset([next(nights, "")])
        gone = prune(self.places, keep=self.settings.keep, runs=RUNS_KEPT, beside=beside)
        if gone:
            self._tell(f"removed the datasets of {len(gone)} older nights")

    def _tell(self, line: str) -> None:
        self.say(f"{self.clock.now():%Y-%m-%d %H:%M:%SZ}  {line}")

    def _now(self) -> float:
        return self.clock.now().timestamp()


def goes_on(last: Run, settings: NightlySettings, *, now: float) -> bool:
    """Whether the next run goes on with `last`: it was killed or failed, lately, at the same work.

    Not after a gate that refused: the model is judged, and only other data change that. Nor where
    nothing but the look at it failed: that is a night that was done.
    """
    if last.settings != settings.digest() or not last.steps:
        return False
    if now - last.began > settings.resume_h * 3600:
        return False
    ended = last.steps[-1]
    if ended.outcome == "refused" or last.done("publish"):
        return False
    return last.ended is None or ended.outcome == "failed"


def _promoted(run: Run) -> bool:
    gate = run.step("gate")
    return gate is not None and gate.facts.get("publish") == "version"


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _cut_examples(log: Path) -> None:
    """A refused source is told with examples of rows, whose lines are set in six spaces."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    log.write_text("".join(one for one in lines if not one.startswith(_EXAMPLE)), encoding="utf-8")


def _last_words(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-LAST_WORDS:]
