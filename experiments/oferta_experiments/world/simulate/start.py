"""The world at its end, lived again so that it can go on."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from oferta.errors import SettingsInvalid
from oferta.progress import Progress
from oferta_experiments.world.build import CHUNK, Lived, WorldSpec, live
from oferta_experiments.world.folder import TRUTH
from oferta_experiments.world.products import load_products
from oferta_experiments.world.truth import world_facts


@dataclass(frozen=True, slots=True)
class Start:
    """A world's first customers (at most a chunk of them) on its last day."""

    spec: WorldSpec
    lived: Lived

    @property
    def customers(self) -> list[str]:
        """Their ids, by row."""
        people = self.lived.chunk.people
        return [f"c{row:07d}" for row in range(len(people))]


def start_from(folder: Path, *, progress: Progress) -> Start:
    """The world in `folder`, lived again from its seed.

    Raises:
        SettingsInvalid: no world, or one that this version would not make.
    """
    facts = world_facts(folder)
    spec = WorldSpec(
        customers=_whole(facts, "customers"),
        months=_whole(facts, "months"),
        seed=_whole(facts, "seed"),
        end=date.fromisoformat(str(facts["end"])),
    )
    with progress.task("living the world again", total=spec.months) as advance:
        lived = live(spec, 0, products=load_products(), advance=lambda _: advance(1))
    told = pl.read_parquet(folder / TRUTH / "state" / "part-00000.parquet").drop("customer_id")
    if not lived.chunk.state.frame().equals(told):
        raise SettingsInvalid(
            folder, ["was made by another version: make it again with `oferta world --replace`"]
        )
    return Start(spec, lived)


def _whole(facts: dict[str, object], name: str) -> int:
    value = facts[name]
    if not isinstance(value, int):
        raise SettingsInvalid(TRUTH, [f"{name}: {value!r} is no whole number"])
    return value


__all__ = ["CHUNK", "Start", "start_from"]
