"""Everybody's offers at once: what `decide` would find for each customer, in columns.

The same rules, consent, terms and values as `oferta.decisions.decide`, for customers to whom nothing
was said yet: contacts and caps are not looked at. Nothing is picked, explored or reserved; of every
offer it tells who could be made it, and what it would be worth.

A thousand customers x a hundred offers take some 50 ms on one core.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from oferta.catalogue.offers import Channel, Placement
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
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.engine import Engine
from oferta.decisions.request import Request
from oferta.decisions.sift import admission
from oferta.policy.quiet import quiet_until
from oferta.rules.frames import to_polars
from oferta.terms.many import quote_many


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
        self._ways = asked.ways
        self._context = asked.context
        self._only = frozenset(request.offers)
        self._popular = popular
        self._place = {product: at for at, product in enumerate(products)}
        self._at = at
        self.channels: tuple[Channel, ...] = tuple(channel for channel, _ in asked.ways)

    def batch(self, wide: pl.DataFrame) -> Batch:
        """Wide rows, ready to be asked about."""
        return batch_of(self._engine, wide, context=self._context, at=self._at)

    def offers(self, batch: Batch) -> Iterator[Makeable]:
        """Every offer that may be made to a customer whose answer depends on them.

        In the catalogue's order; offers for nobody are left out.
        """
        engine = self._engine
        reach = [
            _Way(self, channel, placements, batch) for channel, placements in self._ways
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
                for way, channel in zip(reach, self.channels, strict=True)
            ]
            rows = np.flatnonzero(np.logical_or.reduce(on_ways))
            if len(rows):
                weights = [
                    np.where(on[rows], _context(compiled, conditions[channel], rows), -np.inf)
                    for on, channel in zip(on_ways, self.channels, strict=True)
                ]
                found = terms.valued(compiled, rows, self._accept(compiled, batch, rows), weights)
                if len(found.rows):
                    yield found

    def open(self, compiled: CompiledOffer, channel: Channel, placements: tuple[Placement, ...]) -> bool:
        """Whether status, dates and placements let the offer be made on the channel at all."""
        refused = admission(self._engine, channel, placements).refused
        return compiled.index not in refused and compiled.starts <= self._at < compiled.ends

    def speaks(self, channel: Channel) -> bool:
        """Whether it is none of the channel's quiet hours."""
        quiet = self._engine.policy.channels[channel].quiet
        return quiet_until(quiet, self._at, zone=self._engine.zone) is None

    def _scored(self, compiled: CompiledOffer, batch: Batch) -> Mask:
        """Whose products are all scored for them; who has no score at all is not held to it."""
        able = np.ones(len(batch), bool)
        if compiled.servicing:
            return able
        none = ~batch.scored.any(axis=1)
        for product in compiled.offer.products:
            if self._popular.get(product, 0.0) > 0.0:
                at = self._place.get(product)
                able &= none if at is None else none | batch.scored[:, at]
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
        chances = batch.chances[rows, at].astype(np.float64)
        return np.where(np.isnan(chances) | ~batch.scored[rows, at], rate, chances)


class _Way:
    """One channel with its placements, for a batch."""

    def __init__(
        self,
        base: WholeBase,
        channel: Channel,
        placements: tuple[Placement, ...],
        batch: Batch,
    ) -> None:
        self._base = base
        self._channel = channel
        self._placements = placements
        speaks = base.speaks(channel)
        self._hears = batch.may_hear(channel, base._engine) & speaks  # noqa: SLF001 - its own part

    def may(self, compiled: CompiledOffer, among: Mask, conditions: Sequence[Mask]) -> Mask:
        """Who of `among` may be made the offer here: rules and consent."""
        if not self._base.open(compiled, self._channel, self._placements):
            return np.zeros(len(among), bool)
        may = among & self._hears
        for bit in compiled.failing:
            may &= conditions[bit]
        return may


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
        self, compiled: CompiledOffer, rows: Rows, accept: Floats, weights: Sequence[Floats]
    ) -> Makeable:
        """Of `rows`, whose terms and value do; `weights`: of each channel, -inf where it is shut."""
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
        values = np.stack([gain * weight * compiled.lever for weight in weights])
        values[np.isinf(weights)] = -np.inf
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
        facts = self._batch.facts
        names = [name for name in expression.columns if name not in terms]
        frame = facts.select(names)[rows] if names else pl.DataFrame()
        frame = frame.with_columns(
            pl.Series(name, column, nan_to_null=True) for name, column in terms.items()
        )
        found = frame.with_columns(to_polars(expression).alias("margin"))["margin"]
        worth = found.fill_null(float("nan")).to_numpy()
        return np.where(np.isfinite(worth), worth, np.nan)
