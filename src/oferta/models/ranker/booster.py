"""LightGBM, made quiet and repeatable, and its trees as an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What trees learn from.

    Attributes:
        columns: `(rows, columns) float32`, NaN where a value is not known.
        label: `(rows,)`: a class, or 1 for chosen.
        weight: `(rows,) float32`.
        owner: `(rows,)`: whose each row is, ascending: rows of one are never on both sides of a
            cut.
        start: `(rows,)` or `(rows, classes) float64`: what the trees add to; None: nothing.
        categorical: columns whose numbers have no order.
    """

    columns: NDArray[np.float32]
    label: NDArray[np.int32]
    weight: NDArray[np.float32]
    owner: NDArray[np.int64]
    start: NDArray[np.float64] | None = None
    categorical: tuple[int, ...] = ()

    def of(self, rows: NDArray[np.bool_]) -> "Examples":
        """The rows of a mask."""
        return Examples(
            columns=self.columns[rows],
            label=self.label[rows],
            weight=self.weight[rows],
            owner=self.owner[rows],
            start=None if self.start is None else self.start[rows],
            categorical=self.categorical,
        )

    def sizes(self) -> NDArray[np.int64]:
        """How many rows each owner has, in order."""
        ends = np.flatnonzero(np.diff(self.owner, append=-1) != 0) + 1
        return np.diff(ends, prepend=0)


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Fitted trees, or the mean of several. Safe to share between threads.

    Attributes:
        text: LightGBM's own description of them, as bytes `(n,) uint8`, with a 0 between several.
    """

    text: NDArray[np.uint8]
    _models: tuple[Any, ...] = field(repr=False)

    @staticmethod
    def restore(text: NDArray[np.uint8]) -> "Trees":
        """The trees whose `text` this is.

        Raises:
            ArtefactInvalid: it is no description of trees.
        """
        import lightgbm  # noqa: PLC0415 - half a second that only this model pays

        try:
            models = tuple(
                lightgbm.Booster(model_str=one)
                for one in text.tobytes().decode("utf-8").split("\0")
            )
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise ArtefactInvalid("model arrays", f"no trees in them ({error})") from None
        return Trees(text, models)

    @staticmethod
    def mean_of(several: "Sequence[Trees]") -> "Trees":
        """What several say on average."""
        text = b"\0".join(one.text.tobytes() for one in several)
        return Trees.restore(np.frombuffer(text, np.uint8))

    @property
    def count(self) -> int:
        """Rounds of boosting."""
        return int(self._models[0].current_iteration())

    @property
    def columns(self) -> int:
        """Columns that a row has."""
        return int(self._models[0].num_feature())

    @property
    def classes(self) -> int:
        """Numbers that a row gives."""
        return int(self._models[0].num_model_per_iteration())

    def score(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(rows,)` or `(rows, classes) float32`: what the trees add, without what they add to."""
        said = [one.predict(columns, raw_score=True, num_threads=1) for one in self._models]
        return np.asarray(sum(said[1:], said[0]) / len(said), np.float32)


def grow(
    examples: Examples,
    params: Mapping[str, Any],
    *,
    rounds: int,
    watched: Examples | None = None,
    patience: int = 0,
) -> Trees:
    """Trees of `rounds` rounds; with `watched`, up to the round that is best on those examples.

    The same examples and parameters give the same trees, whatever the number of threads.
    """
    import lightgbm  # noqa: PLC0415 - half a second that only this model pays

    settings = {
        **params,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    ranked = params["objective"] == "lambdarank"
    train = _dataset(lightgbm, examples, settings, ranked=ranked)
    best = None
    callbacks: Sequence[Any] = ()
    valid: list[Any] = []
    if watched is not None:
        valid = [_dataset(lightgbm, watched, settings, ranked=ranked, like=train)]
        callbacks = [lightgbm.early_stopping(patience, verbose=False)]
    model = lightgbm.train(
        settings, train, rounds, valid_sets=valid, callbacks=[*callbacks] or None
    )
    if watched is not None:
        best = model.best_iteration
    text = model.model_to_string(num_iteration=best)
    return Trees.restore(np.frombuffer(text.encode("utf-8"), np.uint8))


def _dataset(
    lightgbm: Any,  # noqa: ANN401 - a module
    examples: Examples,
    settings: Mapping[str, Any],
    *,
    ranked: bool,
    like: Any = None,  # noqa: ANN401 - LightGBM's dataset
) -> Any:  # noqa: ANN401
    start = examples.start
    return lightgbm.Dataset(
        examples.columns,
        examples.label,
        weight=examples.weight,
        group=examples.sizes() if ranked else None,
        init_score=None if start is None else start.ravel(order="F"),
        categorical_feature=list(examples.categorical),
        params=dict(settings),
        reference=like,
    )
