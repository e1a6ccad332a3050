"""What an export says of a customer's rows in releases: product ids instead of positions."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from oferta.errors import RecordCorrupt, ReleaseMissing
from oferta.privacy.places import Row, Subject
from oferta.scoring.reasons import REASONS
from oferta.store import codec, keys
from oferta.store.contract import Reader
from oferta.store.erasing.releases import announced
from oferta.store.keys import KeySpace
from oferta.store.profiles import ProfileRow, profile_row
from oferta.store.reading import load_head
from oferta.store.release import Head
from oferta.store.wire import Wire


@dataclass(frozen=True, slots=True)
class TellReleases:
    """Tells what releases hold of a customer. A release that is not whole is left out."""

    reader: Reader
    wire: Wire
    space: KeySpace

    async def lists(self, subject: Subject) -> list[Row]:
        """Their list in each release, best first."""
        rows: list[Row] = []
        async for head in self._heads():
            manifest = head.manifest
            key = self.space.bucket(manifest.release, manifest.buckets_per_tag, subject.digest)
            record = await self._record(key)
            try:
                row = record and codec.customer_row(
                    record,
                    keys.rest(subject.digest),
                    expect=codec.stamp(manifest),
                    products=manifest.products,
                )
            except RecordCorrupt:
                continue
            if not row:
                continue
            names = [entry.product_id for entry in head.catalogue]
            rows.append(
                {
                    **_of(head),
                    "segment": None if row.segment is None else head.segments[row.segment].segment,
                    "cold": row.cold,
                    "held": [names[at] for at in row.held],
                    "list": [
                        {
                            "product_id": names[one.product],
                            "score": one.score,
                            "reason": one.reason,
                            "because": None if one.because is None else names[one.because],
                        }
                        for one in row.suggestions
                    ],
                }
            )
        return rows

    async def profiles(self, subject: Subject) -> list[Row]:
        """Their facts, where these are from, and their propensities in each release."""
        rows: list[Row] = []
        async for head in self._heads():
            manifest = head.manifest
            per_tag = manifest.profile_buckets_per_tag
            if not per_tag:
                continue
            record = await self._record(
                self.space.profile(manifest.release, per_tag, subject.digest)
            )
            try:
                row = record and profile_row(
                    record,
                    keys.rest(subject.digest),
                    expect=codec.stamp(manifest),
                    facts=manifest.profile_facts,
                    products=manifest.products,
                )
                if row:
                    rows.append({**_of(head), **_profile(row, head)})
            except RecordCorrupt:
                continue
        return rows

    async def _heads(self) -> AsyncIterator[Head]:
        for release in sorted(await announced(self.wire, self.space)):
            try:
                yield await load_head(self.reader, self.space, release)
            except (ReleaseMissing, RecordCorrupt):
                continue

    async def _record(self, key: bytes) -> bytes | None:
        (record,) = await self.wire.fetch([key])
        return record


def _of(head: Head) -> dict[str, object]:
    manifest = head.manifest
    made = datetime.fromtimestamp(manifest.created_at, UTC).isoformat()
    return {"release": manifest.release, "model": manifest.model, "made_at": made}


def _profile(row: ProfileRow, head: Head) -> dict[str, object]:
    names = [entry.product_id for entry in head.catalogue]
    columns = (row.products, row.probabilities, row.scores, row.reasons, row.because)
    return {
        "facts": row.facts,
        "evidence": orjson.loads(row.evidence),
        "propensities": [
            {
                "product_id": names[product],
                "probability": None if probability != probability else probability,  # noqa: PLR0124 - NaN: none
                "score": score,
                "reason": REASONS[reason],
                "because": None if because < 0 else names[because],
            }
            for product, probability, score, reason, because in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ],
    }
