"""A release to measure: published as `oferta publish` does it, without a bar."""

from pathlib import Path

from oferta.clock import SystemClock
from oferta.progress import Silent
from oferta.store.connecting import Store
from oferta_training.publications import PublicationLog, publication_log_path
from oferta_training.publish import Options, publish
from oferta_training.scores import ScoresFolder


def publish_scores(scores: ScoresFolder, store: Store, home: Path) -> None:
    """Make the scores the live release of `store`, on record in the state folder `home`."""
    clock = SystemClock()
    publish(
        scores,
        store.writer,
        store.space,
        clock=clock,
        publications=PublicationLog(publication_log_path(home), clock),
        progress=Silent(),
        options=Options(),
    )
