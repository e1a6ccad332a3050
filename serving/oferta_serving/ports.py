"""What the services of one tenant stand on: its keys, its state folder and its stores."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from oferta.store.consent_copies import ConsentCopies
from oferta.store.contract import Reader
from oferta.store.decisions import DecisionStore
from oferta.store.events import EventStore
from oferta.store.keys import KeySpace
from oferta_serving.erasing.places import Ground


@dataclass(frozen=True, slots=True)
class TenantPorts:
    """The stores of one tenant, each its own, and how they are closed.

    Attributes:
        reader: where releases are read from.
        space: the keys, under the publisher's secret.
        home: the state folder, where the last head is kept.
        decisions: where decisions are kept; needed where the settings say what they are made with.
        events: where events go; None: they are not taken.
        copies: where words of consent are copied to for other machines; None: there are none.
        ground: what erasures and exports work on; None: there are none.
        on_stop: closes the reader and whatever else the services do not, on the loop that used it.
    """

    reader: Reader
    space: KeySpace
    home: Path
    decisions: DecisionStore | None = None
    events: EventStore | None = None
    copies: ConsentCopies | None = None
    ground: Ground | None = None
    on_stop: Callable[[], Awaitable[None]] | None = None
