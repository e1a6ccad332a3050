"""What goes wrong with the store, and with a release on its way into it."""

from collections.abc import Mapping

from oferta.errors.root import OfertaError


class StoreError(OfertaError):
    """The root of what can go wrong between us and Redis."""

    code = "store"


class StoreUnavailable(StoreError):
    """Redis could not be reached or did not answer within the deadline."""

    code = "store.unavailable"


class SlotsUnavailable(StoreUnavailable):
    """Nodes of a cluster are away: their keys cannot be reached, those of other nodes can.

    Attributes:
        found: what lies at the keys that could be reached, by key; where nothing was read, empty.
    """

    def __init__(self, problem: str, found: Mapping[bytes, bytes | None] | None = None) -> None:
        self.found = {} if found is None else found
        super().__init__(problem)


class StoreRefused(StoreUnavailable):
    """Redis answered and refused: it is full, cannot write to its disk, or is a replica.

    Unlike one that does not answer, it can still be read.
    """

    code = "store.refused"


class StoreForbidden(StoreUnavailable):
    """Redis denied our user, our password, or a command to our user."""

    code = "store.forbidden"

    def __init__(self, problem: str) -> None:
        super().__init__(f"Redis denied us: {problem}")


class RecordCorrupt(StoreError):
    """A stored record failed its checksum, magic, schema or length."""

    code = "store.corrupt"


class ReleaseMissing(StoreError):
    """The store has a pointer to a release, or was asked for one, that is not there."""

    code = "store.missing"

    def __init__(self, release: int) -> None:
        self.release = release
        super().__init__(
            f"release {release} is not in the store: it expired or was lost. Publish again."
        )


class PublishRefused(OfertaError):
    """A release was not made live. `step` is where it stopped; the live release is untouched."""

    def __init__(self, code: str, step: str, problem: str) -> None:
        self.code = code
        self.step = step
        super().__init__(
            f"publish stopped at '{step}': {problem} [{code}]. Live release untouched."
        )


class FencedOut(PublishRefused):
    """A newer publisher made its release live first; nothing of ours was, or will be, served."""

    def __init__(self, step: str, fence: int) -> None:
        self.fence = fence
        super().__init__("fenced", step, f"a publisher later than number {fence} was faster")
