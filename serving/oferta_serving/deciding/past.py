"""Decisions that were made: read back from the store as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oferta.decisions.decision import Decision
from oferta.decisions.record import unpack_record
from oferta.decisions.request import Known, Request
from oferta.errors import InvalidId, RecordCorrupt
from oferta.privacy.consents import Consents
from oferta.store.decision_records import open_bundle, open_decision
from oferta.store.decisions import Records
from oferta.store.keys import KeySpace
from oferta.store.reading import consents_of
from oferta_serving.consent.words import Words
from oferta_serving.metrics import Metrics


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A decision with all that it was made of.

    Attributes:
        id: what it is stored under.
        bundle: version of the files that it was made with.
        notes: what else its answer said.
    """

    id: str
    bundle: str
    notes: Mapping[str, str]
    request: Request
    known: Known
    decision: Decision


class Past:
    """Reads decisions. For one event loop.

    Those of who was forgotten are not there, by `words`, whatever the store still has of them.
    """

    def __init__(
        self, records: Records, space: KeySpace, metrics: Metrics, *, words: Words
    ) -> None:
        self._records = records
        self._words = words
        self._space = space
        self._metrics = metrics

    async def of(self, decision_ids: Sequence[str]) -> list[PastDecision | None]:
        """The decisions in the order of their ids; None: unknown, expired, damaged or erased.

        Raises:
            StoreUnavailable: no answer in time.
        """
        keys: dict[str, bytes] = {}
        for decision_id in decision_ids:
            try:
                keys[decision_id] = self._space.decision(decision_id)
            except InvalidId:
                continue
        records = dict(zip(keys, await self._records.fetch(list(keys.values())), strict=True))
        opened = [
            self._opened(decision_id, record)
            for decision_id, record in records.items()
            if record is not None
        ]
        there = await self._remembered([one for one in opened if one is not None])
        return [there.get(decision_id) for decision_id in decision_ids]

    async def files(self, past: PastDecision) -> dict[str, str]:
        """The files that a decision was made with, by name.

        Raises:
            StoreUnavailable: no answer in time.
            RecordCorrupt: they are lost or damaged.
        """
        (record,) = await self._records.fetch([self._space.bundle(past.bundle)])
        if record is None:
            raise RecordCorrupt(f"the files of version {past.bundle} are not in the store any more")
        return open_bundle(record)

    async def _remembered(self, pasts: Sequence[PastDecision]) -> dict[str, PastDecision]:
        """By their ids, those whose customer was not forgotten since."""
        if not pasts:
            return {}
        customers = {past.request.customer_id for past in pasts}
        digests = {one: self._space.digest(one) for one in customers}
        keys = [self._space.consent(digest) for digest in digests.values()]
        copies = await self._records.fetch(keys)
        said = {
            one: self._words.of(one, digest, consents_of(record))
            for (one, digest), record in zip(digests.items(), copies, strict=True)
        }
        gone = {one for one, word in said.items() if isinstance(word, Consents) and word.erased}
        return {past.id: past for past in pasts if past.request.customer_id not in gone}

    def _opened(self, decision_id: str, record: bytes) -> PastDecision | None:
        try:
            stored = open_decision(record)
            found = unpack_record(stored.record)
        except RecordCorrupt:
            self._metrics.damaged.labels("decision").inc()
            return None
        return PastDecision(
            decision_id, stored.bundle, stored.notes, found.request, found.known, found.decision
        )
