"""What the caller gave is wrong: the command line exits with 2."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from oferta.errors.root import OfertaError


class InputError(OfertaError):
    """What the caller gave is wrong; the message says where and what to do."""

    code = "input"


class SourceRefused(InputError):
    """A source file or folder was refused whole; whatever was loaded before is untouched."""

    def __init__(self, code: str, place: Path | str, problem: str, *, remedy: str) -> None:
        self.code = code
        self.place = str(place)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{place}: {problem} [{code}]. {remedy}")


class SettingsInvalid(InputError):
    """One or more settings are wrong; all of them are named at once."""

    code = "settings.invalid"

    def __init__(self, place: Path | str, problems: Sequence[str]) -> None:
        self.place = str(place)
        self.problems = tuple(problems)
        super().__init__("\n  ".join([f"{place}: {len(problems)} problem(s)", *problems]))


class UnknownName(InputError):
    """A name that nothing has; carries the nearest one that something has."""

    code = "unknown"

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what = what
        self.name = name
        self.known = tuple(sorted(known))
        near = get_close_matches(name, self.known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(self.known[:20])}."
        super().__init__(f"unknown {what} '{name}'. {hint}")


class InvalidId(InputError):
    """An id that no file and no request may carry. The id itself is not repeated."""

    def __init__(self, code: str, problem: str) -> None:
        self.code = code
        super().__init__(f"invalid id: {problem} [{code}]")


class RequestInvalid(InputError):
    """A request for a decision with a field that is missing, of the wrong type or unknown.

    Attributes:
        placement: whose context is missing; None: none.
        missing: every field of context that it needs and was not sent.
    """

    code = "request.invalid"

    def __init__(
        self, field: str, problem: str, *, placement: str | None = None, missing: Sequence[str] = ()
    ) -> None:
        self.field = field
        self.problem = problem
        self.placement = placement
        self.missing = tuple(missing)
        super().__init__(f"{field}: {problem}")


class SplitRefused(InputError):
    """The data cannot give this split; names the splits that it can."""

    code = "split.refused"

    def __init__(self, split: str, problem: str, *, possible: Sequence[str]) -> None:
        self.split = split
        self.possible = tuple(possible)
        options = ", ".join(possible) or "none"
        super().__init__(f"--split {split}: {problem}. This data can give: {options}.")


class DecisionsRefused(InputError):
    """Logged decisions, or a policy for them, have faults; all are named, with row counts."""

    code = "decisions.refused"

    def __init__(self, place: Path | str, problems: Sequence[str]) -> None:
        self.place = str(place)
        self.problems = tuple(problems)
        super().__init__("\n  ".join([f"{place}: {len(problems)} problem(s)", *problems]))


class ProtectedAttribute(InputError):
    """Columns that hold protected attributes were to enter a model without a stated reason."""

    code = "protected"

    def __init__(self, found: Iterable[tuple[str, str, str]]) -> None:
        """`found`: column, attribute, how it was found, for each."""
        self.found = tuple(found)
        columns = list(dict.fromkeys(column for column, _, _ in self.found))
        said = "\n  ".join(
            f"{column}: {attribute} ({how})" for column, attribute, how in self.found
        )
        super().__init__(
            f"{len(columns)} column(s) hold protected attributes:\n  {said}\n"
            "Leave them out; or say why each may be used: in a job's [policy] or a study's "
            f'[evaluation] allow_protected = {{ {columns[0]} = "REASON" }}, on the command line '
            "--allow-protected "
            f"'{columns[0]}=REASON'. A model that uses them can not become champion for credit."
        )


class PolicyUnsupported(InputError):
    """A log cannot tell what a policy would have earned: the policy is too far from the log's."""

    code = "off_policy.unsupported"

    def __init__(
        self, problems: Sequence[str], *, rows: int, ess: float, mean_weight: float
    ) -> None:
        self.problems = tuple(problems)
        self.rows = rows
        self.ess = ess
        self.mean_weight = mean_weight
        facts = f"effective sample size {ess:,.0f} of {rows:,}, mean weight {mean_weight:.3f}"
        super().__init__("\n  ".join([f"this log cannot tell ({facts})", *problems]))
