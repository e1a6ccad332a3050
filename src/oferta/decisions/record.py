"""The record of a decision: everything that it was made from, so that it can be made again."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from oferta.decisions.coding import decode, encode
from oferta.decisions.decision import Decision, Rejection, Stage
from oferta.decisions.engine import Engine
from oferta.decisions.request import Customer, Known, Propensity, Request
from oferta.errors import RecordCorrupt

_LEVEL: Final = 1  # half the time of level 6, and a tenth more bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A decision with what was asked and what was known."""

    request: Request
    known: Known
    decision: Decision


@dataclass(frozen=True, slots=True)
class _Rows:
    """What there are dozens of, as bare rows: a third of the time and of the bytes."""

    propensities: Mapping[str, tuple[float | None, float, str, str | None]]
    rejected: tuple[tuple[str, Stage, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    """A record as it is written."""

    request: Request
    known: Known
    decision: Decision
    rows: _Rows


_CHANCE: Final = attrgetter("probability", "score", "reason", "because")
_REJECTION: Final = attrgetter("offer", "stage", "code", "detail")


def pack_record(
    request: Request, known: Known, decision: Decision, *, engine: Engine | None = None
) -> bytes:
    """The record as compressed JSON; with `engine`, without what it cannot have looked at."""
    kept = known if engine is None else used(engine, known)
    propensities = kept.customer.propensities
    rows = _Rows(
        dict(zip(propensities, map(_CHANCE, propensities.values()), strict=True)),
        tuple(map(_REJECTION, decision.rejected)),
    )
    bare = replace(kept, customer=Customer(kept.customer.facts, {}, known=kept.customer.known))
    parts = _Parts(request, bare, replace(decision, rejected=()), rows)
    return zlib.compress(encode(parts), _LEVEL)


def unpack_record(data: bytes) -> Record:
    """The record that `pack_record` wrote.

    Raises:
        RecordCorrupt: it did not write this.
    """
    try:
        plain = zlib.decompress(data)
    except zlib.error as error:
        raise RecordCorrupt(f"a decision's record does not unpack: {error}") from None
    parts = decode(_Parts, plain)
    known, rows = parts.known, parts.rows
    customer = replace(
        known.customer,
        propensities={
            product: Propensity(*chance) for product, chance in rows.propensities.items()
        },
    )
    rejected = tuple(Rejection(*rejection) for rejection in rows.rejected)
    return Record(
        parts.request,
        replace(known, customer=customer),
        replace(parts.decision, rejected=rejected),
    )


def to_json(decision: Decision) -> bytes:
    """The decision, whole and exact."""
    return encode(decision)


def from_json(data: bytes) -> Decision:
    """The decision that `to_json` wrote.

    Raises:
        RecordCorrupt: it did not write this.
    """
    return decode(Decision, data)


def used(engine: Engine, known: Known) -> Known:
    """What is known, less the facts and products that nothing in the engine asks about.

    A decision on it is the same. Base rates of products that no offer has are kept: the mean of all
    stands in for those that have none. So is one propensity at least: that there are any tells that
    the customer was scored.
    """
    facts = {name: value for name, value in known.customer.facts.items() if name in engine.columns}
    propensities = {
        product: propensity
        for product, propensity in known.customer.propensities.items()
        if product in engine.names
    } or known.customer.propensities
    return replace(known, customer=Customer(facts, propensities, known=known.customer.known))
