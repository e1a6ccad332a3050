"""Customers who were forgotten while scores waited, or while a release was being written.

The order makes it complete. A publisher announces its release, writes all rows, and asks who was
forgotten only then; an erasure is written down first and goes through all announced releases after
that. So of the two one always sees the other's.
"""

from collections.abc import Callable, Collection, Iterable

from oferta.errors import PublishRefused, RecordCorrupt
from oferta.privacy.score_rows import erase_from_scores
from oferta.store import keys
from oferta.store.contract import PublisherStore
from oferta.store.erasing.removing import list_removed, past_removed, profile_removed
from oferta.store.keys import KeySpace
from oferta_training.releases import Announcement
from oferta_training.scores import ScoresFolder

Forgotten = Callable[[Collection[str]], list[str]]

_TRIES = 50
"""Each lost try is an erasure's success; there are 16 customers in a bucket."""

_STEP = "verify"


def scores_without(scores: ScoresFolder, forgotten: Forgotten | None) -> ScoresFolder:
    """The scores without who was forgotten, who are taken out of the folder itself."""
    if forgotten is None:
        return scores
    gone = forgotten(scores.customer_rows()["customer_id"].to_list())
    for customer_id in gone:
        erase_from_scores(scores.path, customer_id)
    return ScoresFolder.open(scores.path) if gone else scores


def release_without(
    store: PublisherStore,
    space: KeySpace,
    note: Announcement,
    *,
    release: int,
    customer_ids: Iterable[str],
) -> None:
    """Take customers out of the rows of a release that is written and not yet live.

    Raises:
        StoreUnavailable: the store went away.
        PublishRefused: `rows.corrupt`.
    """
    kinds = (
        (note.per_tag, space.bucket, list_removed),
        (note.profiles_per_tag, space.profile, profile_removed),
        (note.pasts_per_tag, space.past, past_removed),
    )
    for customer_id in customer_ids:
        digest = space.digest(customer_id)
        for per_tag, key, removed in kinds:
            if per_tag:
                _take_out(store, key(release, per_tag, digest), keys.rest(digest), removed)


def _take_out(
    store: PublisherStore, key: bytes, rest: int, removed: Callable[[bytes, int], bytes | None]
) -> None:
    for _ in range(_TRIES):
        (record,) = store.records([key])
        try:
            left = None if record is None else removed(record, rest)
        except RecordCorrupt as error:
            raise PublishRefused("rows.corrupt", _STEP, str(error)) from error
        if record is None or left is None or store.replace(key, record, left):
            return
    raise PublishRefused("rows.corrupt", _STEP, "a row changed again and again while it was read")
