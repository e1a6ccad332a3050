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

from oferta.errors.files import (
    ArchiveElsewhere,
    ArchiveUnreadable,
    LedgerUnavailable,
    OutputFailed,
)
from oferta.errors.given import (
    DecisionsRefused,
    InputError,
    InvalidId,
    PolicyUnsupported,
    ProtectedAttribute,
    RequestInvalid,
    SettingsInvalid,
    SourceRefused,
    SplitRefused,
    UnknownName,
)
from oferta.errors.learning import (
    ArtefactInvalid,
    ExtraMissing,
    FitFailed,
    ModelTooLarge,
    NothingFitted,
    PromotionRefused,
    RefusersLearnedFrom,
    RegistryError,
)
from oferta.errors.root import (
    OfertaError,
)
from oferta.errors.store import (
    FencedOut,
    PublishRefused,
    RecordCorrupt,
    ReleaseMissing,
    SlotsUnavailable,
    StoreError,
    StoreForbidden,
    StoreRefused,
    StoreUnavailable,
)

__all__ = [
    "ArchiveElsewhere",
    "ArchiveUnreadable",
    "ArtefactInvalid",
    "DecisionsRefused",
    "ExtraMissing",
    "FencedOut",
    "FitFailed",
    "InputError",
    "InvalidId",
    "LedgerUnavailable",
    "ModelTooLarge",
    "NothingFitted",
    "OfertaError",
    "OutputFailed",
    "PolicyUnsupported",
    "PromotionRefused",
    "ProtectedAttribute",
    "PublishRefused",
    "RecordCorrupt",
    "RefusersLearnedFrom",
    "RegistryError",
    "ReleaseMissing",
    "RequestInvalid",
    "SettingsInvalid",
    "SlotsUnavailable",
    "SourceRefused",
    "SplitRefused",
    "StoreError",
    "StoreForbidden",
    "StoreRefused",
    "StoreUnavailable",
    "UnknownName",
]
