"""How a report writes figures: one way for pages, plots and the terminal."""

import math
from collections.abc import Iterable
from itertools import takewhile

import orjson

from oferta_experiments.study.result import Figure

SIGNS = {"better": "▲", "worse": "▼", "no difference": "≈"}
"""Said beside the colour of a verdict: not everybody sees it, and print has none."""

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

_WHOLE = 100  # from here on decimals say nothing
_LEAST_S = 0.01
_LEAST_P = 0.001  # the least that a thousand draws can tell


def plain(value: float, places: int = 4) -> str:
    """`0.0891`, with a true minus sign."""
    return f"{value:.{places}f}".replace("-", MINUS)


def signed(value: float, places: int = 4) -> str:
    """`+0.0123` or `-0.0123`; what rounds to zero has no sign."""
    if not round(value, places):
        return f"{0:.{places}f}"
    return f"{value:+.{places}f}".replace("-", MINUS)


def ends(figure: Figure, places: int = 4) -> str:
    """The interval alone: `0.0851 to 0.0930`."""
    return f"{plain(figure.low, places)} to {plain(figure.high, places)}"


def signed_ends(figure: Figure, places: int = 4) -> str:
    """The interval of a difference: `-0.0010 to +0.0030`."""
    return f"{signed(figure.low, places)} to {signed(figure.high, places)}"


def percent(share: float, places: int = 0) -> str:
    """A share as `12 %`, with a space that does not break."""
    return f"{100 * share:.{places}f}\N{NO-BREAK SPACE}%".replace("-", MINUS)


def whole(count: int) -> str:
    """Thousands apart by a thin space: a comma would be a decimal point to half of the readers."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def seconds(value: float) -> str:
    """Three figures at most: `0.04`, `3.2`, `118`; a hundredth at least."""
    if value < 1:
        return f"{max(value, _LEAST_S):.2f}"
    return f"{value:.1f}" if value < _WHOLE else whole(round(value))


def clock(value: float) -> str:
    """Seconds in a column, their points below each other: `118.00`, `0.04`, `<0.01`."""
    if value < _LEAST_S / 2:
        return f"<{_LEAST_S}"
    return f"{value:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def gain(share: float) -> str:
    """A relative difference: `7.5 %`, `12 %`."""
    return percent(share, 1 if abs(share) < _WHOLE / 1000 else 0)


def chance(p: float) -> str:
    """A p-value: `.031`, `<.001`."""
    return f"<{_LEAST_P:.3f}".replace("0.", ".") if p < _LEAST_P else f"{p:.3f}".removeprefix("0")


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    known = list(names)
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} and {known[-1]}"


def quoted(name: str) -> str:
    """A name in a sentence."""
    return f"“{name}”"


def counted(number: int, noun: str) -> str:
    """`1 segment`, `2 segments`."""
    return f"{whole(number)} {noun}" if number == 1 else f"{whole(number)} {noun}s"


def setting(value: object) -> str:
    """A setting's value as its file would say it: `0.3`, `true`, `["a"]`; absent is a dash."""
    if value is None or value in ([], {}, ()):
        return NOTHING
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()


def shortened(names: Iterable[str], length: int) -> dict[str, str]:
    """Each name in at most `length` characters, still told apart.

    The middle goes first; where that leaves two names alike, what they begin with goes instead.
    """
    known = list(dict.fromkeys(names))
    cut = {name: _without_middle(name, length) for name in known}
    short: dict[str, str] = {}
    for name in known:
        alike = [other for other in known if cut[other] == cut[name]]
        said = cut[name]
        if len(alike) > 1:
            letters = zip(*alike, strict=False)
            common = len(list(takewhile(lambda column: len(set(column)) == 1, letters)))
            said = _without_middle(f"…{name[common:]}", length)
        number = 2
        while said in short.values():
            said = f"{_without_middle(name, length - 1 - len(str(number)))} {number}"
            number += 1
        short[name] = said
    return short


def _without_middle(name: str, length: int) -> str:
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail].rstrip()}…{name[len(name) - tail :].lstrip()}"
