"""Every place of a state folder and its store, put together: the only list of them that runs."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from oferta.clock import Clock, instant
from oferta.errors import StoreUnavailable
from oferta.privacy.consents import Consents
from oferta.privacy.erasure import Saga
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.places import Place, Row, Subject
from oferta.privacy.receipts import Receipts, receipts_folder
from oferta.store.consent_copies import ConsentCopies
from oferta.store.contract import Reader
from oferta.store.erasing.customers import ConsentCopy, Decisions, RecentDeeds, States
from oferta.store.erasing.releases import ReleaseRows
from oferta.store.erasing.removing import list_removed, past_removed, profile_removed
from oferta.store.erasing.streams import Claims, Streams, with_events
from oferta.store.erasing.told import TellReleases
from oferta.store.keys import KeySpace
from oferta.store.wire import Wire

if TYPE_CHECKING:
    from oferta.store.decision_records import StoredDecision

PATIENT_S: Final = 5.0
"""For an answer of Redis: nobody waits for ours."""

REMOTE_MODELS: Final = (
    "models on the tracking server that MLFLOW_TRACKING_URI names, until they are trained again"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """What places stand on.

    Attributes:
        home: the state folder.
        space: its keys.
        wire, reader: of the store; patient ones, where nobody waits for an answer.
        clock: tells the time.
    """

    home: Path
    space: KeySpace
    wire: Wire
    reader: Reader
    clock: Clock

    @property
    def ledger(self) -> Path:
        """Where the consent ledger, and with it the requests, lie."""
        return ledger_path(self.home)

    @property
    def receipts(self) -> Receipts:
        """The receipts beside it."""
        return Receipts(receipts_folder(self.ledger.parent), self.space.signature)

    def subject(self, customer_id: str) -> Subject:
        """Whom an id means."""
        return Subject(customer_id, self.space.digest(customer_id))


def own_places(ground: Ground) -> list[Place]:
    """The places of the store that are found by the customer's hash alone, but for consent."""
    wire, space = ground.wire, ground.space
    told = TellReleases(ground.reader, wire, space)
    rows = partial(ReleaseRows, wire=wire, space=space)
    return [
        rows("lists", per_tag="per_tag", key=space.bucket, removed=list_removed, told=told.lists),
        rows(
            "profiles",
            per_tag="profiles_per_tag",
            key=space.profile,
            removed=profile_removed,
            told=told.profiles,
        ),
        rows(
            "pasts", per_tag="pasts_per_tag", key=space.past, removed=past_removed, told=told.pasts
        ),
        RecentDeeds(wire, space),
        States(wire, space),
        Decisions(wire, space, decision_told),
    ]


def all_places(ground: Ground) -> list[Place]:
    """Every place, in the order in which they are erased.

    The claims go before the archive, which knows their ids.
    """
    return [
        *own_places(ground),
        Streams(ground.wire, ground.space),
        Claims(ground.wire, ground.space),
        *file_places(ground.home),
        ConsentCopy(
            ground.wire,
            ground.space,
            forgotten=partial(_forgotten, ground),
            tell=partial(_tell, ground),
            words=partial(_words, ground),
        ),
    ]


def file_places(home: Path) -> list[Place]:
    """The places of the state folder's files."""
    from oferta.events.archive import archive_folder  # noqa: PLC0415 - data frames
    from oferta.events.erasing import ArchiveRows, DatasetRows  # noqa: PLC0415
    from oferta.privacy.score_rows import ScoreRows  # noqa: PLC0415
    from oferta.scoring.erasing import ModelRows  # noqa: PLC0415

    return [
        ArchiveRows(archive_folder(home)),
        DatasetRows(home),
        ScoreRows(home),
        ModelRows(home),
    ]


def saga(
    ground: Ground,
    erasures: Erasures,
    places: Sequence[Place],
    *,
    duties: Sequence[str] = (),
    on_step: Callable[[str], None] | None = None,
) -> Saga:
    """Erasures over these places."""
    made = Saga(
        erasures,
        ground.receipts,
        places,
        seek=partial(_sought, ground),
        forget=partial(forget, ground),
        clock=ground.clock,
        duties=duties,
    )
    if on_step is None:
        return made
    from dataclasses import replace  # noqa: PLC0415

    return replace(made, on_step=on_step)


async def forget(ground: Ground, subject: Subject) -> None:
    """Let the ledger forget the customer, and tell the copy: from here on they are a stranger.

    Raises:
        LedgerUnavailable: the ledger could not be written.
    """
    consents = await asyncio.to_thread(forget_here, ground, subject)
    await tell_copy(ground, subject, consents)


def forget_here(ground: Ground, subject: Subject) -> Consents:
    """Let the ledger forget the customer; what it says of them since. Blocks: for a thread.

    Raises:
        LedgerUnavailable: the ledger could not be written.
    """
    ledger = Ledger(ground.ledger)
    try:
        ledger.forget(subject.customer_id, subject.tombstone, at=ground.clock.now())
        return ledger.consents_of(subject.customer_id, subject.tombstone)
    finally:
        ledger.close()


async def _tell(ground: Ground, subject: Subject) -> None:
    """Write the copy that says that the customer was forgotten, where they were."""

    def said() -> Consents:
        ledger = Ledger(ground.ledger)
        try:
            return ledger.consents_of(subject.customer_id, subject.tombstone)
        finally:
            ledger.close()

    consents = await asyncio.to_thread(said)
    if consents.erased:
        copies = ConsentCopies(ground.wire, ground.space)
        await copies.put([(subject.digest, consents)], at=ground.clock.now().timestamp())


async def tell_copy(ground: Ground, subject: Subject, consents: Consents) -> None:
    """Tell the copy in Redis that the customer was forgotten."""
    copies = ConsentCopies(ground.wire, ground.space)
    # Answers of this machine ask the ledger; where Redis is away the next run tells the copy.
    with suppress(StoreUnavailable):
        await copies.put([(subject.digest, consents)], at=ground.clock.now().timestamp())


async def _sought(ground: Ground, subject: Subject) -> Subject:
    """The subject with their sessions, and the ids of events whose claims may still be there."""
    from oferta.events.archive import archive_folder  # noqa: PLC0415 - data frames
    from oferta.events.erasing import CLAIM_S, ArchiveRows  # noqa: PLC0415

    archive = ArchiveRows(archive_folder(ground.home))
    streams = Streams(ground.wire, ground.space)
    since = ground.clock.now().timestamp() - CLAIM_S
    for _ in range(2):  # once to learn of sessions, once for what these did alone
        archived = archive.events(subject)
        young = [one for one in archived if one.received_at >= since]
        known = with_events(subject, [*archived], ground.space)
        waiting = [event async for event in streams.events(known)]
        known = with_events(known, waiting, ground.space)
        ids = {one.id for one in (*young, *waiting)}
        events = tuple(one for one in known.events if one in ids or one in subject.events)
        subject = Subject(subject.customer_id, subject.digest, known.sessions, events)
    return subject


async def _forgotten(ground: Ground, subject: Subject) -> bool:
    ledger = Ledger(ground.ledger)
    try:
        return ledger.consents_of(subject.customer_id, subject.tombstone).erased
    finally:
        ledger.close()


async def _words(ground: Ground, subject: Subject) -> list[Row]:
    ledger = Ledger(ground.ledger)
    try:
        return [
            {
                "purpose": entry.purpose,
                "channel": entry.channel,
                "state": entry.state,
                "at": instant(entry.at),
                "source": entry.source,
                "proof": entry.proof,
                "policy_version": entry.policy_version,
            }
            for entry in ledger.history(subject.customer_id)
        ]
    finally:
        ledger.close()


def decision_told(decision_id: str, stored: "StoredDecision") -> Row:
    """What an export says of a decision: all that its receipt says, and what was known."""
    from oferta.decisions.coding import encode  # noqa: PLC0415 - the engine
    from oferta.decisions.record import unpack_record  # noqa: PLC0415
    from oferta_serving.deciding.answers import receipt_of  # noqa: PLC0415
    from oferta_serving.deciding.past import PastDecision  # noqa: PLC0415

    record = unpack_record(stored.record)
    past = PastDecision(
        decision_id, stored.bundle, stored.notes, record.request, record.known, record.decision
    )
    return {
        **receipt_of(past),
        "asked": orjson.loads(encode(record.request)),
        "known_then": orjson.loads(encode(record.known)),
    }
