"""Numbers as people read them."""

import re

from oferta.errors import SettingsInvalid

_SMALL = 0.001
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


def share_of(text: str, option: str) -> float:
    """A share written `1%` or `0.01`.

    Raises:
        SettingsInvalid: it is none.
    """
    found = _SHARE.fullmatch(text.strip())
    share = -1.0 if found is None else float(found[1]) / (100.0 if found[2] else 1.0)
    if not 0.0 <= share <= 1.0:
        raise SettingsInvalid(option, [f"'{text}' is no share: write 1% or 0.01"])
    return share


def percent(share: float, *, signed: bool = False) -> str:
    """A share as `1.2 %`; small ones keep a digit that is not zero."""
    digits = 1 if abs(share) >= _SMALL or share == 0.0 else 3
    return f"{100.0 * share:{'+' if signed else ''}.{digits}f} %"


def change(before: float, after: float) -> str:
    """How much more, in percent; nothing where there was nothing."""
    if not before:
        return "" if not after else "new"
    return percent(after / before - 1.0, signed=True)
