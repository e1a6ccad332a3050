"""Values on the command line: NAME=VALUE pairs and instants."""

from collections.abc import Sequence
from datetime import datetime

from oferta.decisions.request import FactValue
from oferta.errors import SettingsInvalid

_WORDS: dict[str, object] = {"true": True, "false": False}


def values_of(pairs: Sequence[str], option: str) -> dict[str, object]:
    """The pairs by name: `true` and `false`, numbers where they are such, else text.

    Raises:
        SettingsInvalid: one is no pair, or a name stands twice.
    """
    values: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or name in values:
            raise SettingsInvalid(option, [f"'{pair}': write NAME=VALUE, every name once"])
        values[name] = _WORDS[text] if text in _WORDS else _number(text)
    return values


def plain_values_of(pairs: Sequence[str], option: str) -> dict[str, FactValue]:
    """The pairs as rules take them: numbers are floats.

    Raises:
        SettingsInvalid: one is no pair, or a name stands twice.
    """
    found = values_of(pairs, option)
    return {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in found.items()
        if isinstance(value, int | float | str)
    }


def instant_of(text: str) -> float:
    """Epoch seconds of an ISO 8601 instant with an offset.

    Raises:
        SettingsInvalid: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise SettingsInvalid(
            "--at", [f"'{text}' is no instant with an offset, as 2027-03-01T10:00:00+01:00"]
        )
    return found.timestamp()


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
