"""Files of the state folder that cannot be written or read."""

from pathlib import Path

from oferta.errors.root import OfertaError


class OutputFailed(OfertaError):
    """Files could not be written, most often for want of room; what was there before is whole."""

    code = "output.failed"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: {problem}. Nothing was changed; make room or choose another folder."
        )


class ArchiveUnreadable(OfertaError):
    """A file of the archive of events is damaged; nothing is added to the archive, or read."""

    code = "archive.unreadable"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: is no intact file of an archive ({problem}). Restore it from a backup, or "
            "move it away: the events that it holds are then missing."
        )


class ArchiveElsewhere(OfertaError):
    """The tenant's events go to another archive already: nothing is written to this one."""

    code = "archive.elsewhere"

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        super().__init__(
            f"{place}: the events go to another archive, of another machine or state folder. Set "
            "[events] archive = false here; or, to archive here from now on, start "
            "`oferta consume --take-archive`."
        )


class LedgerUnavailable(OfertaError):
    """The consent ledger could not be read or written; what was to be stored counts as not stored.

    What was said may be on disk all the same, as after any write that nobody confirmed.
    """

    code = "consent.ledger"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(
            f"the consent ledger {place} {problem}. Make room, mend the disk or restore the file."
        )
