"""The ids of the outside world, and the one rule of what may be one.

Ids are text, kept exactly as given: never trimmed, folded or parsed. The same rule holds for a cell
of a file and for a path segment of a request, so whatever ingest accepts can be asked for.
"""

import re
from typing import NewType

from oferta.errors import InvalidId

CustomerId = NewType("CustomerId", str)
ProductId = NewType("ProductId", str)

MAX_ID_CHARS = 128

ID_PATTERN = rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_ID_CHARS}}}"
"""One regular expression, the same in Python's and in Polars' engine: no control characters."""

_ID = re.compile(ID_PATTERN)


def id_fault(text: str) -> str | None:
    """The reason code why `text` may not be an id, or None when it may.

    Codes: `id.empty`, `id.too_long`, `id.dots` (`.` and `..` do not survive a URL), `id.control`,
    `id.surrogate` (half of a pair: not text in any encoding).
    """
    if not text:
        return "id.empty"
    if len(text) > MAX_ID_CHARS:
        return "id.too_long"
    if text in {".", ".."}:
        return "id.dots"
    if not _ID.fullmatch(text):
        return "id.control"
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "id.surrogate"
    return None


def customer_id(text: str) -> CustomerId:
    """`text` as a customer id.

    Raises:
        InvalidId: with one of the codes of `id_fault`.
    """
    _check(text)
    return CustomerId(text)


def product_id(text: str) -> ProductId:
    """`text` as a product id.

    Raises:
        InvalidId: with one of the codes of `id_fault`.
    """
    _check(text)
    return ProductId(text)


def _check(text: str) -> None:
    fault = id_fault(text)
    if fault is not None:
        raise InvalidId(fault, f"ids are 1 to {MAX_ID_CHARS} characters without control characters")
