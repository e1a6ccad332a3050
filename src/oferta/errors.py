"""Everything oferta raises on purpose, in one tree.

    OfertaError
    ├── InputError                  what the caller gave is wrong: the command line exits with 2
    │   ├── SourceRefused           a source file or folder, refused whole
    │   ├── SettingsInvalid         a job, source or serving file, or an option
    │   ├── UnknownName             a model, metric, column, product... with the nearest known one
    │   ├── InvalidId               a customer or product id outside the rules of `oferta.ids`
    │   ├── SplitRefused            a split that the data cannot give
    │   ├── RuleInvalid             a rule that makes no sense (`oferta.rules.invalid`)
    │   ├── RowsDiffer              models tested on other rows (`oferta_experiments.study.judging`)
    │   ├── DecisionsRefused        logged decisions, or a policy for them, with faults
    │   ├── ProtectedAttribute      a column that needs a reason before a model uses it
    │   ├── PolicyUnsupported       a policy too far from the logged one to be evaluated from it
    │   ├── RequestInvalid          a request for a decision with a wrong or missing field
    │   └── RequestRefused          a request that is not served (`oferta_serving.problems`)
    ├── OutputFailed                a dataset that could not be written; the old one is untouched
    ├── ArchiveUnreadable           a file of the archive of events is damaged
    ├── ArchiveElsewhere            the events go to another archive already
    ├── ExtraMissing                an optional package is not installed
    ├── NothingFitted               every model of a job was skipped
    ├── FitFailed                   a fit that gave no model: numbers that grew without bound
    │   └── ModelTooLarge           a fit that would not fit into memory
    ├── ArtefactInvalid             a stored model whose files are missing, altered or foreign
    ├── RegistryError               no such model version, or no champion yet
    ├── RefusersLearnedFrom         customers who refused training are in the data of a run
    ├── PromotionRefused            a guard failed: the champion is untouched
    ├── StoreError
    │   ├── StoreUnavailable        Redis cannot be reached, or did not answer in time
    │   │   ├── SlotsUnavailable    some nodes of a cluster; with what the others answered
    │   │   ├── StoreRefused        Redis answered, and refused: full, no disk, a replica
    │   │   └── StoreForbidden      Redis denied our user, our password or a command
    │   ├── RecordCorrupt           a record whose checksum, magic or shape is wrong
    │   └── ReleaseMissing          a release whose manifest or head is not in the store
    ├── LedgerUnavailable           the consent ledger cannot be read or written
    └── PublishRefused              a release that must not go live; the live one is untouched
        └── FencedOut               a newer publisher was faster: the command line exits with 3

These are for callers and operators. A bad *row* is data, not an error: it is counted and kept in
`rejected/`. A missing or stale recommendation is an answer with a stated fallback, not an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path


class OfertaError(Exception):
    """The root: `code` is stable and may be matched by programs, the text is for people."""

    code = "error"


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


class OutputFailed(OfertaError):
    """Files could not be written, most often for want of room; what was there before is whole."""

    code = "output.failed"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: {problem}. Nothing was changed; make room or choose another folder."
        )


class ArchiveUnreadable(OfertaError):
    """A file of the archive of events is damaged; nothing is added to the archive, or read."""

    code = "archive.unreadable"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: is no intact file of an archive ({problem}). Restore it from a backup, or "
            "move it away: the events that it holds are then missing."
        )


class ArchiveElsewhere(OfertaError):
    """The tenant's events go to another archive already: nothing is written to this one."""

    code = "archive.elsewhere"

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: the events go to another archive, of another machine or state folder. Set "
            "[events] archive = false here; or, to archive here from now on, start "
            "`oferta consume --take-archive`."
        )


class ExtraMissing(OfertaError):
    """An optional package is not installed; says how to get it."""

    code = "extra.missing"

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the extra '{extra}': pip install 'oferta[{extra}]'")


class NothingFitted(OfertaError):
    """Every model of a job was skipped; says why each."""

    code = "train.nothing_fitted"

    def __init__(self, why: Iterable[tuple[str, str]]) -> None:
        self.why = tuple(why)
        said = "; ".join(f"{model} {reason}" for model, reason in self.why)
        super().__init__(f"no model of the job could be fitted: {said}")


class FitFailed(OfertaError):
    """A fit that gave no model on this data, with these settings; others may still do."""

    code = "model.fit_failed"

    def __init__(self, model: str, why: str) -> None:
        self.model = model
        super().__init__(f"{model} {why}")


class ModelTooLarge(FitFailed):
    """A fit that would not fit into memory; says what to use instead."""

    code = "model.too_large"

    def __init__(self, model: str, needs_bytes: int, has_bytes: int, *, remedy: str) -> None:
        self.needs_bytes = needs_bytes
        self.has_bytes = has_bytes
        super().__init__(
            model,
            f"would need {needs_bytes / 2**30:.1f} GiB and {has_bytes / 2**30:.1f} GiB are free. "
            f"{remedy}",
        )


class ArtefactInvalid(OfertaError):
    """A stored model is incomplete, altered or not ours; nothing of it was used."""

    code = "artefact.invalid"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(f"{place}: {problem}. Train again, or restore the folder from a backup.")


class RegistryError(OfertaError):
    """The model registry does not hold what was asked for."""

    code = "registry"


class RefusersLearnedFrom(OfertaError):
    """Customers who refused training are in what models learn from, or are judged on."""

    code = "train.consent"

    def __init__(self, customers: int) -> None:
        self.customers = customers
        super().__init__(
            f"{customers} customer(s) who refused training are in the data of this run. Nothing "
            "was registered; this is a fault of oferta, please report it."
        )


class PromotionRefused(OfertaError):
    """A model that may not become champion; names the guards that failed."""

    code = "promotion.refused"

    def __init__(self, what: str, failing: Sequence[str], because: str) -> None:
        self.failing = tuple(failing)
        super().__init__(f"{what} is not promoted: {because}. The champion is untouched.")


class StoreError(OfertaError):
    """The root of what can go wrong between us and Redis."""

    code = "store"


class StoreUnavailable(StoreError):
    """Redis could not be reached or did not answer within the deadline."""

    code = "store.unavailable"


class SlotsUnavailable(StoreUnavailable):
    """Nodes of a cluster are away: their keys cannot be reached, those of other nodes can.

    Attributes:
        found: what lies at the keys that could be reached, by key; where nothing was read, empty.
    """

    def __init__(self, problem: str, found: Mapping[bytes, bytes | None] | None = None) -> None:
        self.found = {} if found is None else found
        super().__init__(problem)


class StoreRefused(StoreUnavailable):
    """Redis answered and refused: it is full, cannot write to its disk, or is a replica.

    Unlike one that does not answer, it can still be read.
    """

    code = "store.refused"


class StoreForbidden(StoreUnavailable):
    """Redis denied our user, our password, or a command to our user."""

    code = "store.forbidden"

    def __init__(self, problem: str) -> None:
        super().__init__(f"Redis denied us: {problem}")


class RecordCorrupt(StoreError):
    """A stored record failed its checksum, magic, schema or length."""

    code = "store.corrupt"


class ReleaseMissing(StoreError):
    """The store has a pointer to a release, or was asked for one, that is not there."""

    code = "store.missing"

    def __init__(self, release: int) -> None:
        self.release = release
        super().__init__(
            f"release {release} is not in the store: it expired or was lost. Publish again."
        )


class LedgerUnavailable(OfertaError):
    """The consent ledger could not be read or written; what was to be stored counts as not stored.

    What was said may be on disk all the same, as after any write that nobody confirmed.
    """

    code = "consent.ledger"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"the consent ledger {place} {problem}. Make room, mend the disk or restore the file."
        )


class PublishRefused(OfertaError):
    """A release was not made live. `step` is where it stopped; the live release is untouched."""

    def __init__(self, code: str, step: str, problem: str) -> None:
        self.code = code
        self.step = step
        super().__init__(
            f"publish stopped at '{step}': {problem} [{code}]. Live release untouched."
        )


class FencedOut(PublishRefused):
    """A newer publisher made its release live first; nothing of ours was, or will be, served."""

    def __init__(self, step: str, fence: int) -> None:
        self.fence = fence
        super().__init__("fenced", step, f"a publisher later than number {fence} was faster")
