"""Some customers of the base, as rules, consent and terms see them: in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.catalogue.offers import Channel
from oferta.decisions.engine import Engine
from oferta.decisions.request import FactValue
from oferta.decisions.view import OWED
from oferta.policy.control import in_control
from oferta.profile.derive import with_derived
from oferta.profile.facts import FactKind
from oferta.rules.frames import rule_columns, to_polars

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

CUSTOMER = "customer_id"
_CHANNEL = "channel"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Customers in columns; every mask is `(customers,)`.

    Attributes:
        customers: ids.
        facts: the columns of rules, dates as days; `channel` is null, for they are asked on many.
        personal: whose answer may depend on them; control: who is in the control group.
        closed: who gets nothing at all; arrears: who gets servicing offers only.
        owed: who gets them without consent, on channels where they come to us.
        chances, scored: `(products, customers)`: calibrated chance (NaN: none), and whether the
            product was scored for the customer; unscored: for whom none was.
    """

    customers: pl.Series
    facts: pl.DataFrame
    personal: Mask
    control: Mask
    closed: Mask
    arrears: Mask
    owed: Mask
    chances: NDArray[np.float32]
    scored: Mask
    unscored: Mask

    def __len__(self) -> int:
        return len(self.customers)

    def numbers(self, name: str) -> Floats:
        """A column of numbers or dates; NaN where unknown."""
        return self.facts[name].fill_null(float("nan")).to_numpy()

    def true(self, name: str) -> Mask:
        """Where a boolean column is true."""
        return self.facts[name].fill_null(value=False).to_numpy()

    def may_hear(self, channel: Channel, engine: Engine) -> Mask:
        """Whom consent lets be contacted on the channel, as `oferta.policy.consent`."""
        rules = engine.policy.channels[channel]
        may = np.ones(len(self), bool)
        if rules.direction == "outbound":
            may &= self.true("consent_marketing")
        if rules.consent is not None:
            may &= self.true(f"consent_{rules.consent}")
        return may


def batch_of(
    engine: Engine, wide: pl.DataFrame, *, context: Mapping[str, FactValue], at: float
) -> Batch:
    """Wide rows of the base as of the instant `at`; `context`: by column of rules."""
    day = datetime.fromtimestamp(at, engine.zone).date()
    policy = engine.policy

    def true(name: str) -> Mask:
        return wide[name].fill_null(value=False).to_numpy()

    personal = true("consent_personalisation")
    if policy.personalisation.without_consent == "personalised":
        personal |= wide["consent_personalisation"].is_null().to_numpy()
    arrears, vulnerable = true("in_arrears"), true("vulnerable")
    closed = vulnerable.copy()
    owed = arrears & ~vulnerable & ~personal
    control = np.zeros(len(wide), bool)
    if policy.control.share > 0.0:
        asked = np.flatnonzero(personal & ~closed & ~arrears)
        control[asked] = [
            in_control(customer, policy.control, at=at, zone=engine.zone)
            for customer in wide[CUSTOMER].gather(asked)
        ]
    if policy.control.gets == "nothing":
        closed |= control
    else:
        personal &= ~control
    personal = personal | owed
    scored = ~owed & ~np.isnan(_by_product(wide["score"]))
    return Batch(
        customers=wide[CUSTOMER],
        facts=_facts(engine, _of_owed(wide, owed), context=context, day=day),
        personal=personal,
        control=control,
        closed=closed,
        arrears=arrears,
        owed=owed,
        chances=_by_product(wide["probability"]),
        scored=scored,
        unscored=~np.logical_or.reduce(scored, axis=0),
    )


def conditions_of(
    engine: Engine, batch: Batch, channels: Sequence[Channel]
) -> dict[Channel, list[Mask]]:
    """By channel, where each of the engine's conditions is true; shared where no channel counts."""
    everywhere = {
        at: to_polars(condition).fill_null(value=False).alias(str(at))
        for at, condition in enumerate(engine.conditions)
        if _CHANNEL not in condition.columns
    }
    shared = batch.facts.with_columns(everywhere.values()) if everywhere else batch.facts
    found: dict[Channel, list[Mask]] = {}
    known = {at: shared[str(at)].to_numpy() for at in everywhere}
    for channel in channels:
        here = batch.facts.with_columns(pl.lit(channel).alias(_CHANNEL))
        own = here.with_columns(
            to_polars(condition).fill_null(value=False).alias(str(at))
            for at, condition in enumerate(engine.conditions)
            if at not in everywhere
        )
        found[channel] = [
            known[at] if at in known else own[str(at)].to_numpy()
            for at in range(len(engine.conditions))
        ]
    return found


def values_of(engine: Engine, batch: Batch) -> list[Floats]:
    """Starting amounts and values of cars: the engine's `values`, NaN where null."""
    named = [to_polars(value).alias(f"value {at}") for at, value in enumerate(engine.values)]
    found = batch.facts.with_columns(named)
    return [
        found[f"value {at}"].fill_null(float("nan")).to_numpy() for at in range(len(engine.values))
    ]


def _of_owed(wide: pl.DataFrame, owed: Mask) -> pl.DataFrame:
    """The facts, without those that what is owed does not depend on."""
    facts = wide.drop("probability", "score")
    if not owed.any():
        return facts
    others = [name for name in facts.columns if name not in OWED and name != CUSTOMER]
    return facts.with_columns(pl.when(~pl.lit(pl.Series(owed))).then(pl.col(others)))


def _facts(
    engine: Engine, wide: pl.DataFrame, *, context: Mapping[str, FactValue], day: date
) -> pl.DataFrame:
    attributes: dict[str, FactKind] = {
        name: kind for name, kind in engine.columns.items() if name.startswith("attr_")
    }
    derived = with_derived(wide, today=day, policy_value=engine.policy.value, attributes=attributes)
    given = {name: kind for name, kind in engine.columns.items() if name.startswith("context_")}
    known = derived.with_columns(
        pl.lit(value).alias(name) for name, value in context.items() if name in given
    )
    return rule_columns(known, engine.columns).collect()


def _by_product(column: pl.Series) -> NDArray[np.float32]:
    """`(products, customers)`, a product's values side by side; NaN where there is nothing."""
    if isinstance(column.dtype, pl.Array):
        width = column.dtype.shape[0]
    else:
        width = len(column[0]) if len(column) else 0
    flat = column.explode(empty_as_null=True).fill_null(float("nan")).to_numpy()
    return np.ascontiguousarray(flat.reshape(len(column), width).T)
