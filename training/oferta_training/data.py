"""A dataset as its job sees it: id maps, weights, segments."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import polars as pl
from numpy.random import default_rng

from oferta.evaluation.cuts import ColumnCut
from oferta.evaluation.folds import gather, validation_of
from oferta.evaluation.held_out import cut_like
from oferta.evaluation.splits import split
from oferta.events.dataset import Dataset
from oferta.features.customers import CustomerFeatures
from oferta.features.known import features_of
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import Segments, segments_of
from oferta.models.build import training_data
from oferta.models.data import TrainingData, Validation
from oferta_training.job import Job


def job_data(
    dataset: Dataset,
    job: Job,
    *,
    products: IdMap | None = None,
    vocabulary: CustomerFeatures | None = None,
) -> TrainingData:
    """All customers of the dataset and all its events, weighted as the job says.

    For a model that is fitted already, `products` fixes the product rows and `vocabulary` what the
    codes of customer features mean; events of other products are then left out. None: the
    dataset's own.
    """
    customers = IdMap.of(_ids(dataset.customers(), "customer_id"))
    rows = products or IdMap.of(_ids(dataset.products(), "product_id"))
    data = training_data(
        dataset.events(),
        customers=customers,
        products=rows,
        types=dataset.event_types,
        weighting=job.interactions,
        segments=job_segments(dataset, job, customers),
        features=features_of(
            dataset.customers(),
            dataset.products(),
            customer_columns=job.features.customers,
            product_columns=job.features.products,
            customers=customers,
            products=rows,
            vocabulary=vocabulary,
        ),
    )
    return replace(
        data,
        repeatable=job.evaluation.keep_seen,
        validation=_validation(dataset, job),
    )


def _validation(dataset: Dataset, job: Job) -> Callable[[], Validation]:
    """A cut of all the data, made the way the job's evaluation makes its test."""

    @cache
    def made() -> Validation:
        material = gather(dataset, job.evaluation, None)
        cut = job.evaluation.cut
        if isinstance(cut, ColumnCut):
            draws = default_rng(job.evaluation.seed)
            cut = cut_like(cut, split(material.events, cut, target=material.target, rng=draws))
        return validation_of(material.events, cut, material=material, protocol=job.evaluation)()

    return made


def job_segments(dataset: Dataset, job: Job, customers: IdMap) -> Segments:
    """The segments that the job's `[segments]` make of the dataset's customers.

    Raises:
        UnknownName: an attribute that the customers do not have.
    """
    if not job.segments.by:
        return Segments.none(len(customers))
    return segments_of(
        dataset.customers().collect(),
        job.segments.by,
        customers=customers,
        min_size=job.segments.min_customers,
    )


def _ids(frame: pl.LazyFrame, column: str) -> pl.Series:
    return frame.select(column).collect()[column]
