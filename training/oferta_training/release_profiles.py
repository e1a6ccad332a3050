"""From the wide rows of a scores folder to packed profiles, in the order of their buckets.

Scores come by customer and buckets by hash, and a million profiles are gigabytes: the packed ones
wait in files without a name, a range of buckets each, and one range at a time is put in order.
Memory: that range, and 40 bytes a customer.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.store import codec, keys, profile_packing, profiles
from oferta.store.codec import Stamp
from oferta.store.profile_packing import ProfileColumns
from oferta_training.release_parts import STEP, ListPart
from oferta_training.scores import ScoresFolder

_PER_FILE = 1 << 14  # customers: tens of MB
_MOST_FILES = 256  # open at once
_SAMPLE = 500  # customers


class ProfileSpool:
    """All profiles of a release on their way; `close` removes what it keeps on the disk."""

    def __init__(
        self,
        scores: ScoresFolder,
        customers: pl.Series,
        *,
        per_tag: int,
        places: NDArray[np.uint32],
        rests: NDArray[np.uint64],
        products: int,
    ) -> None:
        """Prepare to take the parts of `scores`.

        Args:
            scores: a folder with wide rows.
            customers: ids of all customers, ascending.
            per_tag: buckets of profiles a tag.
            places: `(customers,)`: number of the bucket of each customer's profile.
            rests: `(customers,)`: what tells customers of one bucket apart.
            products: of the catalogue.
        """
        self.per_tag = per_tag
        self.places = places
        self._scores = scores
        self._customers = customers
        self._rests = rests
        self._position_bytes = codec.width(products)
        self._taken = 0
        self._lengths = np.zeros((len(customers), 3), np.uint32)
        self._starts = np.zeros(len(customers), np.int64)
        total = keys.TAGS * per_tag
        count = min(max(1, len(customers) // _PER_FILE), _MOST_FILES, total)
        self._bounds = np.linspace(0, total, count + 1).astype(np.int64)
        folder = _writable(scores.path.parent)
        with ExitStack() as stack:
            self._files = [
                stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(count)
            ]
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Remove what is kept on the disk; so does the end of the process, however it ends."""
        self._stack.close()

    def take(self, part: ListPart) -> None:
        """Pack the customers of the next part: its wide rows, and the whole of its lists.

        Raises:
            PublishRefused: `scores.order`: the wide rows are not of its customers, in their order.
        """
        rows = wide_rows(self._scores, f"base/{part.name}")
        first, last = self._taken, self._taken + len(rows)
        if not rows["customer_id"].equals(self._customers.slice(first, len(rows))) or (
            len(part.customers) and not first <= part.customers[0] <= part.customers[-1] < last
        ):
            raise PublishRefused(
                "scores.order", STEP, f"the profiles of {part.name} are of other customers"
            )
        counts = np.zeros(len(rows), np.int64)
        counts[part.customers - first] = part.counts
        packed = pack_rows(rows, part, counts, position_bytes=self._position_bytes)
        self._lengths[first:last] = [[len(column) for column in each] for each in packed]
        file_of = np.searchsorted(self._bounds, self.places[first:last], side="right") - 1
        order = np.argsort(file_of, kind="stable")
        sizes = self._lengths[first:last].sum(axis=1, dtype=np.int64)
        for number, mine in _runs(file_of[order]):
            own = order[mine]
            file = self._files[number]
            self._starts[first + own] = file.tell() + np.cumsum(sizes[own]) - sizes[own]
            file.write(b"".join(column for at in own.tolist() for column in packed[at]))
        self._taken = last

    def finish(self) -> None:
        """Tell that there is no further part.

        Raises:
            PublishRefused: `scores.order`: customers are left without a profile.
        """
        if self._taken != len(self._customers):
            raise PublishRefused("scores.order", STEP, "the profiles are of fewer customers")

    def customers_per_bucket(self) -> NDArray[np.int64]:
        """`(buckets,)`: how many customers each bucket must hold."""
        return np.bincount(self.places, minlength=keys.TAGS * self.per_tag)

    def buckets(self, mark: Stamp) -> Iterator[bytes]:
        """All buckets in order; may be asked for again."""
        order = np.lexsort((self._rests, self.places))
        sorted_places = self.places[order]
        for number, file in enumerate(self._files):
            first, last = self._bounds[number : number + 2].tolist()
            low, high = np.searchsorted(sorted_places, (first, last)).tolist()
            chosen = order[low:high]
            file.seek(0)
            columns = ProfileColumns(
                places=sorted_places[low:high],
                rests=self._rests[chosen],
                lengths=self._lengths[chosen],
                starts=self._starts[chosen],
                data=file.read(),
            )
            yield from profile_packing.pack_profile_buckets(
                mark, columns, first=first, last=last, position_bytes=self._position_bytes
            )


def wide_rows(scores: ScoresFolder, name: str, *, rows: int | None = None) -> pl.DataFrame:
    """`customer_id`, the facts as rules compute with them, `evidence`: the first `rows`, or all."""
    assert scores.base is not None  # noqa: S101 - nobody asks for profiles of a folder without
    frame = pl.scan_parquet(scores.path / name, glob=False).select(
        "customer_id", *scores.base.facts, "evidence"
    )
    days = pl.selectors.date().to_physical().cast(pl.Float64)
    numbers = pl.selectors.integer().cast(pl.Float64)
    return (frame if rows is None else frame.head(rows)).with_columns(days, numbers).collect()


def pack_rows(
    rows: pl.DataFrame, part: ListPart, counts: NDArray[np.int64], *, position_bytes: int
) -> list[tuple[bytes, bytes, bytes]]:
    """Facts, evidence and propensities of each of `rows`, whose lists have `counts` each."""
    propensities = profile_packing.pack_propensities(
        part.products,
        part.chances,
        part.scores,
        reasons=part.reasons,
        because=part.because,
        position_bytes=position_bytes,
    )
    size = propensities.dtype.itemsize
    flat = propensities.tobytes()
    stops = (np.cumsum(counts) * size).tolist()
    starts = [0, *stops[:-1]]
    facts = rows.drop("customer_id", "evidence").iter_rows()
    evidence = rows["evidence"].to_list()
    return [
        (
            profile_packing.pack_facts(values),
            profile_packing.pack_evidence(told.encode()),
            flat[start:stop],
        )
        for values, told, start, stop in zip(facts, evidence, starts, stops, strict=True)
    ]


def estimated_bytes(scores: ScoresFolder) -> int:
    """About how many bytes all profiles take, without keys and headers: by some of the first."""
    if scores.base is None or not scores.base.parts:
        return 0
    rows = wide_rows(scores, scores.base.parts[0], rows=_SAMPLE)
    if not len(rows):
        return 0
    facts = rows.drop("customer_id", "evidence").iter_rows()
    sampled = sum(len(profile_packing.pack_facts(values)) for values in facts)
    sampled += sum(
        len(profile_packing.pack_evidence(each.encode())) for each in rows["evidence"].to_list()
    )
    per_customer = sampled / len(rows) + codec.REST_BYTES + profiles.ENDS.size
    propensity = int(profiles.propensity_dtype(codec.width(scores.products)).itemsize)
    return round(per_customer * scores.customers) + scores.suggestions * propensity


def _runs(values: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """The runs of equal values, and where they are."""
    starts = np.flatnonzero(np.diff(values, prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        yield int(values[start]), slice(start, stop)


def _writable(folder: Path) -> Path | None:
    """The folder, or None, which is the system's own, where it cannot be written to."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None
