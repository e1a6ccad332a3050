"""What is wrong with a rule, and where."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from oferta.errors import InputError

_SHOWN: Final = 60


class RuleInvalid(InputError):
    """A rule that cannot be understood or makes no sense; nothing of it is run.

    Attributes:
        place: what holds the rule, as `offer car-loan, eligibility rule 2`.
        text: the whole rule.
        position: of what is wrong, in characters from 0; None: the rule as a whole.
        problem: what is wrong.
        nearest: a known name that may have been meant.
    """

    code = "rule.invalid"

    def __init__(
        self,
        place: str,
        text: str,
        problem: str,
        *,
        position: int | None = None,
        nearest: str | None = None,
    ) -> None:
        self.place = place
        self.text = text
        self.problem = problem
        self.position = position
        self.nearest = nearest
        where = "" if position is None else f" at character {position + 1}, {_near(text, position)}"
        hint = "" if nearest is None else f"; did you mean '{nearest}'?"
        super().__init__(_printable(f"{place}: {problem}{where}{hint}"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, if any is."""
    found = get_close_matches(name.lower(), list(known), n=1)
    return found[0] if found else None


def _near(text: str, position: int) -> str:
    """The text from there on, short and without anything that would disturb a terminal."""
    rest = _printable(text[position:])
    if not rest.strip():
        return "at the end"
    return f"near '{rest[:_SHOWN].strip()}{'...' if len(rest) > _SHOWN else ''}'"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
