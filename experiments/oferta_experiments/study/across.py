"""Results of several studies side by side, and paired where they were judged on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.errors import SettingsInvalid, UnknownName
from oferta.evaluation.intervals import paired_differences
from oferta.evaluation.significance import holm
from oferta.interactions.idmap import IdMap
from oferta_experiments.study.compare import figure, verdict
from oferta_experiments.study.result import Difference, StudyResult, Variant, read_result
from oferta_experiments.study.state import find_state

_RESULT = "result.json"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One variant of one study.

    Attributes:
        study, variant: where it is from.
        label: the variant's name, with the study's where there are several.
        metric: what its study compares by.
        rows: digest of its test rows; None where the values per row are no longer there.
        values: `(rows,) float64` of the metric.
        customer: `(rows,)`: whose each row is.
    """

    study: StudyResult
    variant: Variant
    label: str
    metric: str
    rows: str | None
    values: NDArray[np.float64]
    customer: NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Across:
    """Variants side by side.

    Attributes:
        entries: best first within what can be compared.
        differences: of all pairs that were judged on the same rows by the same metric.
        warnings: sentences: which may not be compared, and why.
    """

    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    def table(self) -> pl.DataFrame:
        """A line per variant, to be exported."""
        return pl.DataFrame(
            [
                {
                    "study": one.study.name,
                    "variant": one.variant.name,
                    "model": one.variant.model,
                    "dataset": one.study.dataset,
                    "metric": one.metric,
                    **_figures(one),
                    "fit_s": one.variant.fit_s,
                    "recommend_s": one.variant.recommend_s,
                    "protocol": one.study.sentence,
                }
                for one in self.entries
            ]
        )


def compare_results(places: Sequence[str], *, home: Path) -> Across:
    """The variants of `places`: each a study's folder, or `FOLDER:VARIANT` for one of them.

    Those whose test rows, data and metric are the same are compared in pairs from the stored values
    per row, corrected for all pairs. Others stand side by side with a warning.

    Raises:
        SettingsInvalid: a folder without a result.
        UnknownName: no such variant.
    """
    found = [one for place in places for one in _entries(place, home, several=len(places) > 1)]
    found = list({one.label: one for one in found}.values())
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for one in found:
        asked = one.study.fingerprint, one.study.sentence, one.metric, one.rows or one.label
        groups.setdefault(asked, []).append(one)
    ordered = [
        sorted(group, key=lambda one: -one.variant.metrics[one.metric].mean)
        for group in groups.values()
    ]
    pairs = [
        (one, other)
        for group in ordered
        for at, one in enumerate(group)
        for other in group[at + 1 :]
    ]
    return Across(
        tuple(one for group in ordered for one in group),
        _differences(pairs),
        tuple(_warnings(found, len(groups))),
    )


def _entries(place: str, home: Path, *, several: bool) -> list[Entry]:
    folder, wanted = _parted(place)
    result = read_result(folder / _RESULT)
    names = [one.name for one in result.variants]
    if wanted is not None and wanted not in names:
        raise UnknownName("variant", wanted, names)
    try:
        state = find_state(home, str(result.made.get("state", "")))
        rows = state.rows()
    except SettingsInvalid:
        state, rows = None, None
    entries = []
    for variant in result.variants:
        if wanted not in {None, variant.name}:
            continue
        values, customer = np.zeros(0), np.zeros(0, np.int32)
        if state is not None and rows is not None:
            done = state.read(variant.key) if variant.key else None
            values = values if done is None else done.values[result.metric]
            customer = IdMap.of(rows["customer_id"]).rows(rows["customer_id"])
        entries.append(
            Entry(
                study=result,
                variant=variant,
                label=f"{result.name}: {variant.name}" if several else variant.name,
                metric=result.metric,
                rows=None if rows is None or not len(values) else str(rows["digest"][0]),
                values=values,
                customer=customer,
            )
        )
    return entries


def _parted(place: str) -> tuple[Path, str | None]:
    if Path(place).exists():
        path = Path(place)
        return (path.parent if path.is_file() else path), None
    folder, colon, variant = place.rpartition(":")
    return (Path(folder), variant) if colon else (Path(place), None)


def _differences(pairs: Sequence[tuple[Entry, Entry]]) -> tuple[Difference, ...]:
    gaps = [
        paired_differences(
            (one.values - other.values)[:, None],
            rng=default_rng(one.study.protocol["seed"]),
            customer=one.customer,
        )[0]
        for one, other in pairs
    ]
    adjusted = holm([one.p_value for one in gaps])
    return tuple(
        Difference(
            variant=one.label,
            other=other.label,
            figure=figure(gap.interval),
            p_value=gap.p_value,
            p_adjusted=p,
            verdict=verdict(gap.interval.mean, p),
        )
        for (one, other), gap, p in zip(pairs, gaps, adjusted, strict=True)
    )


def _warnings(entries: Sequence[Entry], groups: int) -> list[str]:
    said = [
        f"The values per customer of {one.label} are not in this state folder: it stands beside "
        "the others uncompared. `oferta study run` makes them again."
        for one in entries
        if one.rows is None
    ]
    if groups > 1:
        differing = [
            name
            for name, values in {
                "data": {one.study.fingerprint for one in entries},
                "metric": {one.metric for one in entries},
                "protocol": {one.study.sentence for one in entries},
            }.items()
            if len(values) > 1
        ]
        said.append(
            f"Not comparable: {', '.join(differing) or 'the test rows'} differ. Figures of "
            "different groups stand side by side and say nothing of which is better."
        )
    return said


def _figures(one: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in one.variant.metrics.items():
        found |= {name: value.mean, f"{name} low": value.low, f"{name} high": value.high}
    return found
