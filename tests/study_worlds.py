"""Studies on the shop of `shop.py`, run inside this process."""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from shop import write_shop
from trained_shop import NOW

from oferta.clock import FixedClock
from oferta.evaluation.limits import Timer
from oferta.events.dataset import Dataset, open_dataset
from oferta.progress import Silent
from oferta.settings import parse
from oferta_experiments.study.promote import Promoted, promote_variant
from oferta_experiments.study.result import StudyResult
from oferta_experiments.study.run import Place, run_study
from oferta_experiments.study.spec import StudySpec
from oferta_training.job import Job, Policy

BASE: Mapping[str, Any] = {
    "question": "What helps?",
    "dataset": "shop",
    "report_by": ["activity", "cold", "kind"],
    "segment_customers": 30,
    "evaluation": {"split": "time:31d", "k": [3, 5], "metric": "ndcg@3"},
    "variants": [
        {"name": "popular", "model": "popularity"},
        {"name": "together", "model": "ease", "settings": {"l2": 5.0}},
    ],
}


class World:
    """A home, a shop, and studies on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.dataset = open_dataset(
            write_shop(folder / "shop"), home=self.home, clock=FixedClock(NOW), progress=Silent()
        )
        self.said: list[str] = []

    def run(
        self,
        name: str,
        *,
        dataset: Dataset | None = None,
        timer: Timer = perf_counter,
        anew: bool = False,
        **changed: object,
    ) -> StudyResult:
        spec = parse({**BASE, **changed}, StudySpec, place="test")
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "study.toml").write_text("", encoding="utf-8")
        self.said.clear()
        place = Place(folder, self.home, timer, Silent(), self.said.append)
        return run_study(spec, dataset or self.dataset, place=place, anew=anew)


def promoted(world: World, name: str, variant: str, **changed: object) -> Promoted:
    result = world.run(name, **changed)
    return promote_variant(
        parse({**BASE, **changed}, StudySpec, place="test"),
        variant,
        world.dataset,
        result=result,
        job=Job(name="shop", policy=Policy(repeatable=False)),
        place=Place(world.folder / name, world.home, perf_counter, Silent(), world.said.append),
        clock=FixedClock(NOW),
    )
