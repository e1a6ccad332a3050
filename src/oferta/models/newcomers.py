"""Somebody the model has never met: from a form's answers and a few products, without a refit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from oferta.errors import UnknownName
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.models.saved import Loaded


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is known of somebody new.

    Attributes:
        attributes: by column; columns that the model did not learn from say nothing.
        products: ids of what they have or named, earliest first; each counts as one choice.
        segment: the label of their segment; None: not known.
    """

    attributes: Mapping[str, str | float | None] = field(default_factory=dict)
    products: Sequence[str] = ()
    segment: str | None = None


def newcomers(model: Loaded, people: Sequence[Newcomer]) -> Histories:
    """Their pasts, as the model and its live scorer take them.

    Raises:
        UnknownName: a product that the model does not know; carries the nearest one.
    """
    entries = [_entries(model, person.products) for person in people]
    place = {label: code for code, label in enumerate(model.segments)}
    return replace(
        Histories.empty(len(people)),
        indptr=np.cumsum([0, *(len(one) for one in entries)]).astype(np.int64),
        product=np.array([row for one in entries for row in one], np.int32),
        weight=np.ones(sum(map(len, entries)), np.float32),
        recency=np.array([step for one in entries for step in one.values()], np.int32),
        segment=np.array([place.get(one.segment or "", -1) for one in people], np.int32),
        features=_codes(model, people),
    )


def _entries(model: Loaded, products: Sequence[str]) -> dict[int, int]:
    """Row -> steps since it was last met, ascending by row."""
    rows = model.products.rows(pl.Series(products, dtype=pl.String))
    for product, row in zip(products, rows, strict=True):
        if row < 0:
            raise UnknownName("product", product, model.products.ids.to_list())
    steps = {int(row): len(rows) - 1 - place for place, row in enumerate(rows)}
    return dict(sorted(steps.items()))


def _codes(model: Loaded, people: Sequence[Newcomer]) -> np.ndarray | None:
    vocabulary = model.customer_features
    if vocabulary is None:
        return None
    names = [f"{place:09}" for place in range(len(people))]
    frame = pl.DataFrame(
        {
            "customer_id": pl.Series(names, dtype=pl.String),
            **{
                coding.column: pl.Series(
                    [person.attributes.get(coding.column) for person in people],
                    dtype=pl.Float64 if coding.kind == "number" else pl.String,
                    strict=False,
                )
                for coding in vocabulary.codings
            },
        }
    )
    return vocabulary.encode(frame, IdMap.of(names))
