"""Everything that is looked at, together, and what of it somebody should look at."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from oferta.errors import SourceRefused
from oferta.events.dataset import Dataset
from oferta_training.monitoring.funnel import Funnel, Funnels, look_at_funnels
from oferta_training.monitoring.inputs import Inputs, Volume, look_at_inputs
from oferta_training.monitoring.lists import Lists, lists_shifts, look_at_lists
from oferta_training.monitoring.shifts import Shift
from oferta_training.publications import DONE, PublicationLog
from oferta_training.scores import ScoresFolder, finished

FELL: Final = 0.7
"""To this part of what it was: what a person would want to know of."""

SPREAD: Final = 5.0
"""Standard deviations beyond which a count, or a rate, did not fall by chance. Customers who are
like each other make chance larger than the formula knows, so it is more than the usual three."""

STALE_S: Final = 26 * 3600.0
"""A daily release, two hours late: as serving has it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to look at. `metric` names it for machines."""

    metric: str
    said: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        at: epoch seconds.
        release, release_at: what went live last, as far as the log knows, and when.
        inputs, lists, lists_before, funnels: None where there is nothing to look at.
        shifts: of lists and of facts of profiles.
    """

    at: float
    release: int | None
    release_at: float | None
    inputs: Inputs | None
    lists: Lists | None
    lists_before: Lists | None
    shifts: tuple[Shift, ...]
    funnels: Funnels | None

    @property
    def all_shifts(self) -> tuple[Shift, ...]:
        """Of inputs first."""
        return (*(self.inputs.shifts if self.inputs is not None else ()), *self.shifts)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What somebody should look at, the gravest first."""
        moved = sorted(self.all_shifts, key=lambda one: -one.psi)
        return (
            *_age(self),
            *(_fallen(self.inputs.volumes) if self.inputs is not None else ()),
            *_worse(self.lists_before, self.lists),
            *(_dropped(self.funnels) if self.funnels is not None else ()),
            *(_moved(one) for one in moved if one.level != "steady"),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "at": self.at,
            "alarms": [one.said for one in self.alarms],
            "release": self.release,
            "lists": None if self.lists is None else asdict(self.lists),
            "shifts": [
                {"name": one.name, "psi": one.psi, "chance": one.chance, "level": one.level}
                for one in self.all_shifts
            ],
            "funnels": None if self.funnels is None else asdict(self.funnels),
        }


def look(
    home: Path,
    dataset: Dataset,
    *,
    archive: Path | None,
    publications: PublicationLog,
    now: datetime,
) -> Look:
    """Look at the dataset, the newest scores and those before, and the archived live events."""
    done = [(at, entry) for at, entry in publications.entries() if entry.action in DONE]
    models = {
        entry.release: entry.model
        for _, entry in publications.entries()
        if entry.release is not None and entry.model is not None
    }
    newest, before = _two_newest(home)
    return Look(
        at=now.timestamp(),
        release=done[-1][1].release if done else None,
        release_at=done[-1][0].timestamp() if done else None,
        inputs=look_at_inputs(dataset),
        lists=None if newest is None else look_at_lists(newest),
        lists_before=None if before is None else look_at_lists(before),
        shifts=() if newest is None or before is None else tuple(lists_shifts(before, newest)),
        funnels=None
        if archive is None
        else look_at_funnels(archive, now=now, types=dataset.event_types, models=models),
    )


def _two_newest(home: Path) -> tuple[ScoresFolder | None, ScoresFolder | None]:
    """The newest scores, and the ones before them of the same registered model."""
    newest: ScoresFolder | None = None
    for folder in finished(home):
        with suppress(SourceRefused):
            found = ScoresFolder.glance(folder)
            if newest is None:
                newest = found
            elif _name(found) == _name(newest):
                return newest, found
    return newest, None


def _name(scores: ScoresFolder) -> str:
    return scores.model.rpartition("/")[0]


def _age(seen: Look) -> Iterator[Alarm]:
    if seen.release_at is not None and seen.at - seen.release_at > STALE_S:
        hours = (seen.at - seen.release_at) / 3600
        yield Alarm("release_age", f"release {seen.release} went live {hours:.0f} hours ago")


def _fallen(volumes: tuple[Volume, ...]) -> Iterator[Alarm]:
    """The newest window has far fewer, or far more, active customers than any before."""
    *before, newest = volumes
    usual = sum(one.customers for one in before) / len(before)
    least = min(FELL * usual, *(one.customers for one in before))
    most = max(usual / FELL, *(one.customers for one in before))
    chance = SPREAD * math.sqrt(usual * (1 + 1 / len(before)))
    if not least - chance <= newest.customers <= most + chance:
        said = (
            f"{newest.customers:,} customers did anything in the newest week, {usual:,.0f} before"
        )
        yield Alarm("active_customers", said)


def _worse(was: Lists | None, now: Lists | None) -> Iterator[Alarm]:
    if was is None or now is None:
        return
    figures: Mapping[str, tuple[float, float]] = {
        "personalised share": (was.personalised, now.personalised),
        "coverage": (was.coverage, now.coverage),
        "customers": (was.customers, now.customers),
    }
    for name, (before, after) in figures.items():
        if after < FELL * before:
            said = (
                f"{before:,.0f} to {after:,.0f}" if before > 1 else f"{before:.0%} to {after:.0%}"
            )
            yield Alarm(name.replace(" ", "_"), f"{name} fell from {said}")
    if now.top_share > max(0.5, was.top_share / FELL):
        yield Alarm(
            "top_share",
            f"{now.top_share:.0%} of the lists begin with {now.top_product}, "
            f"{was.top_share:.0%} before",
        )


def _dropped(funnels: Funnels) -> Iterator[Alarm]:
    """A placement's clicks or acceptances of the last week, against the weeks before it."""
    for one in (*funnels.lists, *funnels.offers):
        for stage, index in (("clicked", 1), ("accepted", 3)):
            yield from _drop(one, stage, index)


def _drop(one: Funnel, stage: str, index: int) -> Iterator[Alarm]:
    shown, reached = one.recent[0], one.recent[index]
    shown_before, reached_before = one.stages[0] - shown, one.stages[index] - reached
    if shown <= 0 or shown_before <= 0 or reached_before <= 0:
        return
    before, after = reached_before / shown_before, reached / shown
    pooled = (reached + reached_before) / (shown + shown_before)
    if pooled >= 1:
        return  # more followed than was shown: somebody does not tell what is shown
    spread = math.sqrt(pooled * (1 - pooled) * (1 / shown + 1 / shown_before))
    if after < FELL * before and before - after > SPREAD * spread:
        where = f"{one.name} in {one.placement}"
        yield Alarm("funnel", f"{where}: {stage} of shown fell from {before:.1%} to {after:.1%}")


def _moved(one: Shift) -> Alarm:
    most = max(range(len(one.bins)), key=lambda at: abs(one.now[at] - one.was[at]))
    return Alarm(
        "shift",
        f"{one.name}: PSI {one.psi:.2f}; '{one.bins[most]}' went from {one.was[most]:.0%} to "
        f"{one.now[most]:.0%} of {one.about}",
    )
