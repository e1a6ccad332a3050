"""What the gate said: an outcome for every guard, and one verdict."""

from dataclasses import asdict, dataclass
from typing import Any

from oferta.evaluation.intervals import Interval


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one guard found.

    Attributes:
        guard: its name: `overall`, `segments`, `coverage`, `calibration`, `fairness`, `cost`,
            `protected`.
        passed: False also where the guard is declared and could not be measured.
        measured, limit: what was compared with what; None where nothing could be measured, and for
            guards that have no number.
        sentence: both in words, with the group or the column that decided.
    """

    guard: str
    passed: bool
    measured: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate becomes champion, and the sentence that says why.

    Attributes:
        difference: of the candidate from the champion on the metric; None: not compared.
        outcomes: of all guards; empty where the candidate was not judged at all.
    """

    promoted: bool
    because: str
    difference: Interval | None
    outcomes: tuple[Outcome, ...] = ()

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the guards that were not passed, each once."""
        return tuple(dict.fromkeys(one.guard for one in self.outcomes if not one.passed))

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def unjudged(why: str) -> Verdict:
    """The verdict where the champion was not measured: what works is not replaced unseen."""
    return Verdict(promoted=False, because=why, difference=None)


def unmeasured(guard: str, why: str) -> Outcome:
    """The outcome of a guard that is declared and could not be measured: it fails."""
    return Outcome(guard, passed=False, measured=None, limit=None, sentence=f"not measured: {why}")
