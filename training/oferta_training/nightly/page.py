"""The page of the last night, and of those before it."""

from pathlib import Path
from typing import Final

from oferta_training.nightly.state import STEPS, Places, Run, Step
from oferta_training.page import render, write_whole

_SHOWN: Final = 30
_CONSEQUENCE: Final = {
    "ingest": "The live release was left alone: the data could not be taken.",
    "train": "The live release was left alone: no model could be trained.",
    "gate": "The live release was left alone: the new model may not replace the champion.",
    "publish": "The live release was left alone: the new one could not go live.",
    "monitor": "The new release is live; only the look at it failed.",
}


def write_report(places: Places, run: Run) -> Path:
    """Write the page of `run`; its path.

    Raises:
        OutputFailed: it cannot be written.
    """
    return write_whole(
        places.report,
        render(
            "nightly.html.j2",
            run=run,
            before=[one for one in places.history() if one.name != run.name][:_SHOWN],
            missing=[step for step in STEPS if run.step(step) is None],
            consequence=_consequence(run),
            fact=_fact,
        ),
    )


def _consequence(run: Run) -> str:
    wrong = next((one.step for one in run.steps if one.outcome in {"failed", "refused"}), None)
    return "The new release is live." if wrong is None else _CONSEQUENCE[wrong]


def _fact(run: Run, step: Step, name: str) -> str:
    found = run.step(step)
    value = "" if found is None else found.facts.get(name, "")
    return f"{value:,}" if isinstance(value, int) else str(value)
