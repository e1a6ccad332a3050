"""A dataset as its job sees it: id maps, weights, segments."""

import polars as pl

from oferta.events.dataset import Dataset
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import Segments, segments_of
from oferta.models.build import training_data
from oferta.models.data import TrainingData
from oferta_training.job import Job


def job_data(dataset: Dataset, job: Job, *, products: IdMap | None = None) -> TrainingData:
    """All customers of the dataset and all its events, weighted as the job says.

    `products` fixes the product rows, for a model that has its own; events of other products are
    then left out. None: the dataset's products.
    """
    customers = IdMap.of(_ids(dataset.customers(), "customer_id"))
    return training_data(
        dataset.events(),
        customers=customers,
        products=products or IdMap.of(_ids(dataset.products(), "product_id")),
        types=dataset.event_types,
        weighting=job.interactions,
        segments=job_segments(dataset, job, customers),
    )


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
