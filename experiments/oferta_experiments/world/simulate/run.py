"""The simulation: the same customers and months, lived once with each policy."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from oferta.catalogue.offers import OfferCatalogue
from oferta.clock import FixedClock
from oferta.decisions.engine import Engine, content_version
from oferta.errors import SettingsInvalid
from oferta.events.dataset import open_dataset
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.policy.control import in_control
from oferta.policy.file import Control, Policy
from oferta.progress import Progress, Silent
from oferta.terms.card import RateCards
from oferta_experiments.world.arrays import Flags, Reals
from oferta_experiments.world.month import live_month
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.simulate.inputs import Told, profiled, scored, write_source
from oferta_experiments.world.simulate.judge import arm_result, gap, uplift
from oferta_experiments.world.simulate.outcome import earned
from oferta_experiments.world.simulate.policies import ARMS, Arm, engine_of
from oferta_experiments.world.simulate.result import Simulation
from oferta_experiments.world.simulate.speaking import Speaker
from oferta_experiments.world.simulate.start import Start
from oferta_experiments.world.times import DAY_S, first_day, month_of
from oferta_training.job import Job
from oferta_training.train import train


@dataclass(frozen=True, slots=True)
class Seller:
    """The files of the seller whose policy is tried."""

    catalogue: OfferCatalogue
    policy: Policy
    cards: RateCards


@dataclass(frozen=True, slots=True)
class Asked:
    """How long to simulate, how large the control group is, and the seed of what is drawn."""

    months: int
    control: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.control < 1:
            raise SettingsInvalid("--control", [f"{self.control} is no share between 0 and 1"])


@dataclass(slots=True)
class Lived:
    """What an arm's months came to: by the end of each, `(n,)` EUR earned since the start."""

    speaker: Speaker | None
    earned: list[Reals]


def simulate(
    start: Start,
    seller: Seller,
    job: Job,
    *,
    asked: Asked,
    world: Path,
    home: Path,
    progress: Progress,
) -> Simulation:
    """Live `asked.months` after the world's end with every arm, and compare them.

    `home`: a folder of its own for models and scores.

    Raises:
        SettingsInvalid: catalogue, policy and rate card do not fit each other.
    """
    engines: dict[Arm, Engine | None] = {
        arm: engine_of(arm, seller.catalogue, seller.policy, seller.cards) for arm in ARMS
    }
    model = _trained(start, job, home=home, progress=progress)
    first = month_of(start.spec.end)
    months = range(first, first + asked.months)
    day = int(first_day(first))
    chunk = start.lived.chunk
    total = sum(engine is not None for engine in engines.values()) * _meetings(chunk, months)
    lives: dict[Arm, Lived] = {}
    with progress.task("customers met", total=total) as advance:
        popular: Told | None = None
        for arm, engine in engines.items():
            speaker = None if engine is None else Speaker(engine, start.customers, advance)
            lives[arm], popular = _live(
                start,
                speaker,
                arm=arm,
                months=months,
                model=model,
                popular=popular,
                seller=seller,
                home=home,
            )
    people = np.flatnonzero(chunk.people.joined < int(first_day(months[-1])))
    rng = default_rng([asked.seed, 9])
    totals: dict[Arm, Reals] = {arm: life.earned[-1][people] for arm, life in lives.items()}
    control = _control(start, people, asked, seller.policy, day=day)
    return Simulation(
        world=world.name,
        customers=len(people),
        months=tuple(_name(month) for month in months),
        seed=asked.seed,
        model=model,
        policy=content_version([seller.policy]),
        arms=tuple(
            arm_result(arm, chunk, life.speaker, _steps(life.earned, people), people, rng=rng)
            for arm, life in lives.items()
        ),
        gaps=tuple(
            gap(arm, lives["engine"].speaker, lives[arm].speaker, totals, people, rng=rng)
            for arm in ARMS
            if arm != "engine"
        ),
        uplift=uplift(totals["engine"], totals["nothing"], control, asked.control, rng=rng),
    )


def _live(
    start: Start,
    speaker: Speaker | None,
    *,
    arm: Arm,
    months: Sequence[int],
    model: str,
    popular: Told | None,
    seller: Seller,
    home: Path,
) -> tuple[Lived, Told | None]:
    chunk = deepcopy(start.lived.chunk)
    since = int(first_day(months[0]))
    life = Lived(speaker, [])
    for month in months:
        day = int(first_day(month))
        if speaker is None:
            live_month(chunk, month=month, contact=_silent)
        else:
            if arm == "engine":
                speaker.told = scored(
                    chunk,
                    start.lived,
                    seed=start.spec.seed,
                    day=day,
                    model=model,
                    policy=seller.policy,
                    home=home,
                )
                popular = popular or speaker.told
            else:
                # The rates that everybody had when the months began: no model is asked again.
                speaker.told = profiled(
                    chunk,
                    start.lived,
                    seed=start.spec.seed,
                    day=day,
                    policy=seller.policy,
                    home=home,
                    popular={} if popular is None else popular.popular,
                )
            live_month(chunk, month=month, contact=speaker)
        life.earned.append(earned(chunk, since=since))
    return life, popular


def _silent(chunk: Chunk, month: int, active: Flags) -> None:
    del chunk, month, active


def _trained(start: Start, job: Job, *, home: Path, progress: Progress) -> str:
    """A model of the world's past, registered under the job's name."""
    day = int(first_day(month_of(start.spec.end)))
    clock = FixedClock(datetime.fromtimestamp(day * DAY_S, UTC))
    source = home / "source"
    write_source(start.lived.chunk, start.lived, seed=start.spec.seed, day=day, place=source)
    options = IngestOptions(strict=True)
    ingest(source, home / "dataset", options=options, clock=clock, progress=Silent())
    dataset = open_dataset(home / "dataset", home=home, clock=clock, progress=Silent())
    done = train(dataset, job, home=home, clock=clock, progress=progress)
    return done.version.label


def _meetings(chunk: Chunk, months: Sequence[int]) -> int:
    return sum(int((chunk.people.joined < first_day(month)).sum()) for month in months)


def _steps(earned_by: list[Reals], people: np.ndarray) -> list[Reals]:
    return [one[people] for one in earned_by]


def _control(start: Start, people: np.ndarray, asked: Asked, policy: Policy, *, day: int) -> Flags:
    """Who would be in a control group of the asked share, by the engine's own draw on day one."""
    control = Control(share=asked.control, period="year", salt=f"simulate-{asked.seed}")
    names = start.customers
    at = float(day * DAY_S)
    return np.array([in_control(names[row], control, at=at, zone=policy.zone) for row in people])


def _name(month: int) -> str:
    return f"{date(1970 + month // 12, month % 12 + 1, 1):%Y-%m}"
