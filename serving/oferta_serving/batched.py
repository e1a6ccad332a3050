"""The customers of a batch, read from JSON: one rule for lists and for decisions."""

from collections.abc import Mapping, Sequence
from typing import Final

from oferta.ids import id_fault
from oferta_serving.problems import ItemError, RequestRefused

MAX_CUSTOMERS: Final = 500


def listed(fields: Mapping[str, object]) -> Sequence[object]:
    """What stands under `customer_ids`, not looked at yet.

    Raises:
        RequestRefused: it is missing, no list, empty or too long.
    """
    if "customer_ids" not in fields:
        raise RequestRefused("body.missing_field", "customer_ids")
    ids = fields["customer_ids"]
    if not isinstance(ids, list):
        raise RequestRefused("body.type", "customer_ids")
    if not ids:
        raise RequestRefused("batch.empty", "customer_ids")
    if len(ids) > MAX_CUSTOMERS:
        raise RequestRefused("batch.too_large", "customer_ids")
    return ids


def told_apart(ids: Sequence[object]) -> tuple[dict[str, int], list[ItemError]]:
    """Each distinct valid id at its first position, and what is wrong with the others.

    Raises:
        RequestRefused: none is valid.
    """
    places: dict[str, int] = {}
    errors: list[ItemError] = []
    for index, one in enumerate(ids):
        fault = id_fault(one) if isinstance(one, str) else "id.type"
        if fault is not None:
            errors.append(ItemError(index, fault))
        elif isinstance(one, str):
            places.setdefault(one, index)
    if not places:
        raise RequestRefused("batch.all_invalid", "customer_ids", errors=errors)
    return places, errors
