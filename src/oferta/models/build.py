"""From a dataset's events to what models are fitted on."""

from collections.abc import Mapping

import polars as pl

from oferta.events.types import EventType
from oferta.features.known import Features
from oferta.interactions.events import EventLog, read_events
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import Segments
from oferta.interactions.weighting import Weighting, histories_of
from oferta.models.data import TrainingData


def training_data(
    events: pl.LazyFrame,
    *,
    customers: IdMap,
    products: IdMap,
    types: Mapping[str, EventType],
    weighting: Weighting,
    now_us: int | None = None,
    segments: Segments | None = None,
    features: Features | None = None,
) -> TrainingData:
    """Accepted events as training data: read, weighted, decayed to `now_us`, saturated.

    `now_us` None: the time of the latest event. About 150 bytes an event at the peak.
    """
    log = read_events(events, customers=customers, products=products, types=weighting.apply(types))
    return training_data_of(
        log,
        customers=customers,
        products=products,
        weighting=weighting,
        now_us=now_us,
        segments=segments,
        features=features,
    )


def training_data_of(
    log: EventLog,
    *,
    customers: IdMap,
    products: IdMap,
    weighting: Weighting,
    now_us: int | None = None,
    segments: Segments | None = None,
    features: Features | None = None,
) -> TrainingData:
    """The same of events that are arrays already, such as the train part of a split."""
    segments = segments or Segments.none(len(customers))
    features = features or Features()
    return TrainingData(
        customers=customers,
        products=products,
        events=log,
        histories=histories_of(
            log,
            weighting,
            n_customers=len(customers),
            now_us=log.last_us if now_us is None else now_us,
            segment=segments.codes,
            features=features.codes,
        ),
        segments=segments.labels,
        customer_features=features.customers,
        product_features=features.products,
        weighting=weighting,
    )
