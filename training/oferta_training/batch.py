"""Score everyone: a model and a dataset in, a scores folder out, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta import columns
from oferta.catalogue.products import offerable
from oferta.events.dataset import Dataset
from oferta.interactions.holdings import held_pairs
from oferta.interactions.idmap import IdMap
from oferta.models.data import TrainingData
from oferta.models.recommend import top_k_blocks
from oferta.models.saved import Loaded
from oferta.models.similar import similar_products
from oferta.progress import Progress
from oferta.scoring.live import known_by_attributes
from oferta.scoring.reasons import REASONS
from oferta.scoring.topk import ProductMask, TopK
from oferta_training import popular
from oferta_training.data import job_data
from oferta_training.job import Job
from oferta_training.scores import CUSTOMERS, SIMILAR, ScoresFolder, part_name, write_manifest

_PART_ROWS = 2_000_000  # a few hundred MB of text, however long the lists are


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is scored with what, resolved once.

    Attributes:
        model: name/version, run: as the registry has them.
        loaded: the model.
        job: the job that trained it: its policy and list lengths hold for its scores.
        dataset: whose customers are scored; need not be the one trained on.
        at: the instant of scoring: products not offerable then are in no list.
    """

    model: str
    run: str
    loaded: Loaded
    job: Job
    dataset: Dataset
    at: datetime


def score_everyone(
    what: Scoring, folder: Path, *, progress: Progress, part_rows: int = _PART_ROWS
) -> ScoresFolder:
    """Write the scores into `folder`, which is empty or not there yet.

    Customers without a past get the list that the model makes of their attributes, or where it
    knows none the popular list of their segment, and the reason says so.
    Products that the model has not seen are in the catalogue, and in nobody's list. A part has
    `part_rows` rows at most, unless one customer's list alone is longer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = _catalogue(what)
    products = what.loaded.products
    data = job_data(
        what.dataset, what.job, products=products, vocabulary=what.loaded.customer_features
    )
    sellable = _sellable(catalogue, products, what.at)
    held = _held(what, data, _once_only(catalogue, products))
    mask = _mask(sellable, held, len(data.customers))
    lists = popular.popular_lists(data, length=what.job.scores.popular, sellable=sellable)

    catalogue.write_parquet(folder / "products.parquet")
    _customer_rows(data, held).write_parquet(folder / "customers.parquet")
    lists.frame(data).write_parquet(folder / "popular.parquet")
    _similar_rows(what, sellable).write_parquet(folder / "similar.parquet")
    blocks = _blocks(what, data, mask, lists, part_rows=part_rows, progress=progress)
    for number, part in enumerate(_parts(blocks, part_rows)):
        part.write_parquet(folder / part_name(number))
    meta = what.loaded.meta
    return write_manifest(
        folder,
        model=what.model,
        model_run=what.run,
        trained_at=meta.trained_at,
        created_at=what.at,
        dataset=what.dataset.fingerprint,
        dataset_at=what.dataset.manifest.created_at,
        top_n=_list_length(what.job, len(products)),
        release_n=what.job.scores.top_n,
    )


def _catalogue(what: Scoring) -> pl.DataFrame:
    """The dataset's products as known columns; what the catalogue leaves open, the job says."""
    rows = what.dataset.products().select(columns.PRODUCTS.names).collect()
    return rows.with_columns(
        pl.col("status").fill_null("active"),
        pl.col("repeatable").fill_null(what.job.policy.repeatable),
    ).sort("product_id")


def _sellable(catalogue: pl.DataFrame, products: IdMap, at: datetime) -> NDArray[np.bool_]:
    """`(products,) bool` over the model's products: in the catalogue, and offerable at `at`."""
    rows = products.rows(catalogue.filter(offerable(at))["product_id"])
    sellable = np.zeros(len(products), np.bool_)
    sellable[rows[rows >= 0]] = True
    return sellable


def _once_only(catalogue: pl.DataFrame, products: IdMap) -> NDArray[np.bool_]:
    rows = products.rows(catalogue.filter(~pl.col("repeatable"))["product_id"])
    once = np.zeros(len(products), np.bool_)
    once[rows[rows >= 0]] = True
    return once


def _held(what: Scoring, data: TrainingData, once_only: NDArray[np.bool_]) -> pl.DataFrame:
    """`customer, product` rows: what customers have that may not be offered to them again.

    Having is having converted more pieces than were taken back, whatever the job's weights.
    """
    once = data.products.frame("product_id", "product").filter(pl.Series(once_only))
    # Rows instead of ids before anything is grouped: no column of strings is ever whole.
    events = (
        what.dataset.events()
        .join(once.lazy(), on="product_id")
        .join(data.customers.frame("customer_id", "customer").lazy(), on="customer_id")
    )
    held = held_pairs(events, what.dataset.event_types, owner="customer", product="product")
    return held.collect(engine="streaming").sort("customer", "product")


def _mask(sellable: NDArray[np.bool_], held: pl.DataFrame, customers: int) -> ProductMask:
    counts = np.bincount(held["customer"].to_numpy(), minlength=customers)
    return ProductMask(
        sellable,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        excluded=held["product"].to_numpy().astype(np.int32),
    )


def _list_length(job: Job, products: int) -> int:
    small = products <= job.scores.every_product_up_to
    return products if small else min(job.scores.top_n, products)


def _customer_rows(data: TrainingData, held: pl.DataFrame) -> pl.DataFrame:
    labels = pl.Series("segment", [*data.segments, None], dtype=pl.String)
    code = data.histories.segment
    lists = (
        held.with_columns(data.products.take(held["product"].to_numpy()).alias("id"))
        .group_by("customer")
        .agg(pl.col("id").sort())
    )
    return (
        pl.DataFrame(
            {
                "customer_id": data.customers.ids,
                "segment": labels.gather(np.where(code < 0, len(data.segments), code)),
                "cold": np.diff(data.histories.indptr) == 0,
            }
        )
        .with_row_index("customer")
        .with_columns(pl.col("customer").cast(pl.Int32))
        .join(lists, on="customer", how="left", maintain_order="left")
        .select("customer_id", "segment", pl.col("id").fill_null([]).alias("held"), "cold")
        .cast(CUSTOMERS)
    )


def _similar_rows(what: Scoring, sellable: NDArray[np.bool_]) -> pl.DataFrame:
    vectors = what.loaded.embeddings.products
    products = what.loaded.products
    best = similar_products(vectors, what.job.scores.similar, offerable=sellable)
    return (
        _long(best, owners=products.ids)
        .rename({"id": "product_id", "product": "similar"})
        .with_columns(products.take(best.products[best.products >= 0]).alias("similar_id"))
        .select(SIMILAR.names())
        .cast(SIMILAR)
    )


def _parts(blocks: Iterable[pl.DataFrame], part_rows: int) -> Iterator[pl.DataFrame]:
    """The blocks joined into frames of `part_rows` rows at most, where no block is larger."""
    waiting: list[pl.DataFrame] = []
    for rows in blocks:
        if waiting and sum(map(len, waiting)) + len(rows) > part_rows:
            yield pl.concat(waiting)
            waiting = []
        waiting.append(rows)
    if waiting:
        yield pl.concat(waiting)


def _blocks(
    what: Scoring,
    data: TrainingData,
    mask: ProductMask,
    lists: popular.PopularLists,
    *,
    part_rows: int,
    progress: Progress,
) -> Iterator[pl.DataFrame]:
    """Frames of columns.SCORES, each of whole customers in ascending order, of no more than fit."""
    k = _list_length(what.job, len(data.products))
    together = max(1, part_rows // max(k, 1))
    histories = what.loaded.recognise(data)
    fitted = what.loaded.fitted
    for start, best in top_k_blocks(fitted, histories, k, mask=mask, progress=progress):
        stop = start + len(best.products)
        block = histories.slice(start, stop)
        because = what.loaded.live.because(block, best.products)
        reason = np.full(len(block), REASONS.index(fitted.reason), np.uint8)
        described = known_by_attributes(what.loaded.live, block)
        reason[described] = REASONS.index("fits_profile")
        own_list = described | (np.diff(block.indptr) > 0)
        chance = _chances(what.loaded, best, own_list)
        without_past = np.where(own_list, popular.HAS_OWN_LIST, block.segment)
        lists.fill(best, reason, without_past, mask.slice(start, stop))
        # A block of numbers may be far more as text, so it is cut before it becomes text.
        for first in range(0, len(block), together):
            some = slice(first, first + together)
            yield _score_rows(
                data,
                start + first,
                TopK(best.products[some], best.scores[some]),
                because=because[some],
                reason=reason[some],
                chance=chance[some],
            ).with_columns(pl.lit(what.model).alias("model"))


def _chances(loaded: Loaded, best: TopK, own_list: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`(customers, k) float32`: calibrated chances of the lists that the model made; else NaN."""
    chance = np.full(best.scores.shape, np.nan, np.float32)
    if loaded.calibration is not None:
        chance[own_list] = loaded.calibration.probability(best.scores[own_list])
    return chance


def _score_rows(
    data: TrainingData,
    start: int,
    best: TopK,
    *,
    because: NDArray[np.int32],
    reason: NDArray[np.uint8],
    chance: NDArray[np.float32],
) -> pl.DataFrame:
    listed = best.products >= 0
    ids = data.customers.ids.slice(start, len(best.products))
    owner = np.nonzero(listed)[0]
    named = np.where((reason < REASONS.index("popular_in_segment"))[:, None], because, -1)
    return (
        _long(best, owners=ids)
        .with_columns(
            data.products.take(best.products[listed]).alias("product_id"),
            pl.lit("").alias("model"),
            pl.Series("reason", REASONS, dtype=pl.String).gather(reason[owner]),
            data.products.take(named[listed]).alias("because"),
            pl.Series("probability", chance[listed]).fill_nan(None),
        )
        .rename({"id": "customer_id"})
        .select(columns.SCORES.names())
        .cast(columns.SCORES)
    )


def _long(best: TopK, *, owners: pl.Series) -> pl.DataFrame:
    """`id, product, score, rank` rows of lists, the lists' owners being `ids`."""
    listed = best.products >= 0
    owner, rank = np.nonzero(listed)
    return pl.DataFrame(
        {
            "id": owners.gather(owner),
            "product": best.products[listed],
            "score": best.scores[listed],
            "rank": (rank + 1).astype(np.uint32),
        }
    )
