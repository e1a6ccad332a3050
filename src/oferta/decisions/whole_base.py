"""Everybody's offers at once: what `decide` would find for each customer, in columns.

The same rules, consent, terms and values as `oferta.decisions.decide`, for customers to whom
nothing was said yet: contacts and caps are not looked at. Nothing is picked, explored or reserved;
of every offer it tells who could be made it, and what it would be worth.

Formulas of amounts and margins see no `channel`: they are computed once for all channels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.anyone import offers_for_anyone
from oferta.decisions.arbitration import UNKNOWN_RATE
from oferta.decisions.asked import ask
from oferta.decisions.base_batch import (
    Batch,
    Floats,
    Mask,
    Rows,
    batch_of,
    conditions_of,
    values_of,
)
from oferta.decisions.base_terms import BaseMeans
from oferta.decisions.case import case_of
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.engine import Engine
from oferta.decisions.offered import Valued
from oferta.decisions.opening import open_offers
from oferta.decisions.request import STRANGER, Known, Request
from oferta.policy.quiet import quiet_until
from oferta.rules.frames import to_polars
from oferta.terms.many import quote_many
from oferta.terms.many_columns import Quotes


@dataclass(frozen=True, slots=True, eq=False)
class Makeable:
    """Who could be made one offer, ascending by position in the batch; arrays of equal length.

    Attributes:
        value: expected value on the channel where it is highest.
        channel: position of that channel among those asked for.
        accept: P(accept); amount: of the terms, in the currency's main unit.
    """

    compiled: CompiledOffer
    rows: Rows
    value: Floats
    channel: Rows
    accept: Floats
    amount: Floats


class WholeBase:
    """What may be asked of the base on one occasion.

    Args:
        request: channel (or `any`), placements and context, as of a decision; its customer, wish
            and filter are not read.
        popular: base rates by product id.
        products: ids by position in `probability` and `score` of the wide rows.
        at: epoch seconds.

    Raises:
        RequestInvalid: as of a decision.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        *,
        popular: Mapping[str, float],
        products: Sequence[str],
        at: float,
    ) -> None:
        asked = ask(engine, request)
        self._engine = engine
        self._request = request
        self._ways = asked.ways
        self._context = asked.context
        self._only = frozenset(request.offers)
        self._popular = popular
        self._place = {product: at for at, product in enumerate(products)}
        self._at = at
        self.channels: tuple[Channel, ...] = tuple(channel for channel, _ in asked.ways)

    def anyones(self) -> dict[Channel, list[Valued]]:
        """By channel, what whoever gets a non-personalised answer is offered, the best first."""
        request = replace(self._request, personalise=False, filter=None, wish=None)
        known = Known(STRANGER, self._popular, at=self._at)
        return {
            channel: offers_for_anyone(case_of(self._engine, request, known), channel, placements)
            for channel, placements in self._ways
            if not _silent(self._engine, channel, self._at)
        }

    def batch(self, wide: pl.DataFrame) -> Batch:
        """Wide rows, ready to be asked about."""
        return batch_of(self._engine, wide, context=self._context, at=self._at)

    def offers(self, batch: Batch) -> Iterator[Makeable]:
        """Every offer that may be made to a customer whose answer depends on them.

        In the catalogue's order; offers for nobody are left out.
        """
        engine = self._engine
        ways = [
            _Way(engine, channel, placements, batch, at=self._at)
            for channel, placements in self._ways
        ]
        conditions = conditions_of(engine, batch, self.channels)
        terms = _Terms(engine, batch, day=datetime.fromtimestamp(self._at, engine.zone))
        asked = batch.personal & ~batch.closed
        for compiled in engine.offers:
            if self._only and compiled.offer.id not in self._only:
                continue
            may = asked & self._scored(compiled, batch)
            if not compiled.servicing:
                may &= ~batch.arrears
            on_ways = [
                way.may(compiled, may, conditions[channel])
                for way, channel in zip(ways, self.channels, strict=True)
            ]
            rows = np.flatnonzero(np.logical_or.reduce(on_ways))
            if len(rows):
                on = np.stack([way[rows] for way in on_ways])
                weights = np.stack(
                    [_context(compiled, conditions[channel], rows) for channel in self.channels]
                )
                accept = self._accept(compiled, batch, rows)
                found = terms.valued(compiled, rows, accept, on=on, weights=weights)
                if len(found.rows):
                    yield found

    def _scored(self, compiled: CompiledOffer, batch: Batch) -> Mask:
        """Whose products are all scored for them; who has no score at all is not held to it."""
        able = np.ones(len(batch), bool)
        if compiled.servicing:
            return able
        for product in compiled.offer.products:
            if self._popular.get(product, 0.0) > 0.0:
                at = self._place.get(product)
                able &= batch.unscored if at is None else batch.unscored | batch.scored[at]
        return able

    def _accept(self, compiled: CompiledOffer, batch: Batch, rows: Rows) -> Floats:
        """As `oferta.decisions.arbitration.accept`."""
        product = compiled.offer.products[0]
        rate = self._popular.get(product)
        if rate is None:
            rates = self._popular.values()
            rate = sum(rates) / len(rates) if rates else UNKNOWN_RATE
        at = self._place.get(product)
        if at is None:
            return np.full(len(rows), rate)
        chances = batch.chances[at, rows].astype(np.float64)
        return np.where(np.isnan(chances) | ~batch.scored[at, rows], rate, chances)


class _Way:
    """One channel with its placements, for a batch."""

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        placements: tuple[Placement, ...],
        batch: Batch,
        *,
        at: float,
    ) -> None:
        self._open = frozenset(
            compiled.index
            for compiled in open_offers(engine, engine.offers, channel, placements, at).left
        )
        self._hears = batch.may_hear(channel, engine)
        if _silent(engine, channel, at):
            self._hears &= False
        if engine.policy.channels[channel].direction == "outbound":
            self._hears &= ~batch.owed

    def may(self, compiled: CompiledOffer, among: Mask, conditions: Sequence[Mask]) -> Mask:
        """Who of `among` may be made the offer here: status, placement, rules, consent, hours."""
        if compiled.index not in self._open:
            return np.zeros(len(among), bool)
        may = among & self._hears
        for bit in compiled.failing:
            may &= conditions[bit]
        return may


def _silent(engine: Engine, channel: Channel, at: float) -> bool:
    return quiet_until(engine.policy.channels[channel].quiet, at, zone=engine.zone) is not None


def _context(compiled: CompiledOffer, conditions: Sequence[Mask], rows: Rows) -> Floats:
    """The product of the context weights that hold."""
    context = np.ones(len(rows))
    for bit, _, factor in compiled.weights:
        context = np.where(conditions[bit][rows], context * factor, context)
    return context


class _Terms:
    """Terms and values of a batch."""

    def __init__(self, engine: Engine, batch: Batch, *, day: datetime) -> None:
        self._engine = engine
        self._batch = batch
        self._day = day.date()
        self._means = BaseMeans(engine, batch, values_of(engine, batch))

    def valued(
        self, compiled: CompiledOffer, rows: Rows, accept: Floats, *, on: Mask, weights: Floats
    ) -> Makeable:
        """Of `rows`, whose terms and value do.

        `on`, `weights`: `(channels, rows)`: whether the channel is open to them, and the product of
        its context weights.
        """
        engine, means = self._engine, self._means
        quotes = quote_many(
            compiled.offer.terms,
            product=compiled.offer.products[0],
            cards=engine.cards,
            on=self._day,
            columns=means.columns(compiled, rows),
        )
        worth = self._margin(compiled, rows, quotes)
        servicing_only = self._batch.arrears[rows]
        keep = quotes.fits & (servicing_only | ~np.isnan(worth))
        worth = np.where(np.isnan(worth), 0.0, worth)
        by_tier = [
            engine.risks.get(tier, engine.risks[None])[compiled.offer.family]
            for tier in (*means.tiers, None)
        ]
        passes, rate = np.array(by_tier)[means.tier[rows]].T
        gain = accept * passes * (worth - rate * quotes.amount)
        values = np.where(on, gain * weights * compiled.lever, -np.inf)
        best = np.argmax(values, axis=0)
        value = values[best, np.arange(len(rows))]
        keep &= (value > 0.0) | servicing_only
        return Makeable(
            compiled, rows[keep], value[keep], best[keep], accept[keep], quotes.amount[keep]
        )

    def _margin(self, compiled: CompiledOffer, rows: Rows, quotes: Quotes) -> Floats:
        """As `oferta.decisions.arbitration.margin`; NaN where it needs what is not known."""
        expression = compiled.margin_expression
        terms = {
            "amount": quotes.amount,
            "months": quotes.months.astype(np.float64),
            "rate": quotes.rate,
            "price": quotes.price,
        }
        columns = [pl.Series(name, column, nan_to_null=True) for name, column in terms.items()]
        names = [name for name in expression.columns if name not in terms]
        facts = [self._batch.facts[name].gather(rows) for name in names]
        frame = pl.DataFrame([*columns, *facts])
        found = frame.with_columns(to_polars(expression).alias("margin"))["margin"]
        worth = found.fill_null(float("nan")).to_numpy()
        return np.where(np.isfinite(worth), worth, np.nan)
