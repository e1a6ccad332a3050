"""Score everyone: a model and a dataset in, a scores folder out, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta import columns
from oferta.catalogue.products import offerable
from oferta.events.dataset import Dataset
from oferta.interactions.histories import Histories
from oferta.interactions.holdings import held_pairs
from oferta.interactions.idmap import IdMap
from oferta.models.data import TrainingData
from oferta.models.propensity.propensity import Propensity
from oferta.models.recommend import top_k_blocks
from oferta.models.saved import Loaded
from oferta.profile.build import build_profiles, peers_in
from oferta.progress import Progress
from oferta.scoring.live import known_by_attributes
from oferta.scoring.reasons import REASONS
from oferta.scoring.topk import ProductMask, TopK
from oferta_training import popular
from oferta_training.base_rates import MeanChances, conversion_shares, horizon_of
from oferta_training.blocks import Block, parts
from oferta_training.chances import Chances
from oferta_training.data import job_data
from oferta_training.job import Job
from oferta_training.live_part import write_live
from oferta_training.propensity import known_now
from oferta_training.refused import said_by_source
from oferta_training.score_rows import customer_rows, score_rows, similar_rows
from oferta_training.scores import ScoresFolder, part_name, write_manifest
from oferta_training.whole_base import Scope, WholeBase, spread, tiers_of

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
        profiles: what profiles to write beside the lists; None: none.
        propensity: what states chances; None: the model's calibration does, if it has one.
        before: earlier scores with profiles: their value tiers are held on to; None: none are.
    """

    model: str
    run: str
    loaded: Loaded
    job: Job
    dataset: Dataset
    at: datetime
    profiles: Scope | None = None
    propensity: Propensity | None = None
    before: ScoresFolder | None = None


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

    said = said_by_source(what.dataset, "personalisation")
    customer_rows(data, held, said).write_parquet(folder / "customers.parquet")
    lists.frame(data).write_parquet(folder / "popular.parquet")
    similar_rows(
        what.loaded.embeddings.products, products, what.job.scores.similar, sellable=sellable
    ).write_parquet(folder / "similar.parquet")
    histories = what.loaded.recognise(data)
    known = None
    if what.propensity is not None:
        known = known_now(what.propensity, what.dataset, data, histories=histories, job=what.job)
    chances = Chances(what.loaded, what.propensity, known)
    blocks = _blocks(
        what, data, histories, mask, lists, chances=chances, part_rows=part_rows, progress=progress
    )
    rates = MeanChances(len(products))
    whole = _list_length(what.job, len(products)) == len(products)
    base = _whole_base(what, folder, data, products=len(catalogue) if whole else 0)
    places = _places(catalogue, products)
    for number, part in enumerate(parts(blocks, part_rows)):
        part.rows.write_parquet(folder / part_name(number))
        rates.add(part.best.products, part.chance)
        if base is not None:
            wide = [
                spread(part.best.products, values, places, len(catalogue) if whole else 0)
                for values in (part.chance, part.best.scores)
            ]
            base.write(part_name(number), part.start, *wide)
    shares = rates.rates() if whole and chances.stated else None
    _with_base_rates(what, catalogue, products, shares).write_parquet(folder / "products.parquet")
    if base is not None:
        base.close()
    live = write_live(
        folder,
        what.loaded.live,
        data,
        reason=what.loaded.fitted.reason,
        length=min(what.job.scores.top_n, len(products)),
        weights=_weights(what),
        weighting=what.job.interactions,
        places=places,
        segment=histories.segment,
    )
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
        base=None if base is None or what.profiles is None else base.described(what.profiles),
        live=live,
        covered=what.dataset.manifest.covered,
    )


def _weights(what: Scoring) -> dict[str, float]:
    types = what.job.interactions.apply(what.dataset.event_types)
    return {name: kind.weight for name, kind in types.items()}


def _whole_base(
    what: Scoring, folder: Path, data: TrainingData, *, products: int
) -> WholeBase | None:
    if what.profiles is None:
        return None
    scope = what.profiles
    before = what.before
    known = None if before is None or before.base is None else (before.wide(), before.base)
    tiers = None if known is None else tiers_of(*known, scope)
    peers = peers_in(what.dataset, as_of=scope.as_of, zone=scope.zone, settings=scope.settings)

    def profiles(customers: pl.LazyFrame | None) -> pl.LazyFrame:
        return build_profiles(
            what.dataset,
            as_of=scope.as_of,
            zone=scope.zone,
            settings=scope.settings,
            attributes=scope.attributes,
            customers=customers,
            peers=peers,
            tiers_before=tiers,
        )

    return WholeBase(folder, profiles, customers=data.customers, products=products)


def _places(catalogue: pl.DataFrame, products: IdMap) -> NDArray[np.int32]:
    """`(products,)`: the position in the catalogue of each of the model's, -1 for none."""
    places = np.full(len(products), -1, np.int32)
    rows = products.rows(catalogue["product_id"])
    known = np.flatnonzero(rows >= 0)
    places[rows[known]] = known
    return places


def _with_base_rates(
    what: Scoring, catalogue: pl.DataFrame, products: IdMap, chances: NDArray[np.float64] | None
) -> pl.DataFrame:
    """The catalogue with `base_rate`: mean chances, or where there are none conversions."""
    if chances is None:
        shares = conversion_shares(what.dataset, horizon_of(what.job.evaluation.cut))
    else:
        shares = products.frame("product_id", "row").select(
            "product_id", pl.Series("share", chances).fill_nan(None)
        )
    known = catalogue.join(shares, on="product_id", how="left", maintain_order="left")
    return known.rename({"share": "base_rate"})


def _catalogue(what: Scoring) -> pl.DataFrame:
    """The dataset's products as known columns; what the catalogue leaves open, the job says.

    And their `family`, where they have one: profiles sort them by it.
    """
    products = what.dataset.products()
    own = [name for name in ("family",) if name in products.collect_schema().names()]
    rows = products.select(*columns.PRODUCTS.names, *own).collect()
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


def _blocks(
    what: Scoring,
    data: TrainingData,
    histories: Histories,
    mask: ProductMask,
    lists: popular.PopularLists,
    *,
    chances: Chances,
    part_rows: int,
    progress: Progress,
) -> Iterator[Block]:
    """Customers in ascending order, no more at a time than fit."""
    k = _list_length(what.job, len(data.products))
    together = max(1, part_rows // max(k, 1))
    fitted = what.loaded.fitted
    for start, best in top_k_blocks(fitted, histories, k, mask=mask, progress=progress):
        stop = start + len(best.products)
        block = histories.slice(start, stop)
        because = what.loaded.live.because(block, best.products)
        reason = np.full(len(block), REASONS.index(fitted.reason), np.uint8)
        described = known_by_attributes(what.loaded.live, block)
        reason[described] = REASONS.index("fits_profile")
        own_list = described | (np.diff(block.indptr) > 0)
        without_past = np.where(own_list, popular.HAS_OWN_LIST, block.segment)
        lists.fill(best, reason, without_past, mask.slice(start, stop))
        chance = chances.of(block, best, start=start, own_list=own_list)
        # A block of numbers may be far more as text, so it is cut before it becomes text.
        for first in range(0, len(block), together):
            some = slice(first, first + together)
            own = TopK(best.products[some], best.scores[some])
            rows = score_rows(
                data,
                start + first,
                own,
                because=because[some],
                reason=reason[some],
                chance=chance[some],
            ).with_columns(pl.lit(what.model).alias("model"))
            yield Block(start + first, rows, own, chance[some])
