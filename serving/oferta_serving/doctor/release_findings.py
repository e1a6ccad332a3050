"""What is wrong with the live release, as this process would read it."""

from collections.abc import Iterator

from oferta.clock import Clock
from oferta.errors import OfertaError, RecordCorrupt
from oferta.store.connecting import Store
from oferta.store.contract import Pointer
from oferta.store.head import read_manifest
from oferta.store.release import Manifest
from oferta_serving.doctor.finding import Finding, advice, ok, wrong
from oferta_serving.settings import FreshnessSettings

_HOUR = 3600


def release_findings(
    store: Store, freshness: FreshnessSettings, *, clock: Clock
) -> Iterator[Finding]:
    """What is live, whether it can be read here, and how old it is."""
    try:
        pointer = store.writer.live()
    except RecordCorrupt:
        yield wrong(
            "release",
            "live",
            "What lies at the pointer's key is no pointer.",
            "See who else writes to this Redis, then `oferta publish`.",
        )
        return
    if pointer is None:
        yield wrong(
            "release",
            "live",
            "Nothing is published: everybody gets what was kept on disk, or an empty list.",
            "Run `oferta publish`, after an emptied Redis `oferta publish --if-missing`.",
        )
        return
    try:
        manifest = _manifest(store, pointer)
    except OfertaError as error:
        yield wrong("release", "live", str(error), "`oferta publish`, or `oferta rollback`.")
        return
    yield ok("release", "live", f"Release {manifest.release} of {manifest.model}.")
    if manifest.key_check != store.space.key_check():
        yield wrong(
            "release",
            "key secret",
            "It was published with another key secret: no customer can be found.",
            "Give this process and the publisher the same OFERTA_KEY_SECRET or state folder.",
        )
    hours = (clock.now().timestamp() - manifest.created_at) / _HOUR
    said = f"It is {hours:.1f} h old."
    if hours > freshness.stop_after_h:
        yield wrong("release", "age", said, "Nothing is offered by it any more: publish.")
    elif hours > freshness.stale_after_h:
        yield advice("release", "age", said, "See why the nightly run did not publish.")
    else:
        yield ok("release", "age", said)


def _manifest(store: Store, pointer: Pointer) -> Manifest:
    (record,) = store.writer.records([store.space.manifest(pointer.release)])
    if record is None:
        raise RecordCorrupt(f"The manifest of the live release {pointer.release} is gone.")
    return read_manifest(record).manifest
