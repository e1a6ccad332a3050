"""Reading requests for decisions from JSON: strict about names, types and bounds.

What only the rules can know (which placements there are, what context they need) is asked by the
engine; everything else is refused here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from oferta.decisions.request import FactValue, Request, Wish
from oferta.ids import id_fault
from oferta_serving.batched import listed, told_apart
from oferta_serving.problems import ItemError, RequestRefused, unknown_field
from oferta_serving.strict import json_integer

MAX_OFFERS: Final = 200
MAX_PLACEMENTS: Final = 20
MAX_CONTEXT: Final = 50
MAX_TEXT: Final = 256
MAX_FILTER: Final = 2000
MAX_N: Final = 50
MAX_AMOUNT: Final = 1e12

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WISH_AMOUNTS: Final = ("amount", "deposit", "instalment", "excess")
_WISH_WHOLE: Final = {"months": (1, 600), "mileage_km_year": (1, 1_000_000)}
_SHARED: Final = frozenset(
    {"request_id", "channel", "placements", "n", "context", "wish", "filter", "offers"}
)
ONE_FIELDS: Final = _SHARED | {"customer_id", "explain", "dry_run", "personalise"}
MANY_FIELDS: Final = _SHARED | {"customer_ids", "explain", "reserve", "personalise"}


@dataclass(frozen=True, slots=True)
class Many:
    """A batch as asked: a request for each distinct valid customer, with its first position."""

    requests: list[Request]
    places: list[int]
    errors: list[ItemError]
    reserve: bool


def one_request(fields: Mapping[str, object]) -> Request:
    """The request of `POST /v1/decisions`.

    Raises:
        RequestRefused: a field that is unknown, missing, of the wrong type or out of bounds.
    """
    _known(fields, ONE_FIELDS)
    return _request(
        fields,
        customer_id=_customer(_needed(fields, "customer_id")),
        dry_run=_flag(fields, "dry_run", absent=False),
    )


def many_requests(fields: Mapping[str, object]) -> Many:
    """The requests of `POST /v1/decisions/batch`.

    Raises:
        RequestRefused: likewise; single customers that are wrong are kept as `errors`.
    """
    _known(fields, MANY_FIELDS)
    ids = listed(fields)
    reserve = _flag(fields, "reserve", absent=False)
    places, errors = told_apart(ids)
    first, *others = places
    shared = _request(fields, customer_id=first, dry_run=not reserve)
    requests = [shared, *(_for(shared, customer_id) for customer_id in others)]
    return Many(requests, list(places.values()), errors, reserve)


def _for(shared: Request, customer_id: str) -> Request:
    return Request(
        customer_id,
        shared.channel,
        shared.placements,
        shared.request_id,
        shared.n,
        shared.context,
        shared.wish,
        shared.filter,
        shared.explain,
        shared.dry_run,
        shared.personalise,
        shared.offers,
    )


def _request(fields: Mapping[str, object], *, customer_id: str, dry_run: bool) -> Request:
    n = fields.get("n")
    return Request(
        customer_id=customer_id,
        channel=_name(_needed(fields, "channel"), "channel"),
        placements=_names(fields, "placements", most=MAX_PLACEMENTS),
        request_id=_request_id(fields),
        n=None if n is None else json_integer(n, "n", low=1, high=MAX_N),
        context=_context(fields),
        wish=_wish(fields),
        filter=_text(fields, "filter", most=MAX_FILTER),
        explain=_flag(fields, "explain", absent=False),
        dry_run=dry_run,
        personalise=_flag(fields, "personalise", absent=True),
        offers=_names(fields, "offers", most=MAX_OFFERS),
    )


def _known(fields: Mapping[str, object], known: frozenset[str]) -> None:
    refused = unknown_field(fields, known)
    if refused is not None:
        raise refused


def _needed(fields: Mapping[str, object], name: str) -> object:
    if name not in fields:
        raise RequestRefused("body.missing_field", name)
    return fields[name]


def _customer(value: object) -> str:
    fault = id_fault(value) if isinstance(value, str) else "id.type"
    if fault is not None:
        raise RequestRefused(fault, "customer_id")
    assert isinstance(value, str)  # noqa: S101 - else there is a fault
    return value


def _request_id(fields: Mapping[str, object]) -> str | None:
    value = fields.get("request_id")
    if value is None:
        return None
    if not isinstance(value, str):
        raise RequestRefused("body.type", "request_id")
    if id_fault(value) is not None:
        raise RequestRefused("request_id.invalid", "request_id")
    return value


def _name(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise RequestRefused("body.type", where)
    if not _NAME.fullmatch(value):
        raise RequestRefused("name.invalid", where)
    return value


def _names(fields: Mapping[str, object], where: str, *, most: int) -> tuple[str, ...]:
    value = fields.get(where)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RequestRefused("body.type", where)
    if len(value) > most:
        raise RequestRefused("parameter.out_of_range", where, bounds=(0, most))
    return tuple(_name(one, where) for one in value)


def _flag(fields: Mapping[str, object], name: str, *, absent: bool) -> bool:
    value = fields.get(name, absent)
    if not isinstance(value, bool):
        raise RequestRefused("body.type", name)
    return value


def _text(fields: Mapping[str, object], name: str, *, most: int) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RequestRefused("body.type", name)
    if not 1 <= len(value) <= most:
        raise RequestRefused("parameter.out_of_range", name, bounds=(1, most))
    return value


def _context(fields: Mapping[str, object]) -> dict[str, FactValue]:
    value = fields.get("context")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestRefused("body.type", "context")
    if len(value) > MAX_CONTEXT:
        raise RequestRefused("parameter.out_of_range", "context", bounds=(0, MAX_CONTEXT))
    context: dict[str, FactValue] = {}
    for name, one in value.items():
        if not _NAME.fullmatch(name):
            raise RequestRefused("context.unknown", "context")
        if isinstance(one, list | dict) or (isinstance(one, str) and len(one) > MAX_TEXT):
            raise RequestRefused("context.invalid", "context")
        context[name] = one
    return context


def _wish(fields: Mapping[str, object]) -> Wish | None:
    value = fields.get("wish")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise RequestRefused("body.type", "wish")
    refused = unknown_field(value, {*_WISH_AMOUNTS, *_WISH_WHOLE, "product"}, inside="wish")
    if refused is not None:
        raise refused
    product = value.get("product")
    if product is not None and (not isinstance(product, str) or id_fault(product) is not None):
        raise RequestRefused("wish.unknown", "wish.product")
    return Wish(
        amount=_amount(value, "amount"),
        months=_whole(value, "months"),
        deposit=_amount(value, "deposit"),
        instalment=_amount(value, "instalment"),
        excess=_amount(value, "excess"),
        mileage_km_year=_whole(value, "mileage_km_year"),
        product=product,
    )


def _amount(wish: Mapping[str, object], name: str) -> float | None:
    value, where = wish.get(name), f"wish.{name}"
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestRefused("body.type", where)
    if not 0 <= value <= MAX_AMOUNT:
        raise RequestRefused("parameter.out_of_range", where, bounds=(0, int(MAX_AMOUNT)))
    return float(value)


def _whole(wish: Mapping[str, object], name: str) -> int | None:
    value = wish.get(name)
    low, high = _WISH_WHOLE[name]
    return None if value is None else json_integer(value, f"wish.{name}", low=low, high=high)
