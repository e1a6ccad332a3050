"""What the seller earned, by the world's books: every sale counts, whoever brought it about."""

import numpy as np

from oferta.catalogue.families import FAMILIES
from oferta_experiments.world.arrays import Ints, Reals
from oferta_experiments.world.loans import level_balance
from oferta_experiments.world.log import EVENT_TYPES, SETTLED
from oferta_experiments.world.response import LOSS_GIVEN_DEFAULT, default_chance, margin
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.times import DAY_S, months_of


def earned(chunk: Chunk, *, since: int) -> Reals:
    """`(n,)` EUR by customer from day `since` on: margins less expected losses.

    Of contracts: interest above funding less the expected loss, or a commission. Of the rest: a
    commission, or what a trade-in or a change of finance is worth. What would have been earned on
    a contract that was settled early is taken off: selling it anew is no gain by itself.
    """
    return _contracts(chunk, since) + _once(chunk, since) - _given_up(chunk, since)


def _contracts(chunk: Chunk, since: int) -> Reals:
    ledger, products, people = chunk.contracts, chunk.products, chunk.people
    new = np.flatnonzero(ledger.whole("starts") >= since)
    who, product = ledger.whole("who")[new], ledger.whole("product")[new]
    months = ledger.whole("term")[new].astype(np.float64)
    amount = ledger.real("amount")[new]
    gain = margin(
        products,
        product,
        amount=amount,
        months=months,
        rate=ledger.real("rate")[new],
        price=ledger.real("instalment")[new] * 12,
    )
    credit = products.of_family("loan", "lease")[product]
    loss = np.where(credit, default_chance(people, who, months) * LOSS_GIVEN_DEFAULT * amount, 0.0)
    return _by_customer(who, gain - loss, len(people))


def _once(chunk: Chunk, since: int) -> Reals:
    products, count = chunk.products, len(chunk.people)
    columns = chunk.events.since(since * DAY_S)
    kinds = [EVENT_TYPES.index(name) for name in ("purchase", "accept")]
    product = columns["product"].astype(np.int64)
    lasting = (products.months > 0) & products.of_family("insurance", "service")
    mine = np.isin(columns["type"], kinds) & ~lasting[product]
    who, product = columns["who"][mine].astype(np.int64), product[mine]
    none = np.zeros(len(who))
    gain = margin(
        products, product, amount=none, months=none, rate=none, price=columns["value"][mine]
    )
    return _by_customer(who, gain, count)


def _given_up(chunk: Chunk, since: int) -> Reals:
    ledger, products = chunk.contracts, chunk.products
    credit = products.of_family("loan", "lease")[ledger.whole("product")]
    gone = (ledger.whole("status") == SETTLED) & (ledger.whole("ends") >= since) & credit
    rows = np.flatnonzero(gone)
    paid = months_of(ledger.whole("ends")[rows]) - months_of(ledger.whole("starts")[rows])
    left = np.maximum(ledger.whole("term")[rows] - paid, 0)
    rate = ledger.real("rate")[rows]
    owed = level_balance(
        ledger.real("amount")[rows], np.maximum(rate, 0.1), ledger.real("instalment")[rows], paid
    )
    gain = margin(
        products,
        ledger.whole("product")[rows],
        amount=owed,
        months=left.astype(np.float64),
        rate=rate,
        price=np.zeros(len(rows)),
    )
    return _by_customer(ledger.whole("who")[rows], gain, len(chunk.people))


def _by_customer(who: Ints, value: Reals, count: int) -> Reals:
    return np.asarray(np.bincount(who, value, minlength=count), np.float64)


def family_names(chunk: Chunk, product: Ints) -> list[str]:
    """The family of each product."""
    return [FAMILIES[place] for place in chunk.products.family[product]]
