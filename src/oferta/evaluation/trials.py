"""One model's search: trials in rounds on ever more customers, within its part of the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from typing import Protocol as Port

import numpy as np
from numpy.random import default_rng

from oferta.errors import FitFailed
from oferta.evaluation.folds import Fold
from oferta.evaluation.limits import Limits, seconds_to_judge
from oferta.evaluation.scorecard import plain_settings
from oferta.evaluation.scoring import judge
from oferta.evaluation.search import Proposals, difference, open_settings
from oferta.evaluation.validation import ValidationFolds
from oferta.models.protocol import Recommender
from oferta.progress import Advance, Progress, Silent

_SHARES = (1 / 9, 1 / 3, 1.0)  # of the customers: each round keeps the best third
_FEWEST = 2_000  # customers below which a sample says little and saves nothing
_SLOWEST = 10.0  # above it, a clock jumped or a machine slept
_SAVES = 0.5  # of a fit's cost on all customers: a sample that costs more saves nothing


class Trials(Port):
    """Where finished trials are kept, so that a search that was ended goes on from them."""

    def recall(
        self, model: str, settings: Mapping[str, Any], share: float
    ) -> Mapping[str, Any] | None:
        """The entry of the trial of these settings on this share of the customers, or None."""
        ...

    def keep(self, model: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Store a finished trial: its entry of the log, and all its settings."""
        ...


@dataclass(slots=True)
class Pace:
    """How much longer trials take than declared: this machine, as busy as it is."""

    declared: float = 0.0
    taken: float = 0.0

    @property
    def of(self) -> float:
        """1 or more."""
        slower = self.taken / self.declared if self.declared else 1.0
        return min(max(slower, 1.0), _SLOWEST)


@dataclass(slots=True)
class Search:
    """One model's search."""

    model: str
    recipe: Recommender
    validation: ValidationFolds
    limits: Limits
    seconds: float
    trials: Trials | None
    pace: Pace
    tried: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    slowness: float = 1.0
    recalled: float = 0.0
    begun: float = 0.0

    def run(self, settings: int, seed: int, progress: Progress) -> Recommender:
        """The best settings found; the recipe itself where there was no time to try any."""
        self.begun = self.limits.timer()
        proposals = Proposals(self.recipe, settings, seed=(seed, *_kind(self.recipe).encode()))
        count = len(proposals.drawn())
        shares = self._shares(proposals.drawn())
        planned = sum(-(-count // 3**rung) for rung in range(len(shares)))
        with progress.task(f"tune {self.model}", total=planned) as advance:
            left = self._first_round(proposals, shares[0], seed, advance)
            best = left[0] if left else self.recipe
            for share in shares[1:]:
                if self.stopped or not left:
                    break
                left = self._next_round(left, share, seed, advance)
                best = left[0] if left else best
        return best

    def _first_round(
        self, proposals: Proposals, share: float, seed: int, advance: Advance
    ) -> list[Recommender]:
        """All settings proposed, each value told; the best third of them, best first."""
        values: list[tuple[float, Recommender]] = []
        for candidate in proposals:
            if not self._is_affordable(candidate):
                continue
            if not self._has_time(candidate, share):
                self._stop([candidate, *proposals.left()], share)
                break
            value = self._value(candidate, share, seed)
            advance(1)
            if value is not None:
                values.append((value, candidate))
                proposals.tell(candidate, value)
        return _best_third(values, of=len(values))

    def _next_round(
        self, candidates: Sequence[Recommender], share: float, seed: int, advance: Advance
    ) -> list[Recommender]:
        """The same settings on more customers; the best third of them, best first."""
        values: list[tuple[float, Recommender]] = []
        for position, candidate in enumerate(candidates):
            if not self._has_time(candidate, share):
                self._stop(candidates[position:], share)
                break
            value = self._value(candidate, share, seed)
            advance(1)
            if value is not None:
                values.append((value, candidate))
        return _best_third(values, of=len(candidates))

    def report(self, chosen: Recommender, declared_s: float) -> dict[str, Any]:
        """What was tried, stopped and skipped, as plain values."""
        return {
            "model": self.model,
            "declared_s": round(declared_s, 3),
            "chosen": plain_settings(chosen),
            "tried": self.tried,
            "stopped": self.stopped,
            "skipped": self.skipped,
        }

    def _is_affordable(self, candidate: Recommender) -> bool:
        why = self.limits.refusal(candidate.cost(self.validation.whole.data.shape))
        if why is not None:
            self.skipped.append({"settings": difference(self.recipe, candidate), "why": why})
        return why is None

    def _has_time(self, candidate: Recommender, share: float) -> bool:
        spent = self.limits.timer() - self.begun + self.recalled
        return spent + self._expected(candidate, share) <= self.seconds

    def _shares(self, candidates: Sequence[Recommender]) -> tuple[float, ...]:
        shape = self.validation.whole.data.shape
        whole = sum(candidate.cost(shape).seconds for candidate in candidates)
        if whole <= self.seconds / 2 or len(candidates) == 1:
            return (1.0,)
        shares = tuple(share for share in _SHARES if share * self.validation.customers >= _FEWEST)
        if len(shares) > 1:
            few = self.validation.sample(shares[0]).data.shape
            if self.recipe.cost(few).seconds > self.recipe.cost(shape).seconds * _SAVES:
                return (1.0,)
        return shares or (1.0,)

    def _expected(self, candidate: Recommender, share: float) -> float:
        return candidate.cost(self.validation.sample(share).data.shape).seconds * self.slowness

    def _value(self, candidate: Recommender, share: float, seed: int) -> float | None:
        fold, protocol = self.validation.sample(share), self.validation.protocol
        entry: dict[str, Any] = {
            "settings": difference(self.recipe, candidate),
            "share_of_customers": round(share, 4),
            "customers": len(fold.data.customers),
        }
        settings = plain_settings(candidate)
        known = None if self.trials is None else self.trials.recall(self.model, settings, share)
        if known is not None:
            return self._recalled(dict(known), candidate, fold)
        begun = self.limits.timer()
        try:
            fitted = candidate.fit(fold.data, rng=default_rng([seed, 0]), progress=Silent())
        except FitFailed as error:
            self._take({**entry, "why": str(error)}, candidate, fold)
            if self.trials is not None:
                self.trials.keep(self.model, self.skipped[-1], settings)
            return None
        crowd = fold.crowd
        if not protocol.ordering.startswith("diversity@"):
            crowd = replace(crowd, matrix=None)  # dear, and no setting is chosen by it
        judged = judge(fitted, fold.rows, protocol=protocol, crowd=crowd, progress=Silent())
        entry["value"] = float(np.mean(judged.values[protocol.ordering]))
        entry["seconds"] = round(self.limits.timer() - begun, 3)
        self._take(entry, candidate, fold)
        if self.trials is not None:
            self.trials.keep(self.model, entry, settings)
        return float(entry["value"])

    def _recalled(self, entry: dict[str, Any], candidate: Recommender, fold: Fold) -> float | None:
        self.recalled += entry.get("seconds", 0.0)
        self._take(entry, candidate, fold)
        return float(entry["value"]) if "value" in entry else None

    def _take(self, entry: dict[str, Any], candidate: Recommender, fold: Fold) -> None:
        if "value" not in entry:
            self.skipped.append(entry)
            return
        # What fits really take, lists included, corrects what they declared.
        declared = max(candidate.cost(fold.data.shape).seconds, 1e-3)
        self.slowness = max(self.slowness, min(entry["seconds"] / declared, 100.0))
        self.pace.declared += declared + seconds_to_judge(len(fold.rows), fold.data.shape.products)
        self.pace.taken += entry["seconds"]
        self.tried.append(entry)

    def _stop(self, candidates: Sequence[Recommender], share: float) -> None:
        for candidate in candidates:
            self.stopped.append(
                {
                    "settings": difference(self.recipe, candidate),
                    "share_of_customers": round(share, 4),
                    "why": f"the model's {self.seconds:.0f} s of the budget were spent",
                }
            )


def _best_third(values: Sequence[tuple[float, Recommender]], *, of: int) -> list[Recommender]:
    # A stable sort: of equal values the one that was tried first.
    ranked = sorted(values, key=lambda found: -found[0])
    return [candidate for _, candidate in ranked[: -(-of // 3)]]


def _kind(recipe: Recommender) -> str:
    # What sets draws of recipes apart: what is searched, and not the name that a caller gave it.
    return " ".join((type(recipe).__name__, *open_settings(recipe)))
