"""What an export says of a customer's rows in releases: product ids instead of positions."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from oferta.clock import instant
from oferta.errors import RecordCorrupt, ReleaseMissing
from oferta.privacy.places import Row, Subject
from oferta.scoring.reasons import REASONS
from oferta.store import codec, keys
from oferta.store.contract import Reader
from oferta.store.erasing.releases import announced
from oferta.store.keys import KeySpace
from oferta.store.profiles import ProfileRow, profile_row
from oferta.store.reading import Damage, load_head
from oferta.store.reading_live import load_pasts, load_scorer_parts, scorer_of
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

    async def pasts(self, subject: Subject) -> list[Row]:
        """Their past as each release's model saw it."""
        rows: list[Row] = []
        async for head in self._heads():
            manifest = head.manifest
            if not manifest.past_buckets_per_tag:
                continue
            try:
                parts = await load_scorer_parts(self.reader, self.space, manifest)
                places = scorer_of(head, parts).places
                (past,) = await load_pasts(
                    self.reader, self.space, manifest, [subject.digest], products=len(places)
                )
            except (ReleaseMissing, RecordCorrupt):
                continue
            if past is None or isinstance(past, Damage):
                continue
            had = zip(past.amounts.product.tolist(), past.amounts.amount.tolist(), strict=True)
            rows.append(
                {
                    **_of(head),
                    "products": [
                        {
                            "product_id": _name(head, int(places[product])),
                            "amount": amount,
                        }
                        for product, amount in had
                    ],
                }
            )
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


def _name(head: Head, place: int) -> str | None:
    """The id of a product; None of one that the release does not offer."""
    return head.catalogue[place].product_id if place >= 0 else None


def _of(head: Head) -> dict[str, object]:
    manifest = head.manifest
    made = instant(manifest.created_at)
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
