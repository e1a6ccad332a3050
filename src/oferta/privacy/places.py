"""Every place where something of a customer may lie: what is erased, exported and looked at again.

A family of keys in Redis, or of files in the state folder, belongs to exactly one place, or is
named here among those that hold nothing of anybody, with the reason. A family that is neither fails
the suite: so nothing new is forgotten when somebody asks to be forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

Row = Mapping[str, object]
"""One thing that is held, as plain JSON values by name."""


@dataclass(frozen=True, slots=True)
class Session:
    """An anonymous session that turned out to be the customer's."""

    id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an erasure or an export is about.

    Attributes:
        customer_id: as files have it.
        digest: as keys have it (`KeySpace.digest`). In hexadecimal it is the tombstone: what stays
            known of the customer once everything is erased.
        sessions: theirs, as far as the archive and the streams tell.
        events: ids of their events of the last days, whose claims are still kept.
    """

    customer_id: str
    digest: bytes
    sessions: tuple[Session, ...] = ()
    events: tuple[str, ...] = ()

    @property
    def tombstone(self) -> str:
        """What stays known of the customer, 32 hexadecimal digits."""
        return self.digest.hex()


class Place(Protocol):
    """One place. Every call may be repeated, by any number of processes, after any crash."""

    @property
    def name(self) -> str:
        """As receipts call it: one of `PLACES`."""
        ...

    async def erase(self, subject: Subject) -> int:
        """Remove what is held of the subject; how many things were removed by this call.

        Raises:
            OfertaError, OSError: it is not done; the next try goes on.
        """
        ...

    async def export(self, subject: Subject) -> Sequence[Row]:
        """What is held of the subject."""
        ...

    async def holds(self, subject: Subject) -> bool:
        """Whether anything of the subject is still there: looked at anew, never remembered."""
        ...


PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "consents": "what the customer agreed to, and when they said so",
        "lists": "their list in every release",
        "profiles": "their facts, evidence and propensities in every release",
        "pasts": "their past as the model saw it, in every release",
        "recent": "what they did lately, and in sessions that turned out to be theirs",
        "states": "what was said to them and what they answered",
        "decisions": "decisions made for them, request ids, and their lines of the decision log",
        "streams": "their events that wait, are parked, or are dead letters",
        "claims": "ids of their events of the last days",
        "archive": "their archived events",
        "datasets": "their rows in ingested datasets, rejected rows too",
        "scores": "their lists and wide rows in folders of scores",
        "models": "their row in stored models: id, past and vector",
    }
)
"""Every place, and what lies there of a customer."""

KEY_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "r": "lists",
        "p": "profiles",
        "o": "pasts",
        "y": "recent",
        "c": "states",
        "d": "decisions",
        "q": "decisions",
        "k": "decisions",
        "l": "decisions",
        "g": "consents",
        "e": "streams",
        "w": "streams",
        "x": "streams",
        "i": "claims",
    }
)
"""Family of keys, as the docstring of `oferta.store.keys` lists them -> its place."""

KEYS_OF_NOBODY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pointer": "which release is live",
        "fence": "a counter",
        "releases": "numbers and sizes of releases",
        "archive": "the random id of an archive",
        "consents": "how far the ledger was copied: a number",
        "m": "a release's numbers",
        "h": "catalogue and popular lists: of at least a segment",
        "s": "products similar to products",
        "v": "weights between products, learned from everybody",
        "t": "places in counters, by the random ids of decisions",
        "b": "policy, catalogue and rate cards",
        "u": "tokens of an API key",
        "n": "how many customers an API key asked for: a sketch, from which none can be read",
    }
)
"""Families of keys that hold nothing of any one customer, and why."""

FILE_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive/": "archive",
        "datasets/": "datasets",
        "scores/": "scores",
        "mlflow-artifacts/": "models",
        "privacy/": "consents",  # the ledger; receipts and noted folders name nobody
        "redis/": "recent",  # the append-only file: of all families of keys above
    }
)
"""Family of files, as the docstring of `oferta.home` lists them -> its place."""

FILES_OF_NOBODY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "triggers/": "hashes over trigger, customer and value together: none leads to anybody",
        "mlflow.db": "settings and figures of runs",
        "studies/": "figures, and values of test rows by their number",
        "serving/": "the head of a release: catalogue and popular lists; figures of workers",
        "nightly/": "what each night came to: counts, versions, pages",
        "monitoring/": "figures over everybody",
        "ledger.jsonl": "numbers of releases and versions",
        "key-secret": "the key secret",
        "api-keys.json": "keys of callers",
        "api-keys.made": "nothing: that it is there says that keys were made",
        "tenants/NAME/": "each a state folder, with all of these families",
    }
)
"""Families of files that hold nothing of any one customer, and why."""
