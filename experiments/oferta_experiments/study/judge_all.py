"""All variants of a study: what is kept is read, the rest is judged, the cheap ones first."""

from collections.abc import Callable, Iterator

import polars as pl

from oferta.errors import ExtraMissing
from oferta.events.dataset import Dataset
from oferta.models.data import DataShape
from oferta.models.protocol import Composite
from oferta_experiments.study.finished import Finished
from oferta_experiments.study.judging import Bench, chosen_recipe, judge_variant
from oferta_experiments.study.made import Made
from oferta_experiments.study.parts import Asked, Parts, ask
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import Done, State

Sizes = dict[str, int]


def sizes_of(dataset: Dataset) -> Sizes:
    """Rows of each table."""
    tables = {
        "customers": dataset.customers(),
        "products": dataset.products(),
        "events": dataset.events(),
    }
    return {name: _count(table) for name, table in tables.items()}


def undated_share(dataset: Dataset) -> float:
    """The share of events without a time, in data where others have one; else 0."""
    events = dataset.events()
    if "timestamp" not in events.collect_schema():
        return 0.0
    share = events.select(pl.col("timestamp").is_null().mean()).collect().item()
    return 0.0 if share is None or share == 1 else float(share)


def kept_variants(
    spec: StudySpec, ordered: list[str], state: State, *, made: Made, anew: bool
) -> dict[str, Done]:
    """The variants that need not be judged: the same was asked of them, and they have figures.

    Not those whose search a smaller budget ended; nor, with `anew`, those that were made otherwise
    than `made`.
    """
    walk = _walk(spec, ordered, lambda asked: _kept(state, asked, spec, made=made, anew=anew))
    return {asked.name: done for asked, done in walk if done is not None}


def judge_all(bench: Bench, ordered: list[str], *, anew: bool) -> dict[str, Done]:
    """Every variant, judged now or before; models made of others take what was chosen for those.

    Raises:
        RowsDiffer: a variant was not tested on the rows that those before it were.
    """
    spec, state, made = bench.spec, bench.state, bench.made
    kept = kept_variants(spec, ordered, state, made=made, anew=anew)
    bench.seconds.update({name: one.found.seconds for name, one in kept.items()})
    left = [name for name in ordered if name not in kept]

    def judged(asked: Asked) -> Done:
        done = _kept(state, asked, spec, made=made, anew=anew)
        if done is None:
            bench.seconds.pop(asked.name, None)
            sharing = max(1, len(left) - left.index(asked.name) if asked.name in left else 1)
            done = judge_variant(bench, asked, sharing=sharing)
        bench.seconds[asked.name] = done.found.seconds
        return done

    done: dict[str, Done] = {}
    with bench.progress.task(f"{bench.name}: variants", total=len(ordered)) as advance:
        for asked, one in _walk(spec, ordered, judged):
            if one is not None:
                done[asked.name] = one
            advance(1)
    return done


def ordered_variants(spec: StudySpec, sizes: Sizes) -> list[str]:
    """The variants from cheap to dear by what they declare; those made of others last."""
    shape = DataShape(sizes["customers"], sizes["products"], sizes["events"], sizes["events"])

    def cost(name: str) -> tuple[bool, float]:
        try:
            recipe = spec.recipe(name)
        except ExtraMissing:
            return False, 0.0
        return isinstance(recipe, Composite), recipe.cost(shape).seconds

    return sorted((one.name for one in spec.variants), key=cost)


def _walk(
    spec: StudySpec, ordered: list[str], done_of: Callable[[Asked], Done | None]
) -> Iterator[tuple[Asked, Done | None]]:
    parts = Parts()
    for name in ordered:
        asked = ask(spec, name, parts)
        done = done_of(asked)
        if done is not None and done.found.card is not None:
            parts.add(done.found.model, chosen_recipe(done), variant=name)
        yield asked, done


def _kept(state: State, asked: Asked, spec: StudySpec, *, made: Made, anew: bool) -> Done | None:
    done = state.read(asked.slot)
    if done is None or _wants_more_time(done.found, spec):
        return None
    return None if anew and done.found.made.mark != made.mark else done


def _wants_more_time(found: Finished, spec: StudySpec) -> bool:
    return found.was_cut_short and spec.budget.minutes > found.minutes


def _count(table: pl.LazyFrame) -> int:
    return int(table.select(pl.len()).collect().item())
