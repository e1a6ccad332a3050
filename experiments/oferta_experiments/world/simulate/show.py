"""A simulation as the terminal shows it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from oferta_experiments.study.report.words import whole
from oferta_experiments.world.simulate.result import Simulation
from oferta_experiments.world.simulate.said import (
    ahead,
    answer,
    gained,
    money,
    money_ends,
    named,
    uplift_note,
    uplift_sentence,
)


def summary(result: Simulation, paths: Sequence[Path] = ()) -> RenderableType:
    """Answer, arms, differences and uplift, within 80 columns."""
    return Group(*_parts(result, paths))


def _parts(result: Simulation, paths: Sequence[Path]) -> Iterator[RenderableType]:
    months = f"{result.months[0]} to {result.months[-1]}"
    yield Text(
        f"{result.world} (simulated) · {whole(result.customers)} customers · {months} · "
        f"model {result.model} · seed {result.seed}",
        style="dim",
    )
    yield Text(answer(result), style="bold")
    yield Text()
    arms = _grid("policy", "offers", "accepted", "€ an offer", "€ a customer", "95 % interval")
    for one in result.arms:
        arms.add_row(
            one.name,
            whole(one.offered),
            whole(one.accepted),
            money(one.worth_each),
            money(one.earned.mean),
            money_ends(one.earned),
        )
    yield arms
    yield Text()
    gaps = _grid("the policy earns more", "€ a customer", "95 % interval", "")
    for gap in result.gaps:
        found = gap.earned.interval
        sure = ahead(gap)
        gaps.add_row(
            f"than {named(gap)}",
            gained(found.mean),
            f"{gained(found.low)} to {gained(found.high)}",
            Text("▲ more" if sure else "≈ not shown", style="green" if sure else "yellow"),
        )
    yield gaps
    yield Text()
    yield Text(uplift_sentence(result))
    yield Text(uplift_note(result), style="dim")
    if paths:
        yield Text()
        for path in paths:
            yield Text(str(path), no_wrap=True, overflow="ignore")


def _grid(*heads: str) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        grid.add_column(head, justify="right" if place else "left", no_wrap=True)
    return grid
