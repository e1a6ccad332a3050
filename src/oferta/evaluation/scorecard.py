"""What an evaluation found, to be printed, stored and compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel

from oferta.evaluation.calibration import Reliability
from oferta.evaluation.chances import ProductRecall
from oferta.evaluation.intervals import Interval
from oferta.evaluation.protocol import Protocol
from oferta.interactions.idmap import IdMap
from oferta.models.protocol import Recommender
from oferta.privacy.findings import Finding


def plain_settings(recipe: Recommender) -> dict[str, Any]:
    """All settings of a recipe, defaults included, as plain values."""
    return recipe.model_dump(mode="json") if isinstance(recipe, BaseModel) else {}


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard:
    """One model's figures.

    Attributes:
        model: its name.
        settings: all of them, defaults included.
        customers: distinct customers of the test rows.
        rows: test rows, over all folds.
        fit_s, recommend_s: seconds, over all folds. Lists were judged within the second.
        metrics: name@k -> mean over all rows, and its 95 % interval over customers. Coverage is a
            figure of all lists together: its ends are its mean.
        folds: one mapping of name@k -> mean per fold.
        values: name@k -> `(rows,) float64`, for pairing with another model's on the same rows.
        calibration: what the chances of listed products are worth, where the protocol asks.
        calibration_every: the same of every pair of a row and a product that its list may hold, in
            catalogues of up to 256 products.
        products: product -> recall among the rows that chose it, in such catalogues.
    """

    model: str
    settings: Mapping[str, Any]
    customers: int
    rows: int
    fit_s: float
    recommend_s: float
    metrics: Mapping[str, Interval]
    folds: tuple[Mapping[str, float], ...]
    values: Mapping[str, NDArray[np.float64]] = field(repr=False)
    calibration: Reliability | None = None
    calibration_every: Reliability | None = None
    products: Mapping[str, ProductRecall] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain values; the per-row arrays stay in memory."""
        document: dict[str, Any] = {
            "model": self.model,
            "settings": dict(self.settings),
            "customers": self.customers,
            "rows": self.rows,
            "fit_s": round(self.fit_s, 3),
            "recommend_s": round(self.recommend_s, 3),
            "metrics": {
                name: {"mean": found.mean, "low": found.low, "high": found.high}
                for name, found in self.metrics.items()
            },
            "folds": [dict(fold) for fold in self.folds],
        }
        if self.calibration is not None:
            document["calibration"] = self.calibration.as_json()
        if self.calibration_every is not None:
            document["calibration_every"] = self.calibration_every.as_json()
        if self.products:
            document["products"] = {name: one.as_json() for name, one in self.products.items()}
        return document


@dataclass(frozen=True, slots=True)
class Skipped:
    """A model without figures, and why."""

    model: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Models compared on the same test rows.

    Attributes:
        protocol: every choice made.
        target: the types of event that were to be foreseen.
        customer_id: `(rows,)`: whose each row is, in the order of the scorecards' values.
        past: `(rows,) int32`: how many products the row's past holds; 0 where the row is cold.
        rows_digest: equal means the same test rows with the same products to foresee: values of
            such evaluations may be paired.
        learners: customers that models learnt from; with folds, the most of any.
        counts: of the data and the test: `train`, `valid`, `test`, `left_out` events;
            `test_rows`, `test_pairs`; `dropped_seen`, `without_candidates`: sums over all folds, in
            which an event may be several times. `cold`: customers without a past in any fold, each
            once.
        results: best first by the protocol's metric.
        skipped: models that were not fitted, and why.
        tuning: what was tried, where settings were tuned.
        protected: the protected attributes that the models may have used, each with its reason.
    """

    protocol: Protocol
    target: tuple[str, ...]
    customer_id: pl.Series
    past: NDArray[np.int32]
    rows_digest: str
    learners: int
    counts: Mapping[str, int]
    results: tuple[Scorecard, ...]
    skipped: tuple[Skipped, ...] = ()
    tuning: Mapping[str, Any] | None = None
    protected: tuple[Finding, ...] = ()

    @property
    def customer(self) -> NDArray[np.int32]:
        """`(rows,)`: whose each row is, as a number: what intervals draw."""
        return IdMap.of(self.customer_id).rows(self.customer_id)

    def as_json(self, dataset: str) -> dict[str, Any]:
        """The document of `--json`; `dataset` is what the caller calls the data."""
        document: dict[str, Any] = {
            "dataset": dataset,
            "protocol": {**self.protocol.as_json(), "target": list(self.target)},
            "counts": dict(self.counts),
            "results": [card.as_json() for card in self.results],
            "skipped": [{"model": one.model, "why": one.why} for one in self.skipped],
        }
        if self.tuning is not None:
            document["tuning"] = dict(self.tuning)
        return document
