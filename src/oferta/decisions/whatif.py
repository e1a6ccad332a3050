"""What a new policy, catalogue or rate card would change, over the whole base.

Every customer's best offer is found under the files in force and under the new ones, on the same
occasion and with the same scores. Contacts and caps are not looked at: they are the same on both
sides until the new policy has been in force for a while. Nothing is reserved.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.decisions.base_batch import CUSTOMER
from oferta.decisions.base_table import BaseTable
from oferta.decisions.engine import Engine
from oferta.decisions.outcomes import NONE, Outcomes, outcomes
from oferta.decisions.request import Request
from oferta.decisions.whole_base import WholeBase
from oferta.errors import SettingsInvalid
from oferta.progress import Progress, Silent

Change = Literal["lost", "less", "same", "more", "first"]
CHANGES: Final[tuple[Change, ...]] = get_args(Change)
"""All offers lost; the best one worth less; as before; worth more; a first offer where none was."""

NOTHING: Final = "none"
"""Best offer and family of who has no offer."""

UNKNOWN: Final = "unknown"
"""The group of those of whom a fact is not known."""

_BATCH: Final = 1 << 17
_THREADS: Final = 2
_HALF_A_CENT: Final = 0.005
_SIDES: Final = ("before", "after")
_GROUPED: Final = ("segment", "risk_tier", "stage")
_KEYS: Final = ("best", "family")
_SCHEMA: Final = pl.Schema(
    {
        CUSTOMER: pl.String(),
        **dict.fromkeys(_GROUPED, pl.String()),
        "change": pl.String(),
        "before_offers": pl.Int32(),
        "after_offers": pl.Int32(),
        "before_best": pl.String(),
        "after_best": pl.String(),
        "before_family": pl.String(),
        "after_family": pl.String(),
        "before_value": pl.Float64(),
        "after_value": pl.Float64(),
        "before_personal": pl.Boolean(),
        "after_personal": pl.Boolean(),
    }
)


@dataclass(frozen=True, slots=True)
class Side:
    """The files of one side."""

    policy: str
    catalogue: str
    rate_card: str


@dataclass(frozen=True, slots=True)
class Group:
    """Customers of one segment, tier or stage: before and after.

    Attributes:
        reached: customers who could be made any offer.
        value: sum of the best offers' expected values, in the currency's main unit.
        changes: customers by what changes for them.
    """

    name: str
    customers: int
    reached: tuple[int, int]
    value: tuple[float, float]
    changes: Mapping[Change, int]


@dataclass(frozen=True, slots=True)
class Share:
    """One family, or one offer: before and after.

    Attributes:
        could: customers to whom it could be made, personalised; of a family 0.
        best: customers for whom it is the best; value: theirs.
    """

    name: str
    could: tuple[int, int]
    best: tuple[int, int]
    value: tuple[float, float]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would change.

    Attributes:
        total: everybody; segments, tiers, stages: by the facts of these names (stage as of the
            occasion).
        families: by family of the best offer, `none` where there is none.
        offers: those for which anything changes, most changed first.
        personalised: customers whose answer depends on them.
    """

    before: Side
    after: Side
    at: float
    channels: tuple[str, ...]
    currency: str
    total: Group
    segments: tuple[Group, ...]
    tiers: tuple[Group, ...]
    stages: tuple[Group, ...]
    families: tuple[Share, ...]
    offers: tuple[Share, ...]
    personalised: tuple[int, int]

    @property
    def losers(self) -> float:
        """The share of customers who lose every offer."""
        return self.total.changes["lost"] / max(self.total.customers, 1)

    @property
    def value_change(self) -> float:
        """Expected value after over before, less 1; 0 where there is none before."""
        before, after = self.total.value
        return after / before - 1.0 if before else 0.0


Keep = Callable[[pl.DataFrame], None]
"""Takes a batch of customers: customer_id, segment, risk_tier, stage, change (of CHANGES), and for
both sides (`before_`, `after_`) offers, best (id or null), family, value, personal."""


def what_if(
    table: BaseTable,
    before: Engine,
    after: Engine,
    *,
    request: Request,
    at: float,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> WhatIf:
    """The comparison. `request`: channel, placements and context, as of a decision.

    Raises:
        RequestInvalid: one of the two cannot be asked so.
        SettingsInvalid: they reckon in different currencies.
    """
    if before.policy.currency != after.policy.currency:
        said = f"before in {before.policy.currency}, after in {after.policy.currency}"
        raise SettingsInvalid("currency", [f"{said}: values cannot be compared"])
    sides = _Sides(table, before, after, request=request, at=at)
    frames: list[pl.DataFrame] = []
    made = np.zeros((2, len(sides.names)), np.int64)
    with (progress or Silent()).task("customers", total=table.customers) as advance:
        for frame, could in sides.over(table.batches(_BATCH)):
            if keep is not None:
                keep(frame)
            frames.append(_summed(frame))
            made += could
            advance(len(frame))
    summed = pl.concat(frames) if frames else _summed(sides.nobody())
    could_be = dict(zip(sides.names, made.T.tolist(), strict=True))
    return WhatIf(
        before=_side(before),
        after=_side(after),
        at=at,
        channels=sides.channels,
        currency=before.policy.currency,
        total=_groups(summed, None)[0],
        segments=_groups(summed, "segment"),
        tiers=_groups(summed, "risk_tier"),
        stages=_groups(summed, "stage"),
        families=_shares(summed, "family", {}),
        offers=tuple(
            share
            for share in _shares(summed, "best", could_be)
            if share.name != NOTHING and _differs(share)
        ),
        personalised=(int(summed["before_personal"].sum()), int(summed["after_personal"].sum())),
    )


class _Sides:
    """Both engines on the same occasion."""

    def __init__(
        self, table: BaseTable, before: Engine, after: Engine, *, request: Request, at: float
    ) -> None:
        self._engines = (before, after)
        self._bases = [
            WholeBase(engine, request, popular=table.base_rates, products=table.products, at=at)
            for engine in self._engines
        ]
        self.channels = tuple(
            dict.fromkeys(channel for base in self._bases for channel in base.channels)
        )
        ids = (compiled.offer.id for engine in self._engines for compiled in engine.offers)
        self.names = tuple(dict.fromkeys(ids))
        place = {name: at for at, name in enumerate(self.names)}
        self._places = [
            np.array([place[one.offer.id] for one in engine.offers], np.int64)
            for engine in self._engines
        ]

    def over(
        self, batches: Iterator[pl.DataFrame]
    ) -> Iterator[tuple[pl.DataFrame, NDArray[np.int64]]]:
        """Each batch's frame and to how many each of `names` could be made, `(2, names)`.

        Arrays let go of the interpreter, so two batches at a time use two cores.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting = deque(pool.submit(self._one, wide) for wide in islice(batches, _THREADS))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(self._one, wide) for wide in islice(batches, 1))

    def nobody(self) -> pl.DataFrame:
        """The frame of no customers."""
        return pl.DataFrame(schema=_SCHEMA)

    def _one(self, wide: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        columns: dict[str, pl.Series | NDArray[np.generic]] = {}
        found: list[Outcomes] = []
        made = np.zeros((2, len(self.names)), np.int64)
        for number, side in enumerate(_SIDES):
            engine, base = self._engines[number], self._bases[number]
            batch = base.batch(wide)
            outcome = outcomes(engine, base, batch)
            made[number, self._places[number]] = outcome.made
            found.append(outcome)
            if not number:
                columns = {CUSTOMER: batch.customers}
                columns |= {name: batch.facts[name].fill_null(UNKNOWN) for name in _GROUPED}
            columns |= _columns(engine, outcome, side)
        columns["change"] = _changes(found[0], found[1])
        return pl.DataFrame(columns).select(_SCHEMA.names()).cast(_SCHEMA), made


def _columns(
    engine: Engine, outcome: Outcomes, side: str
) -> dict[str, pl.Series | NDArray[np.generic]]:
    names = pl.Series([*(one.offer.id for one in engine.offers), NOTHING])
    families = pl.Series([*(one.offer.family for one in engine.offers), NOTHING])
    place = pl.Series(np.where(outcome.best == NONE, len(engine.offers), outcome.best))
    return {
        f"{side}_offers": outcome.offers,
        f"{side}_best": names.gather(place),
        f"{side}_family": families.gather(place),
        f"{side}_value": outcome.value,
        f"{side}_personal": outcome.personal,
    }


def _changes(before: Outcomes, after: Outcomes) -> pl.Series:
    had, has = before.offers > 0, after.offers > 0
    more = after.value - before.value
    code = np.select(
        [had & ~has, ~had & has, more > _HALF_A_CENT, more < -_HALF_A_CENT],
        [CHANGES.index(change) for change in ("lost", "first", "more", "less")],
        CHANGES.index("same"),
    )
    return pl.Series(CHANGES).gather(code)


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    """Counts and sums of all that is grouped by, so that batches can be forgotten."""
    keys = [*_GROUPED, "change", *(f"{side}_{key}" for side in _SIDES for key in _KEYS)]
    return frame.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("customers"),
        *(
            (pl.col(f"{side}_offers") > 0).sum().cast(pl.Int64).alias(f"{side}_reached")
            for side in _SIDES
        ),
        *(pl.col(f"{side}_value").sum() for side in _SIDES),
        *(pl.col(f"{side}_personal").sum().cast(pl.Int64) for side in _SIDES),
    )


def _groups(summed: pl.DataFrame, by: str | None) -> tuple[Group, ...]:
    """By the values of a column, or everybody; the largest first."""
    key = pl.lit("all") if by is None else pl.col(by)
    counted = [
        pl.col("customers").filter(pl.col("change") == change).sum().alias(change)
        for change in CHANGES
    ]
    found = (
        summed.group_by(key.alias("name"))
        .agg(
            pl.col("customers").sum(),
            *(pl.col(f"{side}_{what}").sum() for side in _SIDES for what in ("reached", "value")),
            *counted,
        )
        .sort("customers", "name", descending=[True, False])
    )
    if by is None and not len(found):
        return (Group("all", 0, (0, 0), (0.0, 0.0), dict.fromkeys(CHANGES, 0)),)
    return tuple(
        Group(
            name=row["name"],
            customers=row["customers"],
            reached=(row["before_reached"], row["after_reached"]),
            value=(row["before_value"], row["after_value"]),
            changes={change: row[change] for change in CHANGES},
        )
        for row in found.iter_rows(named=True)
    )


def _shares(
    summed: pl.DataFrame, key: str, could: Mapping[str, Sequence[int]]
) -> tuple[Share, ...]:
    """By family or offer of the best one; what changes most in customers first."""
    sums: dict[str, list[tuple[int, float]]] = {}
    for number, side in enumerate(_SIDES):
        found = summed.group_by(f"{side}_{key}").agg(
            pl.col("customers").sum(), pl.col(f"{side}_value").sum()
        )
        for name, customers, value in found.iter_rows():
            sums.setdefault(name, [(0, 0.0), (0, 0.0)])[number] = (customers, value)
    for name in could:
        sums.setdefault(name, [(0, 0.0), (0, 0.0)])
    shares = [
        Share(
            name=name,
            could=(could[name][0], could[name][1]) if name in could else (0, 0),
            best=(before[0], after[0]),
            value=(before[1], after[1]),
        )
        for name, (before, after) in sums.items()
    ]
    return tuple(sorted(shares, key=lambda one: (-abs(one.best[1] - one.best[0]), one.name)))


def _differs(share: Share) -> bool:
    moved = abs(share.value[1] - share.value[0]) > _HALF_A_CENT
    return moved or share.could[0] != share.could[1] or share.best[0] != share.best[1]


def _side(engine: Engine) -> Side:
    return Side(engine.policy_version, engine.catalogue_version, engine.cards.version)
