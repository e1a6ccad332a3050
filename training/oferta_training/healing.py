"""What to publish where the store has lost its release: the scores that were last live.

Found by the publication log and the scores folders alone: neither a model, nor the tracker, nor the
data is asked, so an emptied Redis is filled again while they are away.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from oferta.errors import SourceRefused
from oferta_training.publications import DONE, Entry, PublicationLog
from oferta_training.publish import TTL
from oferta_training.scores import ScoresFolder, finished


def last_live(home: Path, publications: PublicationLog, *, now: datetime) -> ScoresFolder | None:
    """The whole scores of the release that was live last, as far as the log knows; else None.

    After a rollback those of the release that it went back to. Not of a release that would have
    expired by itself: offers of two weeks ago are no better than the popular list.
    """
    entry = _last_done(publications)
    if entry is None:
        return None
    for folder in finished(home):
        with suppress(SourceRefused):
            found = ScoresFolder.glance(folder)
            same = (found.model, found.dataset) == (entry.model, entry.dataset)
            if same and now - found.created_at < TTL:
                return ScoresFolder.open(folder)
    return None


def _last_done(publications: PublicationLog) -> Entry | None:
    """The last entry that made a release live and says of what it was made."""
    entries = [entry for _, entry in publications.entries()]
    done = [entry.release for entry in entries if entry.action in DONE]
    # A release that was found live was announced before: by the publisher that was killed.
    told = [
        entry
        for entry in entries
        if entry.release is not None and entry.model is not None and entry.dataset is not None
    ]
    return next((entry for entry in reversed(told) if done and entry.release == done[-1]), None)
