"""Who was forgotten, as whoever takes in, trains on or publishes data of customers asks."""

from collections.abc import Callable, Collection
from pathlib import Path

from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import ledger_kept
from oferta.store.keys import DIGEST_BYTES, KeySpace
from oferta.store.tenants import space_of


def forgotten_among(
    customer_ids: Collection[str], tombstones: Collection[str], space: KeySpace
) -> list[str]:
    """Those of the customers whose tombstone is there, ascending. 1 us each."""
    if not tombstones:
        return []
    gone = {bytes.fromhex(tombstone) for tombstone in tombstones}
    ids = list(customer_ids)
    hashes = space.digests(ids).tobytes()
    starts = range(0, len(hashes), DIGEST_BYTES)
    return sorted(
        one
        for one, start in zip(ids, starts, strict=True)
        if hashes[start : start + DIGEST_BYTES] in gone
    )


def tombstones_of(home: Path) -> frozenset[str]:
    """Everybody of a state folder who was forgotten, by this instant.

    Raises:
        LedgerUnavailable: nobody can say: then nothing of anybody may be taken.
    """
    path = ledger_kept(home)
    if path is None:
        return frozenset()
    erasures = Erasures(path)
    try:
        return erasures.tombstones()
    finally:
        erasures.close()


def forgotten_of(home: Path) -> Callable[[Collection[str]], list[str]] | None:
    """Of some ids, those of customers of a state folder who were forgotten; None: nobody was.

    Raises:
        LedgerUnavailable: nobody can say: then nothing of anybody may be taken.
    """
    tombstones = tombstones_of(home)
    if not tombstones:
        return None
    space = space_of(home)
    return lambda customer_ids: forgotten_among(customer_ids, tombstones, space)


def forgotten_now(home: Path) -> Callable[[Collection[str]], list[str]]:
    """The same for whoever asks late: who was forgotten is looked up at each call."""

    def forgotten(customer_ids: Collection[str]) -> list[str]:
        known = forgotten_of(home)
        return [] if known is None else known(customer_ids)

    return forgotten
