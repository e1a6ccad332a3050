"""The champion's recipe on its rivals' test rows: what a promotion compares with."""

from pathlib import Path

import orjson

from oferta.errors import OfertaError
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Scorecard
from oferta.events.dataset import Dataset
from oferta.models import catalog
from oferta.progress import Progress
from oferta_training import registry
from oferta_training.registry import CHAMPION, Version

_ITS_OWN = (
    "weighting",
    "segments",
    "segment_customers",
    "customer_features",
    "product_features",
    "allow_protected",
)
"""What a model learns from: of the champion's own job. None of it changes which rows are tested."""


def champions_card(
    home: Path,
    champion: Version,
    dataset: Dataset,
    *,
    asked: Protocol,
    rows_digest: str,
    limits: Limits,
    progress: Progress,
) -> Scorecard | str:
    """The champion's figures under the protocol `asked` of its rivals, or why there are none.

    Its recipe is fitted, not its stored arrays taken: those may have seen the rows tested now. It
    learns from what its own job lets it learn from, with the settings that it was registered with,
    and is judged on the rivals' rows, whose `rows_digest` is that of their evaluation. Why: a
    sentence that begins with the version's label.
    """
    try:
        own = registry.job_of(home, champion).evaluation
        learnt = {name: getattr(own, name) for name in _ITS_OWN}
        found = evaluate(
            dataset,
            {CHAMPION: catalog.recipe(champion.model, orjson.loads(champion.settings))},
            # Nobody asks what the champion's chances are worth: they would cost a second fit.
            protocol=asked.model_copy(update={**learnt, "calibrate": "none"}),
            limits=limits,
            progress=progress,
            twins=False,
        )
    except OfertaError as error:  # it stays, whatever keeps it from being judged
        why = f"cannot be fitted: {error}"
    else:
        if found.results and found.rows_digest == rows_digest:
            return found.results[0]
        why = "was tested on other rows" if found.results else found.skipped[0].why
    return f"{champion.label} could not be judged: it {why}"
