"""Chances that know the customer's clock: learnt from windows of the past, judged on the last one.

The job's split says how long a window is. Windows follow each other backwards from the data's end;
for each of them the winning model is fitted on what was before, and trees learn what was chosen in
it from that model's scores, the ages of what was bought and met, the ends of contracts, and facts
of profiles as of its beginning. Judged is on the newest window by what the older ones teach; what
is then kept has learnt from the newest, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.errors import SplitRefused
from oferta.evaluation.calibration import Reliability, reliability
from oferta.evaluation.cuts import TimeCut
from oferta.evaluation.folds import Material, gather, make_fold
from oferta.evaluation.splits import split
from oferta.events.dataset import Dataset
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.lists import Lists
from oferta.models import catalog
from oferta.models.data import TrainingData
from oferta.models.propensity.columns import Described
from oferta.models.propensity.facts import FactCoding
from oferta.models.propensity.knowledge import Knowledge, Pairs, knowledge_of
from oferta.models.propensity.propensity import (
    MOST_PRODUCTS,
    Propensity,
    Window,
    learn,
    stated,
)
from oferta.models.protocol import FittedRecommender
from oferta.profile.build import build_profiles
from oferta.profile.needs import NO_PEERS
from oferta.progress import Progress
from oferta_training.job import Job
from oferta_training.past import PastDataset

_DAY_US: Final = 86_400_000_000
_JUDGED: Final = 5_000  # customers
_NO_ENDS: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Judged:
    """What chances were worth in the newest window, over all customers and products.

    Attributes:
        customers, chosen: how many took part, and pairs that were chosen.
        trees: of what the older windows taught.
        base: of the share of customers who chose the product in the window before.
    """

    customers: int
    chosen: int
    trees: Reliability
    base: Reliability

    @property
    def better(self) -> bool:
        """Whether trees tell more than base rates."""
        return self.trees.log_loss < self.base.log_loss

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "customers": self.customers,
            "chosen": self.chosen,
            "trees": self.trees.as_json(),
            "base": self.base.as_json(),
        }

    def sentence(self) -> str:
        """One line for people."""
        return (
            f"chances of {self.customers:,} customers in the last window, {self.chosen:,} chosen: "
            f"log loss {self.trees.log_loss:.5f} (base rates {self.base.log_loss:.5f}), "
            f"ECE {self.trees.ece:.5f}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """The outcome: what states chances, or why nothing does."""

    propensity: Propensity | None
    judged: Judged | None
    why_not: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Then:
    """A window before its facts are coded."""

    data: TrainingData
    fitted: FittedRecommender
    instant: datetime
    frame: pl.DataFrame
    ends: Pairs
    chosen: Lists


def learn_propensity(
    dataset: Dataset,
    job: Job,
    *,
    model: str,
    settings: Mapping[str, Any],
    progress: Progress,
) -> Learned:
    """What the windows of `dataset` teach of the chances of `model` with `settings`."""
    cut = job.evaluation.cut
    if not isinstance(cut, TimeCut):
        return Learned(None, None, "the split is no window of time")
    material = gather(dataset, job.evaluation, None)
    products = material.reading.products
    if len(products) > MOST_PRODUCTS:
        return Learned(None, None, f"there are more than {MOST_PRODUCTS} products")
    recipe = catalog.recipe(model, dict(settings))
    then: list[_Then] = []
    with progress.task("windows of the past", total=job.propensity.windows + 1) as advance:
        for fold in range(job.propensity.windows + 1):
            made = _then(dataset, job, material, recipe=recipe, fold=fold, progress=progress)
            if made is None:
                break
            then.append(made)
            advance(1)
    if len(then) < 2:  # noqa: PLR2004 - one to learn from and one to judge by
        return Learned(None, None, "the data is too short for two windows")
    coding = FactCoding.of([each.frame for each in then], job.propensity.facts)
    windows = [_window(each, coding, job, horizon=cut.window) for each in then]
    described = described_of(dataset, products)
    days = cut.window / timedelta(days=1)

    def taught(by: Sequence[Window]) -> Propensity | None:
        return learn(
            by,
            described,
            coding,
            horizon_days=days,
            seed=job.seed,
            rng=default_rng([job.seed, 6]),
        )

    first = taught(windows[1:])
    if first is None or not len(windows[0].chosen.product):
        return Learned(None, None, "nothing was chosen in the windows")
    judged = _judge(first, windows[0])
    if not judged.better:
        return Learned(None, judged, "they told no more than base rates")
    return Learned(taught(windows[: job.propensity.windows]), judged)


def known_now(
    propensity: Propensity,
    dataset: Dataset,
    data: TrainingData,
    *,
    histories: Histories,
    job: Job,
) -> Knowledge:
    """What is known of the customers of `data` at the end of its events."""
    last = data.events.last_us
    now_us = 0 if last is None else last + 1
    instant = datetime.fromtimestamp(now_us / 1e6, UTC)
    frame = _facts(dataset, instant, job, propensity.coding.names)
    return knowledge_of(
        data,
        histories=histories,
        now_us=now_us,
        horizon_us=round(propensity.horizon_days * _DAY_US),
        ends=contract_ends(dataset, data.customers, data.products, instant),
        facts=propensity.coding.encode(frame, data.customers, today=_today(instant, job)),
    )


def described_of(dataset: Dataset, products: IdMap) -> Described:
    """Categories as codes, and prices, of the products."""
    rows = dataset.products().select("product_id", "category", "price_minor").collect()
    rows = rows.with_columns(pl.col("product_id").cast(pl.String)).unique("product_id", keep="last")
    own = products.frame("product_id", "row").join(
        rows, on="product_id", how="left", maintain_order="left"
    )
    texts = own["category"].fill_null("")
    price = own["price_minor"].cast(pl.Float64).clip(lower_bound=0).log1p().fill_null(np.nan)
    return Described(
        texts.rank("dense").to_numpy().astype(np.int32) - 1, price.to_numpy().astype(np.float32)
    )


def _then(
    dataset: Dataset,
    job: Job,
    material: Material,
    *,
    recipe: Any,  # noqa: ANN401
    fold: int,
    progress: Progress,
) -> _Then | None:
    """The window that is `fold` before the newest; None where the data does not reach so far."""
    protocol = job.evaluation
    try:
        parts = split(
            material.events,
            protocol.cut,
            target=material.target,
            rng=default_rng([protocol.seed, fold]),
            fold=fold,
        )
        made = make_fold(parts, material, protocol)
    except SplitRefused:
        return None
    instant, first = parts.starts_at, parts.train["timestamp"].min()
    cut = protocol.cut
    if instant is None or not isinstance(first, datetime) or not isinstance(cut, TimeCut):
        return None
    if first > instant - cut.window:
        return None
    data = made.data
    chosen = parts.test.select(
        pl.Series("row", data.customers.rows(parts.test["customer_id"])),
        pl.Series("product", data.products.rows(parts.test["product_id"])),
    ).filter(pl.col("row") >= 0)
    past = PastDataset.of(dataset, instant)
    return _Then(
        data=data,
        fitted=recipe.fit(data, rng=default_rng(job.seed), progress=progress),
        instant=instant,
        frame=_facts(past, instant, job, job.propensity.facts),
        ends=contract_ends(past, data.customers, data.products, instant),
        chosen=Lists.of(chosen, len(data.customers)),
    )


def _window(then: _Then, coding: FactCoding, job: Job, *, horizon: timedelta) -> Window:
    data = then.data
    known = knowledge_of(
        data,
        histories=data.histories,
        now_us=round(then.instant.timestamp() * 1e6),
        horizon_us=round(horizon / timedelta(microseconds=1)),
        ends=then.ends,
        facts=coding.encode(then.frame, data.customers, today=_today(then.instant, job)),
    )
    return Window(known, then.fitted, then.chosen)


def _facts(dataset: Dataset, instant: datetime, job: Job, names: Sequence[str]) -> pl.DataFrame:
    said = job.profiles
    profiles = build_profiles(
        dataset,
        as_of=instant,
        zone=ZoneInfo(said.zone),
        settings=said.settings,
        peers=NO_PEERS,
    )
    return profiles.select("customer_id", *names).collect(engine="streaming")


def _today(instant: datetime, job: Job) -> Any:  # noqa: ANN401
    return instant.astimezone(ZoneInfo(job.profiles.zone)).date()


def contract_ends(dataset: Dataset, customers: IdMap, products: IdMap, instant: datetime) -> Pairs:
    """Days from the instant to the end of each customer's latest contract of each product."""
    contracts = dataset.contracts()
    if contracts is None:
        return Pairs(_NO_ENDS, np.zeros(0, np.float32), len(products))
    days = (pl.col("ends_at") - instant).dt.total_seconds() / 86_400
    rows = (
        contracts.filter(pl.col("ends_at").is_not_null(), pl.col("starts_at") < instant)
        .select("customer_id", "product_id", days.alias("days"))
        .join(customers.frame("customer_id", "customer").lazy(), on="customer_id")
        .join(products.frame("product_id", "product").lazy(), on="product_id")
        .select("customer", "product", "days")
        .collect(engine="streaming")
    )
    return Pairs.of(
        rows["customer"].to_numpy(),
        rows["product"].to_numpy(),
        rows["days"].to_numpy(),
        products=len(products),
        keep="most",
    )


def _judge(propensity: Propensity, window: Window) -> Judged:
    said: list[NDArray[np.float32]] = []
    chosen: list[NDArray[np.bool_]] = []
    rows = default_rng(7).permutation(len(window.known))[:_JUDGED]
    for chances, marked in stated(propensity, window, rows=np.sort(rows)):
        there = ~np.isnan(chances[:, 0]) if chances.shape[1] else np.zeros(len(chances), np.bool_)
        said.append(chances[there])
        chosen.append(marked[there])
    chances, happened = np.concatenate(said), np.concatenate(chosen)
    base = np.broadcast_to(window.known.base, chances.shape)
    return Judged(
        customers=len(chances),
        chosen=int(happened.sum()),
        trees=reliability(chances.ravel(), happened.ravel()),
        base=reliability(base.ravel(), happened.ravel()),
    )
